//! What a session remembers: saved and restored, cloned, shifted, gone on with; and what else its pass is used for.

mod common;

use common::alloc::measure;
use common::made::{self, CACHE_TYPES, Made, Shape};
use pagelm::Error;
use pagelm::gguf::hash;
use pagelm::model::{CacheType, Loader, MAX_BATCH, Model};
use pagelm::quant::Format;
use pagelm::sampler::SamplerOptions;
use pagelm::session::{
    GenerateOptions, Generation, Overflow, Pooling, Session, Speculation, Step, StopReason, ln_softmax,
};
use pagelm::tokenizer::Tokenizer;
use proptest::prelude::*;
use std::sync::Arc;

const SHAPE: Shape =
    Shape { n_layer: 2, n_embd: 32, n_head: 4, n_head_kv: 2, n_ff: 64, n_ctx: 80, n_pieces: 29, bytes: false };

fn llama() -> Arc<Model> {
    made::llama(SHAPE, Format::Q8_0).load()
}

fn text(n: u32, n_vocab: usize) -> Vec<u32> {
    (0..n).map(|i| (i * i + 3 * i) % n_vocab as u32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn options(max_tokens: u32) -> GenerateOptions {
    let sampler = SamplerOptions { temperature: 1.5, top_p: 1.0, min_p: 0.0, seed: 5, ..SamplerOptions::default() };
    GenerateOptions { sampler, max_tokens: Some(max_tokens), ..GenerateOptions::default() }
}

/// Tokens with the bits of their probabilities.
fn seen<S: core::borrow::BorrowMut<Session>>(generation: &mut Generation<S>) -> Vec<(u32, u32)> {
    let token = |step: pagelm::Result<Step>| match step.unwrap() {
        Step::Token { token, probability } => Some((token, probability.to_bits())),
        Step::Prefill { .. } | Step::Logits => None,
    };
    generation.filter_map(token).collect()
}

#[track_caller]
fn refused<T: core::fmt::Debug>(result: pagelm::Result<T>, code: &str, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

/// Every kind of sampler, since each keeps its own state.
fn samplings() -> [SamplerOptions; 3] {
    let plain = options(0).sampler;
    [
        plain.clone(),
        SamplerOptions { mirostat: 2, mirostat_tau: 3.0, repeat_penalty: 1.2, ..plain.clone() },
        SamplerOptions { xtc_probability: 0.5, dry_multiplier: 1.0, ..plain },
    ]
}

#[test]
fn saved_and_cloned_texts_go_on_as_if_nothing_had_been() {
    let model = llama();
    for cache_type in CACHE_TYPES {
        for sampler in samplings() {
            let new = |n_ctx| Session::with_cache_type(model.clone(), n_ctx, cache_type).unwrap();
            let with = |max_tokens| GenerateOptions { sampler: sampler.clone(), ..options(max_tokens) };
            let want = seen(&mut Generation::new(new(None), &[1, 2, 3], with(40)).unwrap());
            let mut first = Generation::new(new(None), &[1, 2, 3], with(17)).unwrap();
            let mut got = seen(&mut first);
            let mut session = first.into_session();
            let saved = session.save();
            // into a longer context, another text being there
            let mut restored = new(Some(96));
            restored.forward(&[7; 30]).unwrap();
            restored.restore(&saved).unwrap();
            assert_eq!(restored.save(), saved);
            let mut cloned = session.try_clone().unwrap();
            got.extend(seen(&mut Generation::resume(session, with(23)).unwrap()));
            assert_eq!(got, want);
            for other in [&mut restored, &mut cloned] {
                let rest = seen(&mut Generation::resume(other, with(23)).unwrap());
                assert_eq!(rest, want[17..], "{} {sampler:?}", cache_type.name());
            }
            // a guess changes nothing there either
            restored.restore(&saved).unwrap();
            let guessing = GenerateOptions { speculation: Speculation::Lookup, ..with(23) };
            assert_eq!(seen(&mut Generation::resume(restored, guessing).unwrap()), want[17..]);
        }
    }
}

#[test]
fn answers_from_one_prefill_are_those_of_fresh_sessions() {
    let model = llama();
    let prompt = text(30, model.config().n_vocab);
    let mut shared = Session::new(model.clone(), None).unwrap();
    for seed in 0..4 {
        let sampler = SamplerOptions { seed, ..options(0).sampler };
        let with = || GenerateOptions { sampler: sampler.clone(), ..options(20) };
        let want = seen(&mut Generation::new(Session::new(model.clone(), None).unwrap(), &prompt, with()).unwrap());
        let mut generation = Generation::new(&mut shared, &prompt, with()).unwrap();
        let Some(Ok(Step::Prefill { n_done: 30, n_total: 30 })) = generation.next() else { panic!("a prefill of 1") };
        assert_eq!(seen(&mut generation), want);
    }
    assert_eq!(shared.prepare(&prompt).unwrap(), 29);
}

#[test]
fn a_text_can_only_be_gone_on_with_where_there_is_one() {
    let session = Session::new(llama(), None).unwrap();
    refused(Generation::resume(session, options(1)).map(|_| ()), "argument", "empty");
}

#[test]
fn damaged_and_foreign_texts_are_refused_and_change_nothing() {
    let model = llama();
    let mut session = Session::new(model.clone(), None).unwrap();
    session.forward(&text(20, 32)).unwrap();
    session.accept(3).unwrap();
    let saved = session.save();
    let mut other = Session::new(model.clone(), None).unwrap();
    other.forward(&[4, 5]).unwrap();
    let before = other.save();
    refused(other.restore(&[]), "format", "no saved text");
    refused(other.restore(b"GGUF"), "format", "no saved text");
    for cut in 0..saved.len() {
        assert!(other.restore(&saved[..cut]).is_err(), "{cut}");
    }
    for bit in (0..8 * saved.len()).step_by(7) {
        let mut damaged = saved.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(other.restore(&damaged).is_err(), "{bit}");
    }
    // with a sum that fits
    let resealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = saved[..saved.len() - 8].to_vec();
        change(&mut changed);
        changed.extend(hash(0, &changed).to_le_bytes());
        changed
    };
    assert_eq!(resealed(&|_| ()), saved);
    refused(other.restore(&resealed(&|bytes| bytes[7] = 2)), "format", "version");
    refused(other.restore(&resealed(&|bytes| bytes[8] ^= 1)), "argument", "another model");
    refused(other.restore(&resealed(&|bytes| bytes[32] = 1)), "argument", "type of cache");
    for (at, value) in [(36, 20), (36, 22), (40, 22), (40, 0), (44, 30), (48, 99)] {
        refused(other.restore(&resealed(&|bytes| bytes[at] = value)), "format", "damaged");
    }
    refused(other.restore(&resealed(&|bytes| bytes[39] = 255)), "limit", "context holds 80");
    for (at, value) in [(43, 255), (47, 255)] {
        refused(other.restore(&resealed(&|bytes| bytes[at] = value)), "format", "damaged");
    }
    refused(other.restore(&resealed(&|bytes| bytes.push(0))), "format", "damaged");
    let without_cache = |bytes: &mut Vec<u8>| {
        bytes.truncate(48 + 4 * 21);
        (bytes[40], bytes[44]) = (2, 3);
    };
    refused(other.restore(&resealed(&without_cache)), "format", "damaged");
    refused(Session::new(model.clone(), Some(20)).unwrap().restore(&saved), "limit", "21 tokens");
    let mut f16 = Session::with_cache_type(model, None, CacheType::F16).unwrap();
    refused(f16.restore(&saved), "argument", "type of cache");
    let mut foreign = Session::new(made::llama(SHAPE, Format::Q4_0).load(), None).unwrap();
    refused(foreign.restore(&saved), "argument", "another model");
    assert_eq!(other.save(), before);
    other.restore(&saved).unwrap();
    assert_eq!(other.save(), saved);
}

proptest! {
    #[test]
    fn no_bytes_make_a_restore_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), sealed: bool) {
        let model = llama();
        let mut session = Session::new(model.clone(), None).unwrap();
        if sealed {
            bytes.splice(0..bytes.len().min(36), [b"pagelm\0\x01".as_slice(), &model.hash().to_le_bytes(), &[0; 20]].concat());
            bytes.extend(hash(0, &bytes).to_le_bytes());
        }
        let _ = session.restore(&bytes);
        let _ = session.forward(&[1]);
    }
}

