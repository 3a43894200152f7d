//! Every architecture and every scaling of rotary positions against transformers, which computed in f64 what is recorded in
//! `tests/fixtures/models`. `cargo xtask conformance` makes the records, and compares more: docs/conformance.md.
//!
//! What is measured is printed under `PAGELM_SHOW_DEVIATIONS=1`.

mod common;

use common::alloc::measure;
use common::data::always;
use common::made::{self, Made};
use common::recorded::{self, Recorded};
use libtest_mimic::Arguments;
use pagelm::gguf::{Gguf, Value};
use pagelm::model::{CacheType, Loader, Model};
use pagelm::pool::Pool;
use pagelm::quant::Format;
use pagelm::session::Session;
use std::process::ExitCode;
use std::sync::Arc;

/// Of the largest logit. The records are exact; the engine computes in f32.
const TOLERANCE: f32 = 1e-5;

/// Models that together have every switch.
const ODD: [&str; 7] = ["falcon-40b", "gemma2", "mpt", "olmo3", "phi3-long", "qwen3moe", "stablelm-parallel"];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for name in recorded::names() {
        let test = |what: &str, run: fn(&Recorded)| {
            let recorded = name.clone();
            always(&format!("{name}_{what}"), move || run(&recorded::read(&recorded)))
        };
        trials.push(test("logits_by_transformers", logits));
        trials.push(test("one_token_at_a_time", one_by_one));
        trials.push(test("in_8_bits", in_8_bits));
        if ODD.contains(&name.as_str()) {
            trials.push(test("damaged", damaged));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn show(what: &str) {
    if std::env::var_os("PAGELM_SHOW_DEVIATIONS").is_some() {
        println!("{what}");
    }
}

fn all_logits(model: &Arc<Model>, tokens: &[u32]) -> Vec<f32> {
    let mut session = Session::new(model.clone(), None).unwrap();
    session.forward_all(tokens).unwrap().to_vec()
}

/// The largest difference, relative to the largest reference value.
fn deviation(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().all(|x| x.is_finite()));
    let largest = want.iter().fold(0f32, |max, x| max.max(x.abs()));
    got.iter().zip(want).fold(0f32, |max, (got, want)| max.max((got - want).abs())) / largest
}

fn logits(recorded: &Recorded) {
    let found = deviation(&all_logits(&recorded.file.load(), &recorded.tokens), &recorded.logits);
    show(&format!("{}: {found:.1e}", recorded.name));
    assert!(found <= TOLERANCE, "{}: the deviation is {found:.2e}", recorded.name);
}

/// Batches change no bit, nor do threads; a token allocates nothing, and a session takes what was announced.
fn one_by_one(recorded: &Recorded) {
    let (name, model) = (&recorded.name, recorded.file.load());
    let (mut session, spent) = measure(|| Session::new(model.clone(), None).unwrap());
    let needed = Session::bytes_needed(model.config(), session.n_ctx(), CacheType::F32);
    assert!(spent.peak as f64 <= needed as f64 + 1024.0, "{name}: {} of {needed} bytes", spent.peak);
    let mut got = Vec::with_capacity(recorded.logits.len());
    let ((), spent) = measure(|| {
        for token in &recorded.tokens {
            got.extend(session.forward(&[*token]).unwrap().iter().map(|x| x.to_bits()));
        }
    });
    assert_eq!(spent.calls, 0, "{name}");
    let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    assert!(got == bits(&all_logits(&model, &recorded.tokens)), "{name}");
    let pool = Arc::new(Pool::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| pool.help());
        while pool.n_threads() < 2 {
            std::thread::yield_now();
        }
        let session = Session::with_pool(model.clone(), None, CacheType::F32, pool.clone());
        let threaded = bits(session.unwrap().forward_all(&recorded.tokens).unwrap());
        pool.close();
        assert!(got == threaded, "{name}, by two threads");
    });
}

/// Matrices in Q8_0 against the floats that they stand for: the error is that of inputs rounded to 8 bits.
fn in_8_bits(recorded: &Recorded) {
    let mut file: Made = recorded.file.clone();
    let is_matrix = |name: &str| !["norm", "gate_inp", "position"].iter().any(|part| name.contains(part));
    for tensor in file.tensors.iter_mut().filter(|tensor| tensor.shape.len() > 1 && is_matrix(&tensor.name)) {
        let values = common::data::floats(&tensor.bytes);
        let row = Format::Q8_0.row();
        tensor.bytes = vec![0; values.len() / row.block_len * row.block_bytes];
        Format::Q8_0.quantizer().unwrap()(&values, &mut tensor.bytes);
        tensor.format = Format::Q8_0;
    }
    let got = all_logits(&file.load(), &recorded.tokens);
    let want = all_logits(&file.dequantized().load(), &recorded.tokens);
    let squares = |xs: &mut dyn Iterator<Item = f32>| xs.map(|x| f64::from(x * x)).sum::<f64>();
    let error = squares(&mut got.iter().zip(&want).map(|(a, b)| a - b)) / squares(&mut want.iter().copied());
    show(&format!("{} in Q8_0: {error:.1e}", recorded.name));
    // A token of a mixture may go to another expert.
    let most = if file.tensors.iter().any(|tensor| tensor.name.contains("gate_inp")) { 1e-2 } else { 1e-3 };
    assert!(error <= most, "{}: {error:.2e}", recorded.name);
}

/// Every key with another value, and every tensor missing: refused, or run without a panic.
fn damaged(recorded: &Recorded) {
    let values = [
        Value::Int(0),
        Value::Int(3),
        Value::Int(-1),
        Value::Int(u32::MAX.into()),
        Value::Float(f64::NAN),
        Value::Float(1e38),
        Value::Str("x".into()),
        made::i32s([1, 0]),
    ];
    let (mut n_refused, mut n_run) = (0, 0);
    let mut judge = |file: &Made| match run(file) {
        Ok(()) => n_run += 1,
        Err(_) => n_refused += 1,
    };
    let mut keys: Vec<String> = recorded.file.metadata.iter().map(|(key, _)| key.clone()).collect();
    let more = ["sliding_window_pattern", "scale", "max_alibi_bias", "clamp_kqv"].map(|key| format!("attention.{key}"));
    let more = more.into_iter().chain(["expert_count", "expert_weights_scale", "logit_scale"].map(String::from));
    let architecture = recorded.file.load().config().architecture;
    keys.extend(more.map(|key| format!("{architecture}.{key}")));
    for key in keys {
        for value in &values {
            let mut file = recorded.file.clone();
            file.set(&key, value.clone());
            judge(&file);
        }
    }
    for i in 0..recorded.file.tensors.len() {
        let mut file = recorded.file.clone();
        file.tensors.remove(i);
        judge(&file);
    }
    show(&format!("{}: {n_refused} refused, {n_run} run", recorded.name));
    assert!(n_refused > n_run / 2 && n_run > 0);
}

fn run(file: &Made) -> pagelm::Result<()> {
    let file = file.write();
    Model::check(&Gguf::parse(&file)?)?;
    let mut loader = Loader::new(Some(file.len() as u64));
    loader.push(&file)?;
    let mut session = Session::new(Arc::new(loader.finish()?.0), Some(8))?;
    session.forward(&[1, 2, 3])?;
    Ok(())
}
