//! Sessions from outside: the same bits however a text is cut, what bad calls get, and what is allocated when.

mod common;

use common::alloc::measure;
use common::made::{self, ARCHITECTURES, CACHE_TYPES, LAYOUTS, Shape, TINY};
use pagelm::error::Error;
use pagelm::kernels;
use pagelm::model::{CacheType, MAX_BATCH, Model, Place, Site, Tap};
use pagelm::quant::float::{f16_to_f32, f32_to_f16};
use pagelm::quant::{FORMATS, Format};
use pagelm::sampler::{Sampler, SamplerOptions};
use pagelm::session::{GenerateOptions, Generation, MAX_DRAFT, Session, Speculation, Step, StopReason};
use proptest::prelude::*;
use std::sync::Arc;

/// Rows of 256 for Q6_K and its like, more positions than one batch.
const SHAPE: Shape =
    Shape { n_layer: 1, n_embd: 256, n_head: 4, n_head_kv: 2, n_ff: 256, n_ctx: 80, n_pieces: 29, bytes: false };

/// Quicker, for many runs.
const QUICK: Shape = Shape { n_layer: 2, n_embd: 32, n_ff: 64, ..SHAPE };

fn text(n: u32, n_vocab: usize) -> Vec<u32> {
    (0..n).map(|i| (i * i + 3 * i) % n_vocab as u32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// The bits of every token's logits, the text being handed over in these pieces.
fn all_bits(model: &Arc<Model>, pieces: &[&[u32]]) -> Vec<u32> {
    cached_bits(model, CacheType::F32, pieces)
}

fn cached_bits(model: &Arc<Model>, cache_type: CacheType, pieces: &[&[u32]]) -> Vec<u32> {
    let mut session = Session::with_cache_type(model.clone(), None, cache_type).unwrap();
    pieces.iter().flat_map(|piece| bits(session.forward_all(piece).unwrap())).collect()
}

fn one_by_one(model: &Arc<Model>, tokens: &[u32]) -> Vec<u32> {
    all_bits(model, &tokens.chunks(1).collect::<Vec<_>>())
}

#[test]
fn prefill_in_batches_equals_token_by_token_in_bits() {
    for format in LAYOUTS {
        for make in ARCHITECTURES {
            let model = make(SHAPE, format).load();
            let tokens = text(70, model.config().n_vocab);
            let want = one_by_one(&model, &tokens);
            for size in [3, 4, 13, 64] {
                let got = all_bits(&model, &tokens.chunks(size).collect::<Vec<_>>());
                assert!(got == want, "{} {}, batches of {size}", model.config().architecture, format.name());
            }
        }
    }
}

/// Heads of 40, so that 8-bit blocks end short and outputs have columns outside every group; three of them share a key.
const ODD: Shape = Shape { n_layer: 2, n_embd: 240, n_head: 6, n_head_kv: 2, n_ff: 64, ..SHAPE };

#[test]
fn every_cache_type_gives_the_same_bits_however_a_text_is_cut() {
    let model = made::qwen2(ODD, Format::F32).load();
    let tokens = text(77, model.config().n_vocab);
    for cache_type in CACHE_TYPES {
        let want = cached_bits(&model, cache_type, &tokens.chunks(1).collect::<Vec<_>>());
        for size in [2, 7, 16, 33, 64] {
            let got = cached_bits(&model, cache_type, &tokens.chunks(size).collect::<Vec<_>>());
            assert!(got == want, "{}, batches of {size}", cache_type.name());
        }
    }
}

/// Rounds keys and values as a cache type says it rounds them, on their way into a cache that does not.
struct Rounded(CacheType, usize);

impl Tap for Rounded {
    fn visit(&mut self, place: Place, data: &mut [f32]) {
        if !matches!(place.site, Site::Kcur | Site::Vcur) {
            return;
        }
        for block in data.chunks_mut(self.1).flat_map(|head| head.chunks_mut(32)) {
            if self.0 == CacheType::F16 {
                block.iter_mut().for_each(|x| *x = f16_to_f32(f32_to_f16(*x)));
            } else {
                let largest = block.iter().fold(0f32, |max, x| max.max(x.abs()));
                for x in block {
                    *x = (*x * (127.0 / largest)).round_ties_even() * (largest / 127.0);
                }
            }
        }
    }
}

#[test]
fn a_rounded_cache_is_a_cache_of_rounded_values_in_bits() {
    let model = made::llama(ODD, Format::F32).load();
    let tokens = text(64, model.config().n_vocab);
    for cache_type in [CacheType::F16, CacheType::Q8_0] {
        let mut session = Session::new(model.clone(), None).unwrap();
        let mut tap = Rounded(cache_type, model.config().head_dim);
        let want = bits(session.forward_tapped(&tokens, &mut tap).unwrap());
        assert!(cached_bits(&model, cache_type, &[&tokens]) == want, "{}", cache_type.name());
        assert!(all_bits(&model, &[&tokens]) != want, "{} rounds", cache_type.name());
    }
}

/// A key beyond the range of f16.
#[test]
fn what_does_not_fit_into_a_cache_ends_in_an_error() {
    let mut made = made::qwen2(QUICK, Format::F32);
    let bias = &mut made.tensor("blk.0.attn_k.bias").bytes;
    *bias = 70_000f32.to_le_bytes().repeat(bias.len() / 4);
    let model = made.load();
    for (cache_type, fits) in [(CacheType::F32, true), (CacheType::F16, false), (CacheType::Q8_0, true)] {
        let session = Session::with_cache_type(model.clone(), None, cache_type).unwrap();
        let mut generation = Generation::new(session, &[1, 2], options(Some(3))).unwrap();
        assert_eq!(generation.all(|step| step.is_ok()), fits, "{}", cache_type.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cut_gives_the_same_bits(sizes in prop::collection::vec(1_usize..=64, 1..12), llama: bool) {
        let made = if llama { made::llama(QUICK, Format::Q8_0) } else { made::gpt2(QUICK, Format::Q4_0) };
        let model = made.load();
        let tokens = text(80, model.config().n_vocab);
        let mut rest = &tokens[..];
        let mut pieces = Vec::new();
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            pieces.extend((!piece.is_empty()).then_some(piece));
        }
        let n: usize = pieces.iter().map(|piece| piece.len()).sum();
        prop_assert_eq!(all_bits(&model, &pieces), one_by_one(&model, &tokens[..n]));
    }

    #[test]
    fn a_text_that_shares_a_beginning_gives_the_same_bits(
        texts in prop::collection::vec(prop::collection::vec(0_u32..2, 1..80), 2..5),
        llama: bool,
    ) {
        let made = if llama { made::llama(QUICK, Format::Q8_0) } else { made::gpt2(QUICK, Format::F16) };
        let model = made.load();
        let mut session = Session::new(model.clone(), None).unwrap();
        let mut before: Vec<u32> = Vec::new();
        for tokens in &texts {
            let shared = before.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(session.prepare(tokens).unwrap(), shared.min(tokens.len() - 1));
            while session.n_pending() > 0 {
                session.forward(&[]).unwrap();
            }
            let mut fresh = Session::new(model.clone(), None).unwrap();
            for piece in tokens.chunks(MAX_BATCH) {
                fresh.forward(piece).unwrap();
            }
            prop_assert_eq!(bits(session.logits()), bits(fresh.logits()));
            before.clone_from(tokens);
        }
    }
}

#[test]
fn a_prefill_ends_with_the_logits_of_the_last_token() {
    let model = made::llama(QUICK, Format::F32).load();
    let tokens = text(70, model.config().n_vocab);
    let mut session = Session::new(model, None).unwrap();
    let before = bits(session.forward(&tokens[..3]).unwrap());
    session.prepare(&tokens).unwrap();
    session.prefill().unwrap();
    assert_eq!((session.n_past(), bits(session.logits())), (67, before), "nobody asked for these");
    session.prefill().unwrap();
    let got = bits(session.logits());
    session.clear();
    session.forward(&tokens[..64]).unwrap();
    assert_eq!(bits(session.forward(&tokens[64..]).unwrap()), got);
    refused(session.prefill(), "argument", "0");
}

#[test]
fn a_prompt_given_again_computes_only_its_last_token() {
    let model = made::llama(QUICK, Format::F32).load();
    let mut session = Session::new(model.clone(), None).unwrap();
    let tokens = text(70, model.config().n_vocab);
    assert_eq!(session.prepare(&tokens).unwrap(), 0);
    session.forward(&[]).unwrap();
    assert_eq!((session.n_past(), session.n_pending()), (64, 6));
    // only what was computed counts as shared
    assert_eq!(session.prepare(&tokens).unwrap(), 64);
    let want = bits(session.forward(&[]).unwrap());
    assert_eq!(session.prepare(&tokens).unwrap(), 69);
    assert_eq!(bits(session.forward(&[]).unwrap()), want);
    assert_eq!(session.prepare(&tokens[..10]).unwrap(), 9);
    session.clear();
    assert_eq!(session.prepare(&tokens).unwrap(), 0);
}

fn options(max_tokens: Option<u32>) -> GenerateOptions {
    GenerateOptions { max_tokens, ..GenerateOptions::default() }
}

/// The tokens, and why it ended.
fn run(mut generation: Generation<Session>) -> (Vec<u32>, Option<StopReason>) {
    let mut tokens = Vec::new();
    for step in &mut generation {
        if let Step::Token { token, .. } = step.unwrap() {
            tokens.push(token);
        }
    }
    assert_eq!(tokens, generation.generated());
    (tokens, generation.stop_reason())
}

#[test]
fn a_generation_ends_for_one_of_three_reasons() {
    let model = made::gpt2(QUICK, Format::F32).load();
    let session = || Session::new(model.clone(), None).unwrap();
    let n_vocab = model.config().n_vocab as u32;
    let go = |prompt: &[u32], options| run(Generation::new(session(), prompt, options).unwrap());
    let (tokens, reason) = go(&[1, 2], options(Some(5)));
    assert_eq!((tokens.len(), reason), (5, Some(StopReason::MaxTokens)));
    assert_eq!(go(&[1, 2], options(Some(0))), (vec![], Some(StopReason::MaxTokens)));
    let (tokens, reason) = go(&text(70, n_vocab as usize), options(None));
    assert_eq!((tokens.len(), reason), (10, Some(StopReason::ContextFull)));
    assert_eq!(go(&text(80, n_vocab as usize), options(None)), (vec![], Some(StopReason::ContextFull)));
    let stop = GenerateOptions { stop_tokens: (0..n_vocab).collect(), ..options(None) };
    assert_eq!(go(&[1, 2], stop), (vec![], Some(StopReason::Eos)));
    // the same prompt and seed, the same text
    assert_eq!(go(&[1, 2], options(Some(40))), go(&[1, 2], options(Some(40))));
    let spelled = serde_json::to_string(&[StopReason::Eos, StopReason::MaxTokens, StopReason::ContextFull]).unwrap();
    assert_eq!(spelled, r#"["eos","maxTokens","contextFull"]"#);
}

#[test]
fn steps_are_bounded_and_report_the_models_own_probability() {
    let model = made::llama(QUICK, Format::F32).load();
    let prompt = text(70, model.config().n_vocab);
    let mut session = Session::new(model, None).unwrap();
    let mut generation = Generation::new(&mut session, &prompt, options(Some(2))).unwrap();
    assert_eq!(generation.next(), Some(Ok(Step::Prefill { n_done: 64, n_total: 70 })));
    assert_eq!(generation.next(), Some(Ok(Step::Prefill { n_done: 70, n_total: 70 })));
    let Some(Ok(Step::Token { token, probability })) = generation.next() else { panic!("a token comes next") };
    // Left in the middle, the session is as usable as ever, and knows its text.
    let session = generation.into_session();
    assert_eq!(kernels::probability(session.logits(), token as usize), probability);
    assert_eq!(session.tokens(), [&prompt[..], &[token]].concat());
    assert_eq!(session.prepare(&[&prompt[..], &[token, 1]].concat()).unwrap(), 70);
    session.forward(&[]).unwrap();
}

#[track_caller]
fn refused<T: core::fmt::Debug>(result: pagelm::Result<T>, code: &str, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn bad_calls_are_refused_and_change_nothing() {
    for make in ARCHITECTURES {
        let model = make(TINY, Format::F32).load();
        assert_eq!(model.config().n_vocab, 8);
        refused(Session::new(model.clone(), Some(0)), "argument", "context");
        let mut session = Session::new(model.clone(), Some(4)).unwrap();
        refused(session.forward(&[]), "argument", "0");
        session.forward(&[1, 2]).unwrap();
        let logits = bits(session.logits());
        refused(session.prepare(&[]), "argument", "empty");
        refused(session.prepare(&[1, 8]), "argument", "token 8");
        refused(session.prepare(&[1, u32::MAX]), "argument", "token 4294967295");
        refused(session.prepare(&[1; 5]), "limit", "5 tokens and the context holds 4");
        refused(session.accept(8), "argument", "token 8");
        refused(session.forward(&[1, 8]), "argument", "token 8");
        refused(session.forward(&[1, 1, 1]), "limit", "holds 4");
        refused(session.forward_all(&[9]), "argument", "token 9");
        refused(session.forward(&[]), "argument", "0");
        assert_eq!((session.tokens(), session.n_past()), (&[1, 2][..], 2));
        assert_eq!(bits(session.logits()), logits);
        session.forward(&[3, 4]).unwrap();
        refused(session.accept(1), "limit", "full");
        refused(session.forward(&[1]), "limit", "full");
        refused(Generation::new(&mut session, &[], options(None)), "argument", "empty");
        refused(Generation::new(&mut session, &[8], options(None)), "argument", "token 8");
        let sampler = SamplerOptions { top_p: 2.0, ..SamplerOptions::default() };
        refused(Generation::new(&mut session, &[1], GenerateOptions { sampler, ..options(None) }), "argument", "topP");
        assert_eq!(session.tokens(), [1, 2, 3, 4]);
        // a stop token that is not there stops nothing
        let odd = GenerateOptions { stop_tokens: vec![u32::MAX], ..options(Some(2)) };
        assert_eq!(Generation::new(session, &[1], odd).unwrap().filter(Result::is_ok).count(), 3);
    }
}

#[test]
fn a_context_beyond_all_memory_is_a_limit() {
    let model = made::llama(TINY, Format::F32).load();
    assert_eq!(Session::new(model.clone(), None).unwrap().n_ctx(), 16);
    let needed = Session::bytes_needed(model.config(), u32::MAX as usize, CacheType::F32);
    assert!(needed > 100 << 30, "{needed}");
    refused(Session::new(model, Some(u32::MAX)), "limit", "memory");
    let model = made::gpt2(TINY, Format::F32).load();
    refused(Session::new(model, Some(17)), "argument", "positions for 16");
    let mut long = made::llama(TINY, Format::F32);
    long.set("llama.context_length", pagelm::gguf::Value::Int(u32::MAX.into()));
    assert_eq!(Session::new(long.load(), None).unwrap().n_ctx(), 2048);
}

/// Finite weights whose products are not.
#[test]
fn a_model_that_computes_no_numbers_ends_in_an_error() {
    let mut made = made::llama(TINY, Format::F32);
    for tensor in made.tensors.iter_mut().filter(|tensor| tensor.name.ends_with("ffn_down.weight")) {
        tensor.bytes =
            [f32::MAX, f32::MIN].iter().flat_map(|x| x.to_le_bytes()).cycle().take(tensor.bytes.len()).collect();
    }
    for scale in ["blk.0.ffn_norm.weight", "output_norm.weight"] {
        made.tensor(scale).bytes = 1e30f32.to_le_bytes().repeat(8);
    }
    let mut generation = Generation::new(Session::new(made.load(), None).unwrap(), &[1, 2], options(None)).unwrap();
    assert!(matches!(generation.next(), Some(Ok(Step::Prefill { .. }))));
    let Some(Err(error)) = generation.next() else { panic!("an error comes next") };
    assert!(matches!(&error, Error::Format(text) if text.contains("the model computed")), "{error}");
    assert_eq!(generation.next(), None);
    assert_eq!(generation.stop_reason(), None);
}

#[test]
fn after_the_first_token_nothing_is_allocated() {
    for format in LAYOUTS {
        for make in ARCHITECTURES {
            let model = make(SHAPE, format).load();
            let mut session = Session::new(model.clone(), None).unwrap();
            // with penalties, and the other stages that are on by default
            let sampling = SamplerOptions {
                repeat_penalty: 1.1,
                presence_penalty: 0.1,
                frequency_penalty: 0.1,
                ..SamplerOptions::default()
            };
            let mut sampler = Sampler::new(sampling, model.config().n_vocab).unwrap();
            session.forward(&text(5, model.config().n_vocab)).unwrap();
            let token = sampler.sample(session.logits(), session.tokens()).unwrap();
            session.accept(token).unwrap();
            let ((), spent) = measure(|| {
                for _ in 0..8 {
                    session.forward(&[]).unwrap();
                    let token = sampler.sample(session.logits(), session.tokens()).unwrap();
                    session.accept(token).unwrap();
                }
                // nor by a prefill as large as they get
                session.forward(&[1; 60]).unwrap();
            });
            assert_eq!((spent.calls, spent.peak), (0, 0), "{} {}", model.config().architecture, format.name());
            let mut generation = Generation::new(session, &[1, 2, 3], options(Some(20))).unwrap();
            assert!(generation.by_ref().take(3).all(|step| step.is_ok()));
            let (n, spent) = measure(|| generation.by_ref().filter(|step| step.is_ok()).count());
            assert_eq!((n, spent.calls), (18, 0), "{} {}", model.config().architecture, format.name());
        }
    }
}

/// With room for as many tokens as the model that it guesses for, and with less: then it falls silent.
#[test]
fn a_draft_model_allocates_nothing_after_the_first_token() {
    let model = made::llama(SHAPE, Format::F32).load();
    for n_ctx in [SHAPE.n_ctx, SHAPE.n_ctx / 2] {
        let draft = made::llama(Shape { n_ctx, ..SHAPE }, Format::Q8_0).load();
        let options = GenerateOptions { speculation: Speculation::Draft(draft), ..options(None) };
        let mut generation = Generation::new(Session::new(model.clone(), None).unwrap(), &[1, 2, 3], options).unwrap();
        assert!(generation.by_ref().take(3).all(|step| step.is_ok()));
        let (n, spent) = measure(|| generation.by_ref().filter(|step| step.is_ok()).count());
        assert!(n > 40, "{n}");
        assert_eq!((spent.calls, spent.held), (0, 0), "{n_ctx}");
    }
}

/// Lookup included, whose drafts are as long as they get: such a model repeats itself.
#[test]
fn a_text_to_the_end_of_a_long_context_holds_its_memory_flat() {
    let shape = Shape { n_ctx: 4096, n_embd: 16, n_ff: 16, n_layer: 1, ..SHAPE };
    let model = made::llama(shape, Format::F32).load();
    for (cache_type, speculation) in [(CacheType::F32, Speculation::Off), (CacheType::Q8_0, Speculation::Lookup)] {
        let session = Session::with_cache_type(model.clone(), Some(4096), cache_type).unwrap();
        let sampler = SamplerOptions { temperature: 0.0, ..SamplerOptions::default() };
        let options = GenerateOptions { sampler, speculation, ..options(None) };
        let mut generation = Generation::new(session, &text(5, model.config().n_vocab), options).unwrap();
        assert!(generation.by_ref().take(2).all(|step| step.is_ok()));
        let (n, spent) = measure(|| generation.by_ref().filter(|step| step.is_ok()).count());
        assert_eq!((n, spent.calls, spent.held), (4096 - 6, 0, 0));
        assert_eq!(generation.stop_reason(), Some(StopReason::ContextFull));
    }
}

/// Everything that a generation shows: tokens with the bits of their probabilities, and why it ended.
fn seen(generation: &mut Generation<Session>) -> (Vec<(u32, u32)>, Option<StopReason>) {
    let token = |step: pagelm::Result<Step>| match step.unwrap() {
        Step::Token { token, probability } => Some((token, probability.to_bits())),
        Step::Prefill { .. } | Step::Logits => None,
    };
    (generation.filter_map(token).collect(), generation.stop_reason())
}

/// 200 prompts, greedy and sampled, ending in every way, from sessions that are used again and again: with guesses from the
/// text and from two other models, one alike (the same weights in 4 bits) and one that has nothing in common.
#[test]
fn guessing_changes_nothing_in_200_texts() {
    let model = made::llama(QUICK, Format::F32).load();
    let (alike, unlike) = (made::llama(QUICK, Format::Q4_0).load(), made::gpt2(QUICK, Format::F32).load());
    let n_vocab = model.config().n_vocab;
    assert_eq!(n_vocab, unlike.config().n_vocab);
    let new = |cache_type| Session::with_cache_type(model.clone(), None, cache_type).unwrap();
    let sources = [Speculation::Lookup, Speculation::Draft(alike), Speculation::Draft(unlike)];
    let mut totals = [(0, 0); 3];
    let mut sessions = sources.clone().map(|source| (source, Some(new(CacheType::F32))));
    for i in 0..200_u32 {
        let prompt: Vec<u32> =
            (0..1 + i * 7 % 70).map(|k| (k * k * (i % 5) + k * i + i / 3) % n_vocab as u32).collect();
        let sampler = SamplerOptions {
            temperature: [0.0, 0.3, 0.8, 1.5][i as usize % 4],
            repeat_penalty: [1.0, 1.2][i as usize / 4 % 2],
            seed: i,
            ..SamplerOptions::default()
        };
        let stop_tokens = if i % 3 == 0 { vec![i % n_vocab as u32] } else { Vec::new() };
        let max_tokens = (i % 2 == 0).then_some(1 + i % 40);
        let plain = GenerateOptions { sampler, max_tokens, stop_tokens, ..GenerateOptions::default() };
        let mut reference = Generation::new(new(CacheType::F32), &prompt, plain.clone()).unwrap();
        let want = seen(&mut reference);
        assert_eq!(reference.drafted(), Default::default());
        for (k, ((source, session), total)) in sessions.iter_mut().zip(&mut totals).enumerate() {
            let options = GenerateOptions { speculation: source.clone(), ..plain.clone() };
            let mut generation = Generation::new(session.take().unwrap(), &prompt, options).unwrap();
            assert_eq!(seen(&mut generation), want, "text {i}, source {k}");
            let drafted = generation.drafted();
            assert!(drafted.accepted <= drafted.proposed);
            *total = (total.0 + drafted.proposed, total.1 + drafted.accepted);
            *session = Some(generation.into_session());
        }
    }
    println!("proposed and accepted: {totals:?}");
    let [lookup, alike, unlike] = totals;
    assert!(lookup.1 > 500 && alike.1 > 500, "guesses must come true for the test to mean something: {totals:?}");
    assert!(lookup.0 > lookup.1 && alike.0 > alike.1 && unlike.0 > unlike.1, "and must fail: {totals:?}");
}

#[test]
fn what_was_foreseen_is_taken_or_forgotten() {
    for cache_type in CACHE_TYPES {
        let model = made::qwen2(QUICK, Format::Q8_0).load();
        let n_vocab = model.config().n_vocab;
        let tokens = text(30, n_vocab);
        let new = || Session::with_cache_type(model.clone(), None, cache_type).unwrap();
        let plain = |tokens: &[u32]| {
            let mut session = new();
            bits(session.forward(tokens).unwrap())
        };
        let mut session = new();
        refused(session.foresee(&[1]), "argument", "pending");
        session.forward(&tokens[..10]).unwrap();
        session.accept(tokens[10]).unwrap();
        refused(session.foresee(&[n_vocab as u32]), "argument", "token");
        refused(session.foresee(&[1; 70]), "limit", "full");
        refused(session.foresee(&[1; 64]), "argument", "64");
        assert_eq!((session.tokens(), session.n_pending()), (&tokens[..11], 1));
        // two of three come, then another one
        let draft = [tokens[11], tokens[12], (tokens[13] + 1) % n_vocab as u32];
        assert_eq!(bits(session.foresee(&draft).unwrap()), plain(&tokens[..11]));
        for i in 11..13 {
            assert_eq!((session.n_pending(), session.n_foreseen(), session.tokens()), (0, 14 - i, &tokens[..i]));
            session.accept(tokens[i]).unwrap();
            assert_eq!(bits(session.logits()), plain(&tokens[..=i]));
        }
        session.accept(tokens[13]).unwrap();
        assert_eq!((session.n_pending(), session.n_foreseen()), (1, 0));
        assert_eq!(bits(session.forward(&[]).unwrap()), plain(&tokens[..14]));
        // a new text, a call without a draft, and an empty draft forget it too
        session.accept(tokens[14]).unwrap();
        session.foresee(&[tokens[15]]).unwrap();
        assert_eq!(session.prepare(&tokens[..20]).unwrap(), 15);
        assert_eq!(bits(session.forward(&[]).unwrap()), plain(&tokens[..20]));
        session.accept(tokens[20]).unwrap();
        session.foresee(&[tokens[21], 0]).unwrap();
        assert_eq!(bits(session.forward(&tokens[21..23]).unwrap()), plain(&tokens[..23]));
        session.accept(tokens[23]).unwrap();
        assert_eq!(bits(session.foresee(&[]).unwrap()), plain(&tokens[..24]));
        // up to the context's end, and past it
        let whole = text(80, n_vocab);
        session.prepare(&whole[..78]).unwrap();
        while session.n_pending() > 0 {
            session.forward(&[]).unwrap();
        }
        session.accept(whole[78]).unwrap();
        refused(session.foresee(&[0, 0]), "limit", "full");
        session.foresee(&whole[79..]).unwrap();
        session.accept(whole[79]).unwrap();
        refused(session.accept(0), "limit", "full");
        assert_eq!((session.n_pending(), session.tokens().len()), (0, 80));
    }
    let model = made::llama(TINY, Format::F32).load();
    let other = made::llama(Shape { n_pieces: 6, ..TINY }, Format::F32).load();
    let odd = GenerateOptions { speculation: Speculation::Draft(other), ..options(None) };
    let session = Session::new(model, None).unwrap();
    refused(Generation::new(session, &[1], odd).map(|_| ()), "argument", "vocabulary");
    const { assert!(MAX_DRAFT < MAX_BATCH) };
}

#[test]
fn memory_is_what_was_announced() {
    for format in FORMATS.iter().map(|row| row.format) {
        for make in ARCHITECTURES {
            let file = make(SHAPE, format).write();
            let ((model, gguf), weights) = measure(|| made::load(&file));
            let (needed, held) = (Model::bytes_needed(&gguf) as f64, weights.held as f64);
            let what = format!("{} {}: weights {held} of {needed}", model.config().architecture, format.name());
            // besides the weights there are names and metadata
            assert!(held >= 0.99 * needed && held <= 1.02 * needed + 65_536.0, "{what}");
            let exact = model.weight_bytes() as f64;
            assert!(exact <= needed && exact >= 0.95 * needed, "{what}, matrices {exact}");
            for (n_ctx, cache_type) in [1, 70, 80].into_iter().flat_map(|n| CACHE_TYPES.map(|c| (n, c))) {
                let needed = Session::bytes_needed(model.config(), n_ctx, cache_type) as f64;
                let make = || Session::with_cache_type(model.clone(), Some(n_ctx as u32), cache_type).unwrap();
                let (_session, spent) = measure(make);
                let (held, peak) = (spent.held as f64, spent.peak as f64);
                let what = format!("{} n_ctx {n_ctx}: session {held} of {needed}", model.config().architecture);
                assert!(peak <= needed + 1024.0 && held >= 0.75 * needed - 1024.0, "{what}");
            }
        }
    }
}