#[test]
fn a_models_hash_is_that_of_its_file_however_it_comes() {
    let made = made::llama(SHAPE, Format::Q4_0);
    let file = made.write();
    let in_pieces = |size: usize| {
        let mut loader = Loader::new(None);
        file.chunks(size).for_each(|piece| loader.push(piece).unwrap());
        loader.finish().unwrap().0.hash()
    };
    let want = made.load().hash();
    for size in [1, 7, 1000, file.len()] {
        assert_eq!(in_pieces(size), want);
    }
    let mut other: Made = made.clone();
    other.tensor("output_norm.weight").bytes[0] ^= 1;
    assert_ne!(other.load().hash(), want);
    let mut other = made;
    other.set("general.name", pagelm::gguf::Value::Str("another".into()));
    assert_ne!(other.load().hash(), want);
}

/// A model of one layer, whose keys and values depend on a token and its position alone: what is left after a shift is what
/// the shorter text would have.
#[test]
fn a_shift_leaves_what_the_shorter_text_would_have() {
    let shape = Shape { n_layer: 1, ..SHAPE };
    for make in [made::llama, made::qwen2] {
        let model = make(shape, Format::F32).load();
        let tokens = text(60, model.config().n_vocab);
        let mut session = Session::new(model.clone(), None).unwrap();
        session.forward(&tokens).unwrap();
        session.shift(8).unwrap();
        let left = [&tokens[..8], &tokens[34..]].concat();
        assert_eq!((session.tokens(), session.n_past(), session.n_pending()), (&left[..], 33, 1));
        let got = session.forward(&[]).unwrap().to_vec();
        let mut fresh = Session::new(model, None).unwrap();
        let want = fresh.forward(&left).unwrap();
        // turned there and back again, so not the same bits
        let error = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 1e-4, "{error}");
        assert_ne!(bits(&got), bits(want));
    }
}

