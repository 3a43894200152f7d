//! What it costs to record all attention weights of a text: `cargo run --release --example tracing -- MODEL.gguf [TOKENS]`.

use pagelm::inspect::{Kept, Selection, trace};
use pagelm::model::{Loader, Site};
use pagelm::session::Session;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = std::fs::read(args.next().ok_or("name a model's file")?)?;
    let n_tokens: usize = args.next().map_or(Ok(128), |n| n.parse())?;
    let mut loader = Loader::new(Some(file.len() as u64));
    loader.push(&file)?;
    let model = Arc::new(loader.finish()?.0);
    let config = model.config();
    let tokens: Vec<u32> = (0..n_tokens).map(|i| ((i * i * 7 + 3 * i + 1) % config.n_vocab) as u32).collect();
    let everything = Selection {
        sites: vec![Site::KqSoftMax],
        layers: (0..config.n_layer).collect(),
        heads: (0..config.n_head).collect(),
        positions: (0..n_tokens).collect(),
    };
    let mut session = Session::new(model.clone(), None)?;
    let (mut plain, mut traced) = (Vec::new(), Vec::new());
    // One after the other, so that what else the machine does meets both.
    for _ in 0..ROUNDS {
        let start = Instant::now();
        session.clear();
        session.prepare(&tokens)?;
        while session.n_pending() > 0 {
            session.prefill()?;
        }
        plain.push(start.elapsed());
        let start = Instant::now();
        let mut weights: Vec<f32> = Vec::new();
        trace(&mut session, &tokens, &everything, &mut |kept| match kept {
            Kept::Size(n) => weights = vec![0.0; n],
            Kept::Values(_, at, values) => weights[at..at + values.len()].copy_from_slice(values),
        })?;
        traced.push(start.elapsed());
        assert!(weights.iter().any(|weight| *weight > 0.0));
    }
    let (plain, traced) = (median(plain), median(traced));
    let ratio = traced.as_secs_f64() / plain.as_secs_f64();
    println!("{n_tokens} tokens: prefill {plain:.1?}, with all attention recorded {traced:.1?}: {ratio:.2} times");
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
