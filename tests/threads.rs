//! Several threads give the bits of one: for every layout of weights and every cache, however the text is cut and whoever
//! does which part.

mod common;

use common::alloc::measure;
use common::made::{self, ARCHITECTURES, CACHE_TYPES, LAYOUTS, Made, Shape};
use pagelm::model::{CacheType, Model};
use pagelm::pool::Pool;
use pagelm::quant::Format;
use pagelm::sampler::SamplerOptions;
use pagelm::session::{GenerateOptions, Generation, Session, Step};
use pagelm::tokenizer::{StopStrings, TextStream, Tokenizer};
use std::sync::Arc;
use std::thread;

/// Wide enough that products, norms and attention are split, in rows of 256 so that every format fits; heads of 64, four
/// of which share a key.
const SHAPE: Shape =
    Shape { n_layer: 1, n_embd: 512, n_head: 8, n_head_kv: 2, n_ff: 256, n_ctx: 80, n_pieces: 200, bytes: false };

/// Heads of 64, three of which share a key.
const BY_THREE: Shape = Shape { n_embd: 384, n_head: 6, n_ff: 512, ..SHAPE };

/// A helper, which allocates nothing.
fn help(pool: &Pool) {
    let ((), spent) = measure(|| pool.help());
    assert_eq!((spent.calls, spent.held), (0, 0));
}

fn with_pool<R>(n_threads: usize, test: impl FnOnce(&Arc<Pool>) -> R) -> R {
    let pool = Arc::new(Pool::new(n_threads));
    thread::scope(|scope| {
        (1..n_threads).for_each(|_| drop(scope.spawn(|| help(&pool))));
        while pool.n_threads() < n_threads {
            thread::yield_now();
        }
        let result = test(&pool);
        pool.close();
        result
    })
}

fn bits(model: &Arc<Model>, cache_type: CacheType, pool: &Arc<Pool>, batch: usize) -> Vec<u32> {
    let n_vocab = model.config().n_vocab as u32;
    let tokens: Vec<u32> = (0..77).map(|i| (i * i + 3 * i) % n_vocab).collect();
    let mut session = Session::with_pool(model.clone(), None, cache_type, pool.clone()).unwrap();
    let logits = tokens.chunks(batch).flat_map(|piece| session.forward_all(piece).unwrap().to_vec());
    logits.map(f32::to_bits).collect()
}

#[test]
fn any_number_of_threads_gives_the_bits_of_one() {
    for (make, format) in ARCHITECTURES.into_iter().cycle().zip(LAYOUTS) {
        let model = make(SHAPE, format).load();
        for cache_type in CACHE_TYPES {
            let want = bits(&model, cache_type, &Arc::new(Pool::new(1)), 64);
            for n_threads in [2, 3] {
                with_pool(n_threads, |pool| {
                    for batch in [1, 64] {
                        let got = bits(&model, cache_type, pool, batch);
                        let what = format!("{} {}", model.config().architecture, format.name());
                        assert!(got == want, "{what}, {cache_type:?}, {n_threads} threads, batches of {batch}");
                    }
                    pool.set_n_threads(1);
                    assert!(bits(&model, cache_type, pool, 7) == want, "{n_threads} threads, all but one idle");
                });
            }
        }
    }
}

#[test]
fn two_sessions_may_share_a_pool() {
    let model = made::llama(BY_THREE, Format::Q4_0).load();
    let want = bits(&model, CacheType::F32, &Arc::new(Pool::new(1)), 64);
    with_pool(2, |pool| {
        thread::scope(|scope| {
            let runs = [1, 64].map(|batch| {
                let (model, want) = (&model, &want);
                scope.spawn(move || assert!(bits(model, CacheType::F32, pool, batch) == *want))
            });
            runs.into_iter().for_each(|run| run.join().unwrap());
        });
    });
}

/// From the session through the sampler to the text that is shown, on each of the threads: what a helper allocates is counted
/// from when it comes to when it goes.
#[test]
fn a_token_allocates_nothing_on_its_whole_way() {
    let stops = ["never comes", "ab\0", "\u{fffd}\0"].map(String::from).to_vec();
    for (make, format) in
        [made::llama as fn(Shape, Format) -> Made, made::qwen2].into_iter().zip([Format::Q4_0, Format::Q8_0])
    {
        let made = make(Shape { bytes: true, ..SHAPE }, format);
        let (model, gguf) = made::load(&made.write());
        let tokenizer = Tokenizer::from_metadata(&gguf.metadata).unwrap();
        let mut texts = Vec::new();
        for n_threads in [1, 2] {
            texts.push(with_pool(n_threads, |pool| {
                let session = Session::with_pool(model.clone(), None, CacheType::F16, pool.clone()).unwrap();
                let sampler =
                    SamplerOptions { temperature: 5.0, top_k: 0, top_p: 1.0, seed: 3, ..SamplerOptions::default() };
                let options = GenerateOptions { sampler, ..GenerateOptions::default() };
                let mut generation = Generation::new(session, &[5, 6, 7], options).unwrap();
                let (mut stream, mut stops) = (TextStream::new(), StopStrings::new(stops.clone()));
                let mut shown = String::with_capacity(4096);
                let mut show = |step: pagelm::Result<Step>| {
                    if let Step::Token { token, .. } = step.unwrap() {
                        shown.push_str(stops.push(stream.push(&tokenizer, token).unwrap()).0);
                    }
                };
                generation.by_ref().take(2).for_each(&mut show);
                let ((), spent) = measure(|| generation.by_ref().for_each(&mut show));
                assert_eq!((spent.calls, spent.held), (0, 0), "{n_threads} threads");
                assert_eq!(generation.generated().len(), 77);
                shown
            }));
        }
        assert_eq!(texts[0], texts[1]);
        assert!(texts[0].len() > 77, "{:?}", texts[0]);
    }
}