#[test]
fn shifted_texts_do_not_mix_with_others() {
    let model = llama();
    let tokens = text(60, model.config().n_vocab);
    let mut session = Session::new(model.clone(), None).unwrap();
    session.forward(&tokens).unwrap();
    session.shift(8).unwrap();
    session.forward(&[]).unwrap();
    // saved and restored, it still knows what is its own
    let mut restored = Session::new(model.clone(), None).unwrap();
    restored.restore(&session.save()).unwrap();
    let own = session.tokens().to_vec();
    for session in [&mut session, &mut restored] {
        assert_eq!(session.prepare(&own).unwrap(), 8, "only what was kept is as if alone");
        let got = bits(session.forward(&[]).unwrap());
        let mut fresh = Session::new(model.clone(), None).unwrap();
        assert_eq!(got, bits(fresh.forward(&own).unwrap()));
        assert_eq!(session.prepare(&own).unwrap(), own.len() - 1);
    }
}

#[test]
fn shifts_are_refused_where_they_cannot_be() {
    let shift = |n_keep| GenerateOptions { overflow: Overflow::Shift(n_keep), ..options(5) };
    let gpt2 = Session::new(made::gpt2(SHAPE, Format::F32).load(), None).unwrap();
    refused(Generation::new(gpt2, &[1], shift(0)).map(|_| ()), "unsupported", "learned positions");
    let mut session = Session::new(llama(), None).unwrap();
    refused(Generation::new(&mut session, &[1], shift(79)).map(|_| ()), "argument", "at least two");
    refused(Generation::new(&mut session, &[1], shift(usize::MAX)).map(|_| ()), "argument", "at least two");
    assert!(Generation::new(&mut session, &[1], shift(78)).is_ok());
    session.prepare(&[1, 2, 3]).unwrap();
    refused(session.shift(2), "argument", "cannot be shifted");
    refused(session.shift(9), "argument", "cannot be shifted");
    session.shift(0).unwrap();
    assert_eq!((session.tokens(), session.n_past()), (&[2, 3][..], 0));
}

/// With and without guesses, and from a prompt that fills the context.
#[test]
fn ten_thousand_tokens_with_shifts_hold_their_memory_flat() {
    let model = made::llama(Shape { n_layer: 1, n_embd: 16, n_ff: 16, ..SHAPE }, Format::F32).load();
    let prompt = text(80, model.config().n_vocab);
    for (cache_type, n_prompt, n_keep) in [(CacheType::F32, 5, 4), (CacheType::Q8_0, 80, 0), (CacheType::F16, 64, 70)] {
        let mut texts = Vec::new();
        for speculation in [Speculation::Off, Speculation::Lookup] {
            let session = Session::with_cache_type(model.clone(), None, cache_type).unwrap();
            let with = GenerateOptions { overflow: Overflow::Shift(n_keep), speculation, ..options(10_000) };
            let mut generation = Generation::new(session, &prompt[..n_prompt], with).unwrap();
            assert!(generation.by_ref().take(3).all(|step| step.is_ok()));
            let mut tokens = vec![(0, 0); 10_000];
            let (n, spent) = measure(|| {
                let mut n = 0;
                for step in generation.by_ref() {
                    if let Step::Token { token, probability } = step.unwrap() {
                        tokens[n] = (token, probability.to_bits());
                        n += 1;
                    }
                }
                n
            });
            assert!(n >= 9_997);
            assert_eq!((spent.calls, spent.held), (0, 0), "{} {n_prompt}", cache_type.name());
            assert_eq!(generation.stop_reason(), Some(StopReason::MaxTokens));
            assert!(generation.generated().len() <= 80);
            texts.push(tokens);
        }
        assert_eq!(texts[0], texts[1], "guesses change nothing");
    }
}

#[test]
fn logits_can_be_seen_and_changed_before_each_token() {
    let model = llama();
    let n_vocab = model.config().n_vocab;
    let new = || Session::new(model.clone(), None).unwrap();
    let editing = |speculation| GenerateOptions { edits_logits: true, speculation, ..options(20) };
    let want = seen(&mut Generation::new(new(), &[1, 2], options(20)).unwrap());
    for speculation in [Speculation::Off, Speculation::Lookup] {
        assert_eq!(seen(&mut Generation::new(new(), &[1, 2], editing(speculation.clone())).unwrap()), want);
        let mut generation = Generation::new(new(), &[1, 2], editing(speculation)).unwrap();
        let mut tokens = Vec::new();
        while let Some(step) = generation.next() {
            match step.unwrap() {
                Step::Logits => {
                    assert_eq!(generation.logits_mut().len(), n_vocab);
                    let next = (tokens.len() % 7) as u32;
                    let barred = |(token, logit): (usize, &mut f32)| {
                        if token as u32 != next {
                            *logit = f32::NEG_INFINITY;
                        }
                    };
                    generation.logits_mut().iter_mut().enumerate().for_each(barred);
                }
                // the probability is the model's own still
                Step::Token { token, probability } => tokens.push((token, probability < 1.0)),
                Step::Prefill { .. } => {}
            }
        }
        assert_eq!(tokens, (0..20).map(|i| (i % 7, true)).collect::<Vec<_>>());
    }
    let mut plain = Generation::new(new(), &[1, 2], options(20)).unwrap();
    assert!(plain.next().is_some() && plain.logits_mut().is_empty());
}

#[test]
fn alternatives_are_the_most_probable_tokens_with_their_logarithms() {
    let model = llama();
    let with = GenerateOptions { n_alternatives: 5, ..options(30) };
    let mut generation = Generation::new(Session::new(model.clone(), None).unwrap(), &[1, 2], with).unwrap();
    let mut text = vec![1, 2];
    let mut fresh = Session::new(model.clone(), None).unwrap();
    while let Some(step) = generation.next() {
        let Step::Token { token, probability } = step.unwrap() else { continue };
        fresh.prepare(&text).unwrap();
        let logits = fresh.forward(&[]).unwrap();
        let mut best: Vec<u32> = (0..logits.len() as u32).collect();
        best.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        let want: Vec<_> = best[..5].iter().map(|token| (*token, ln_softmax(logits, *token) as f32)).collect();
        assert_eq!(generation.alternatives(), want);
        assert!((f64::from(probability).ln() - ln_softmax(logits, token)).abs() < 1e-5);
        text.push(token);
    }
    // as many as there are, and no memory for each token
    let with = GenerateOptions { n_alternatives: 1000, ..options(10) };
    let mut generation = Generation::new(Session::new(model.clone(), None).unwrap(), &[1, 2], with).unwrap();
    assert!(generation.by_ref().take(2).all(|step| step.is_ok()));
    assert_eq!(generation.alternatives().len(), model.config().n_vocab);
    let sum: f64 = generation.alternatives().iter().map(|(_, ln_p)| f64::from(*ln_p).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-5);
    let ((), spent) = measure(|| generation.by_ref().for_each(|step| assert!(step.is_ok())));
    assert_eq!(spent.calls, 0);
}

#[test]
fn scores_are_the_logarithms_of_the_probabilities() {
    let model = llama();
    let tokens = text(75, model.config().n_vocab);
    let mut session = Session::new(model.clone(), None).unwrap();
    session.forward(&[9, 9]).unwrap();
    for n in [1, 2, 64, 65, 66, 75] {
        let scores = session.score(&tokens[..n]).unwrap();
        assert_eq!(scores.len(), n - 1);
        let mut fresh = Session::new(model.clone(), None).unwrap();
        for (i, score) in scores.iter().enumerate() {
            let logits = fresh.forward(&tokens[i..=i]).unwrap();
            let max = logits.iter().copied().fold(f32::MIN, f32::max);
            let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
            let want = f64::from(logits[tokens[i + 1] as usize] - max) - sum.ln();
            assert!((score - want).abs() < 1e-6, "{score} {want}");
        }
    }
    refused(session.score(&[]), "argument", "empty");
    refused(session.score(&[99]), "argument", "token 99");
    refused(session.score(&[1; 81]), "limit", "81");
}

#[test]
fn an_embedding_is_pooled_and_of_length_one() {
    let model = llama();
    let tokens = text(70, model.config().n_vocab);
    let mut session = Session::new(model.clone(), None).unwrap();
    let mean = session.embed(&tokens, Pooling::Mean).unwrap();
    let last = session.embed(&tokens, Pooling::Last).unwrap();
    // the last norm, as a tap sees it
    struct Norms(Vec<f32>);
    impl pagelm::model::Tap for Norms {
        fn visit(&mut self, place: pagelm::model::Place, data: &mut [f32]) {
            if place.site == pagelm::model::Site::ResultNorm {
                self.0.extend_from_slice(data);
            }
        }
    }
    let mut norms = Norms(Vec::new());
    session.clear();
    for batch in tokens.chunks(MAX_BATCH) {
        session.forward_tapped(batch, &mut norms).unwrap();
    }
    let d = model.config().n_embd;
    let unit = |vector: Vec<f64>| {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.into_iter().map(|x| x / length).collect::<Vec<_>>()
    };
    let column = |i: usize| norms.0.iter().skip(i).step_by(d).map(|x| f64::from(*x));
    for (got, want) in [
        (&mean, unit((0..d).map(|i| column(i).sum()).collect())),
        (&last, unit((0..d).map(|i| column(i).next_back().unwrap()).collect())),
    ] {
        assert!(got.iter().zip(&want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6));
    }
    refused(session.embed(&[], Pooling::Mean), "argument", "empty");
    assert!(matches!(session.embed(&[1; 81], Pooling::Last), Err(Error::Limit(_))));
}

/// On a story that was written for this test, by the model that the page opens with.
#[test]
fn an_8_bit_cache_costs_less_than_a_hundredth_of_perplexity() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (model, gguf) = made::load(&std::fs::read(root.join("www/models/story.gguf")).unwrap());
    let text = std::fs::read_to_string(root.join("tests/fixtures/held-out.txt")).unwrap();
    let tokens = Tokenizer::from_metadata(&gguf.metadata).unwrap().encode_prompt(&text, false).unwrap();
    assert!(tokens.len() > 400);
    let perplexity = |cache_type| {
        let mut session = Session::with_cache_type(model.clone(), None, cache_type).unwrap();
        let scores = session.score(&tokens).unwrap();
        (-scores.iter().sum::<f64>() / scores.len() as f64).exp()
    };
    let [exact, f16, q8_0] = CACHE_TYPES.map(perplexity);
    println!(
        "perplexity {exact:.4}; f16 {:.4} %, q8_0 {:.4} % more",
        100.0 * (f16 / exact - 1.0),
        100.0 * (q8_0 / exact - 1.0)
    );
    assert!(exact < 20.0, "the model knows such texts: {exact}");
    assert!(q8_0 <= 1.01 * exact && f16 <= 1.001 * exact, "{f16} and {q8_0} for {exact}");
}
