//! The sampler from outside: what it chooses, how often, and what it refuses.

use pagelm::Error;
use pagelm::sampler::{Rng, Sampler, SamplerOptions};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts this thread's allocations.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// No stage but the draw at temperature 1.
fn plain() -> SamplerOptions {
    SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 42, ..SamplerOptions::default() }
}

fn greedy() -> SamplerOptions {
    SamplerOptions { temperature: 0.0, ..SamplerOptions::default() }
}

fn sampler(options: SamplerOptions, n_vocab: usize) -> Sampler {
    Sampler::new(options, n_vocab).unwrap()
}

fn choose(options: SamplerOptions, logits: &[f32], history: &[u32]) -> u32 {
    sampler(options, logits.len()).sample(logits, history).unwrap()
}

/// How often each token is drawn, as a share of 20,000.
fn shares(options: SamplerOptions, logits: &[f32], history: &[u32]) -> Vec<f64> {
    let mut sampler = sampler(options, logits.len());
    let mut counts = vec![0.0; logits.len()];
    for _ in 0..20_000 {
        counts[sampler.sample(logits, history).unwrap() as usize] += 1.0 / 20_000.0;
    }
    counts
}

/// At 20,000 draws the standard deviation of a share is at most 0.0036.
fn assert_shares(options: SamplerOptions, logits: &[f32], want: &[f64]) {
    let got = shares(options, logits, &[]);
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 0.015), "{got:?} for {want:?}");
}

fn ln(probs: [f32; 4]) -> [f32; 4] {
    probs.map(f32::ln)
}

#[test]
fn the_defaults_are_those_of_llama_cpp() {
    let options = SamplerOptions::default();
    assert_eq!((options.temperature, options.top_k, options.top_p, options.min_p), (0.8, 40, 0.95, 0.05));
    assert_eq!((options.repeat_penalty, options.repeat_last_n), (1.0, 64));
    assert_eq!((options.presence_penalty, options.frequency_penalty), (0.0, 0.0));
}

#[test]
fn options_cross_as_camel_case_and_unknown_ones_are_refused() {
    let options: SamplerOptions = serde_json::from_str(r#"{"topK": 5, "repeatLastN": 7, "minP": 0}"#).unwrap();
    assert_eq!(options, SamplerOptions { top_k: 5, repeat_last_n: 7, min_p: 0.0, ..SamplerOptions::default() });
    let error = serde_json::from_str::<SamplerOptions>(r#"{"topk": 5}"#).unwrap_err();
    assert!(error.to_string().contains("topk"), "{error}");
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<SamplerOptions>(&text).unwrap(), options);
}

#[test]
fn draws_follow_the_distribution_of_each_stage() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    assert_shares(plain(), &logits, &[0.1, 0.4, 0.3, 0.2]);
    // squared and divided by 0.3
    assert_shares(SamplerOptions { temperature: 0.5, ..plain() }, &logits, &[0.033, 0.533, 0.3, 0.133]);
    // square roots, divided by their sum
    assert_shares(SamplerOptions { temperature: 2.0, ..plain() }, &logits, &[0.163, 0.326, 0.282, 0.230]);
    assert_shares(SamplerOptions { top_k: 2, ..plain() }, &logits, &[0.0, 0.571, 0.429, 0.0]);
    assert_shares(SamplerOptions { top_p: 0.75, ..plain() }, &logits, &[0.0, 0.444, 0.333, 0.222]);
    assert_shares(SamplerOptions { min_p: 0.6, ..plain() }, &logits, &[0.0, 0.571, 0.429, 0.0]);
}

#[test]
fn bias_and_bans_change_the_distribution_before_all_else() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    let biased = SamplerOptions { logit_bias: vec![(0, core::f32::consts::LN_2)], ..plain() };
    assert_shares(biased, &logits, &[0.2 / 1.1, 0.4 / 1.1, 0.3 / 1.1, 0.2 / 1.1]);
    let banned = SamplerOptions { banned_tokens: vec![1], ..plain() };
    assert_shares(banned.clone(), &logits, &[0.1 / 0.6, 0.0, 0.3 / 0.6, 0.2 / 0.6]);
    assert_shares(SamplerOptions { top_k: 1, ..banned }, &logits, &[0.0, 0.0, 1.0, 0.0]);
    let all = SamplerOptions { banned_tokens: vec![0, 1, 2, 3], top_n_sigma: 1.0, ..plain() };
    let error = sampler(all, 4).sample(&logits, &[]).unwrap_err();
    assert!(matches!(&error, Error::Argument(text) if text.contains("barred")), "{error}");
}

/// The logits are −2.303, −0.916, −1.204 and −1.609: their standard deviation is 0.5206.
#[test]
fn top_n_sigma_keeps_what_is_near_the_largest() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    let with = |top_n_sigma| SamplerOptions { top_n_sigma, ..plain() };
    assert_shares(with(0.5), &logits, &[0.0, 1.0, 0.0, 0.0]);
    assert_shares(with(1.0), &logits, &[0.0, 0.4 / 0.7, 0.3 / 0.7, 0.0]);
    assert_shares(with(2.0), &logits, &[0.0, 0.4 / 0.9, 0.3 / 0.9, 0.2 / 0.9]);
    assert_shares(with(3.0), &logits, &[0.1, 0.4, 0.3, 0.2]);
    // what is barred does not widen it
    let one_more = [logits[0], logits[1], logits[2], logits[3], f32::NEG_INFINITY];
    assert_shares(with(1.0), &one_more, &[0.0, 0.4 / 0.7, 0.3 / 0.7, 0.0, 0.0]);
}

/// The entropy is 1.2799; the surprises 2.3026, 0.9163, 1.2040 and 1.6094 are 1.023, 0.364, 0.076 and 0.330 away from it.
#[test]
fn typical_keeps_the_expected_surprise() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    let with = |typical_p| SamplerOptions { typical_p, ..plain() };
    assert_shares(with(0.0), &logits, &[0.0, 0.0, 1.0, 0.0]);
    assert_shares(with(0.4), &logits, &[0.0, 0.0, 0.6, 0.4]);
    assert_shares(with(0.6), &logits, &[0.0, 0.4 / 0.9, 0.3 / 0.9, 0.2 / 0.9]);
    assert_shares(with(0.95), &logits, &[0.1, 0.4, 0.3, 0.2]);
    // after top-k, and before top-p: of the best two, with p = 0.571 and 0.429, the latter is the more typical
    // (entropy 0.683, surprises 0.560 and 0.847)
    assert_shares(SamplerOptions { top_k: 2, ..with(0.1) }, &logits, &[0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn xtc_leaves_out_all_top_choices_but_the_last() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    let with = |xtc_probability, xtc_threshold| SamplerOptions { xtc_probability, xtc_threshold, ..plain() };
    assert_shares(with(1.0, 0.25), &logits, &[0.1 / 0.6, 0.0, 0.3 / 0.6, 0.2 / 0.6]);
    assert_shares(with(1.0, 0.15), &logits, &[0.1 / 0.3, 0.0, 0.0, 0.2 / 0.3]);
    assert_shares(with(1.0, 0.0), &logits, &[1.0, 0.0, 0.0, 0.0]);
    assert_shares(with(1.0, 0.35), &logits, &[0.1, 0.4, 0.3, 0.2]);
    assert_shares(with(1.0, 0.6), &logits, &[0.1, 0.4, 0.3, 0.2]);
    // half of the draws
    assert_shares(with(0.5, 0.25), &logits, &[0.05 + 0.05 / 0.6, 0.2, 0.15 + 0.15 / 0.6, 0.1 + 0.1 / 0.6]);
    // of equal ones the last stays
    assert_shares(with(1.0, 0.2), &ln([0.3, 0.3, 0.3, 0.1]), &[0.0, 0.0, 0.75, 0.25]);
}

/// H / ln 4 = 1.2799 / 1.3863 = 0.9232.
#[test]
fn entropy_moves_the_temperature() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    let at = |temperature| shares(SamplerOptions { temperature, ..plain() }, &logits, &[]);
    let moved = |temperature, dynatemp_range, dynatemp_exponent| {
        shares(SamplerOptions { temperature, dynatemp_range, dynatemp_exponent, ..plain() }, &logits, &[])
    };
    // 0.5 + 1 · 0.9232 = 1.4232, at which the shares are p^0.7026 / 1.4755
    for (got, want) in moved(1.0, 0.5, 1.0).iter().zip([0.1344, 0.3560, 0.2909, 0.2187]) {
        assert!((got - want).abs() < 0.015, "{got} for {want}");
    }
    // the same draws as at that temperature
    assert_eq!(moved(1.0, 0.5, 1.0), at(1.423_22));
    assert_eq!(moved(1.0, 0.5, 2.0), at(0.5 + 0.852_335));
    assert_eq!(moved(1.0, 0.5, 0.0), at(1.5));
    // no lower than 0: 0 + 1.5 · 0.9232
    assert_eq!(moved(0.5, 1.0, 1.0), at(1.384_83));
    // one candidate has no entropy to go by, and no entropy means the least temperature
    assert_shares(SamplerOptions { dynatemp_range: 1.0, top_k: 1, ..plain() }, &logits, &[0.0, 1.0, 0.0, 0.0]);
    let sure = [0.0, 200.0, 0.0, 0.0];
    assert_shares(SamplerOptions { dynatemp_range: 1.0, ..plain() }, &sure, &[0.0, 1.0, 0.0, 0.0]);
}

/// The surprises are 3.322, 1.322, 1.737 and 2.322 bits.
#[test]
fn mirostat_keeps_to_a_surprise() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    let with = |mirostat_tau, mirostat_eta| SamplerOptions { mirostat: 2, mirostat_tau, mirostat_eta, ..plain() };
    // a limit of twice tau that does not move
    assert_shares(with(0.5, 0.0), &logits, &[0.0, 1.0, 0.0, 0.0]);
    assert_shares(with(1.0, 0.0), &logits, &[0.0, 0.4 / 0.7, 0.3 / 0.7, 0.0]);
    assert_shares(with(1.25, 0.0), &logits, &[0.0, 0.4 / 0.9, 0.3 / 0.9, 0.2 / 0.9]);
    assert_shares(with(1.7, 0.0), &logits, &[0.1, 0.4, 0.3, 0.2]);
    // other stages have no say, and the temperature comes first: at ½ the surprises are 4.907, 0.907, 1.737, 2.907
    assert_shares(
        SamplerOptions { top_k: 1, min_p: 0.9, ..with(1.0, 0.0) },
        &logits,
        &[0.0, 0.4 / 0.7, 0.3 / 0.7, 0.0],
    );
    assert_shares(SamplerOptions { temperature: 0.5, ..with(1.25, 0.0) }, &logits, &[0.0, 0.64, 0.36, 0.0]);
    // the limit learns: 2 − 0.1 · (surprise − 1), where the surprise is that among what was kept
    let mut sampler = sampler(with(1.0, 0.1), 4);
    assert_eq!(sampler.state().mu, 2.0);
    let surprise = if sampler.sample(&logits, &[]).unwrap() == 1 { 0.807_355 } else { 1.222_392 };
    assert!((sampler.state().mu - (2.0 - 0.1 * (surprise - 1.0))).abs() < 1e-6, "{:?}", sampler.state());
    // and over many draws it settles: its sum of corrections is bounded, so the mean surprise is tau
    let flat: Vec<f32> = (0..500).map(|i| -(i as f32) / 50.0).collect();
    let mut sampler = self::sampler(with(4.0, 0.1), 500);
    for _ in 0..5_000 {
        sampler.sample(&flat, &[]).unwrap();
        assert!((4.0..9.0).contains(&sampler.state().mu), "{:?}", sampler.state());
    }
}

#[test]
fn dry_penalizes_what_lengthens_a_repetition() {
    let with = |dry_allowed_length, dry_multiplier, dry_base| SamplerOptions {
        dry_allowed_length,
        dry_multiplier,
        dry_base,
        ..greedy()
    };
    let breaker = |token| SamplerOptions { dry_breakers: vec![token], ..with(2, 1.0, 2.0) };
    let window = |dry_penalty_last_n| SamplerOptions { dry_penalty_last_n, ..with(2, 1.0, 2.0) };
    // what token 3 loses behind this text
    for (options, history, loss) in [
        // the last three tokens stood there before, with 3 behind them: 1 · 2^(3 − 2)
        (with(2, 1.0, 2.0), &[0, 1, 2, 3, 0, 1, 2][..], 2.0),
        (with(1, 1.0, 2.0), &[0, 1, 2, 3, 0, 1, 2], 4.0),
        (with(3, 1.5, 2.0), &[0, 1, 2, 3, 0, 1, 2], 1.5),
        (with(4, 1.0, 2.0), &[0, 1, 2, 3, 0, 1, 2], 0.0),
        (with(2, 0.5, 3.0), &[4, 0, 1, 2, 3, 4, 0, 1, 2], 4.5),
        // of two copies the longer counts, wherever it is
        (with(2, 1.0, 2.0), &[1, 2, 3, 0, 1, 2, 3, 0, 1, 2], 16.0),
        (with(2, 1.0, 2.0), &[0, 1, 2, 3, 4, 1, 2, 3, 0, 1, 2], 2.0),
        // a copy does not reach past a breaker, and a breaker loses nothing
        (breaker(0), &[0, 1, 2, 3, 0, 1, 2], 1.0),
        (breaker(1), &[0, 1, 2, 3, 0, 1, 2], 0.0),
        (breaker(3), &[0, 1, 2, 3, 0, 1, 2], 0.0),
        // nor past the window
        (window(7), &[0, 1, 2, 3, 0, 1, 2], 2.0),
        (window(6), &[0, 1, 2, 3, 0, 1, 2], 1.0),
        (window(5), &[0, 1, 2, 3, 0, 1, 2], 0.0),
        (with(2, 1.0, 2.0), &[], 0.0),
    ] {
        let logits = |other| [-50.0, -50.0, -50.0, 5.0, -50.0, other];
        let what = format!("{options:?} {history:?}");
        assert_eq!(choose(options.clone(), &logits(5.0 - loss - 0.01), history), 3, "{what}");
        assert_eq!(choose(options, &logits(5.0 - loss + 0.01), history), 5, "{what}");
    }
}

#[test]
fn stages_stand_in_the_order_of_llama_cpp() {
    let logits = ln([0.1, 0.4, 0.3, 0.2]);
    // top-k first: of the two that it leaves, the better one has 0.571 of the whole
    assert_shares(SamplerOptions { top_k: 2, top_p: 0.5, ..plain() }, &logits, &[0.0, 1.0, 0.0, 0.0]);
    // temperature comes last: at 10, all would be more than 0.6 times as probable as the best one
    let options = SamplerOptions { min_p: 0.6, temperature: 10.0, ..plain() };
    assert_shares(options, &logits, &[0.0, 0.507, 0.493, 0.0]);
    // penalties come before everything: they take the best one out of top-k's reach
    let options = SamplerOptions { top_k: 1, presence_penalty: 5.0, ..plain() };
    assert!(shares(options, &logits, &[1])[2] > 0.999);
}

#[test]
fn greedy_takes_the_largest_and_of_equal_ones_the_lowest_id() {
    assert_eq!(choose(greedy(), &[0.0, 3.0, 1.0], &[]), 1);
    assert_eq!(choose(greedy(), &[1.0, 3.0, 3.0, 3.0], &[]), 1);
    assert_eq!(choose(greedy(), &[-0.0, 0.0, -0.0], &[]), 0);
    assert_eq!(choose(greedy(), &[f32::NEG_INFINITY, -1e30, f32::MIN], &[]), 1);
    assert_eq!(choose(SamplerOptions { temperature: -1.0, ..greedy() }, &[0.0, 1.0], &[]), 1);
    // and draws no number
    let mut sampler = sampler(greedy(), 2);
    sampler.sample(&[0.0, 1.0], &[]).unwrap();
    assert_eq!(sampler.state().rng, Rng::new(0).state());
}

#[test]
fn penalties_are_those_of_llama_cpp() {
    let with = |repeat_penalty, presence_penalty, frequency_penalty| SamplerOptions {
        repeat_penalty,
        presence_penalty,
        frequency_penalty,
        ..greedy()
    };
    // Token 0 has the larger logit until a penalty takes it below token 1.
    for (options, logit, other, history, want) in [
        (with(1.0, 0.0, 0.0), 2.0, 1.9, &[0, 0][..], 0),
        // positive logits are divided: 2 / 1.6 = 1.25
        (with(1.6, 0.0, 0.0), 2.0, 1.24, &[0], 0),
        (with(1.6, 0.0, 0.0), 2.0, 1.26, &[0], 1),
        // negative ones are multiplied: −1 · 1.5
        (with(1.5, 0.0, 0.0), -1.0, -1.49, &[0], 1),
        (with(1.5, 0.0, 0.0), -1.0, -1.51, &[0], 0),
        // how often does not matter to these
        (with(1.6, 0.0, 0.0), 2.0, 1.24, &[0, 0, 0], 0),
        (with(1.0, 0.5, 0.0), 2.0, 1.49, &[0, 0, 0], 0),
        (with(1.0, 0.5, 0.0), 2.0, 1.51, &[0], 1),
        // but to this: 2 − 3 · 0.5
        (with(1.0, 0.0, 0.5), 2.0, 0.51, &[0, 0, 0], 1),
        (with(1.0, 0.0, 0.5), 2.0, 0.49, &[0, 0, 0], 0),
        // all together: 2 / 2 − (2 · 0.25 + 0.25)
        (with(2.0, 0.25, 0.25), 2.0, 0.24, &[0, 0], 0),
        (with(2.0, 0.25, 0.25), 2.0, 0.26, &[0, 0], 1),
        // a negative penalty favours
        (with(1.0, -1.0, 0.0), 2.0, 2.9, &[0], 0),
    ] {
        assert_eq!(choose(options.clone(), &[logit, other], history), want, "{options:?} {other} {history:?}");
    }
}

#[test]
fn penalties_look_at_the_last_tokens_only() {
    let options = |repeat_last_n| SamplerOptions { presence_penalty: 1.0, repeat_last_n, ..greedy() };
    let logits = [2.0, 1.5, 0.0];
    for (n, want) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (u32::MAX, 1)] {
        assert_eq!(choose(options(n), &logits, &[0, 2, 2]), want, "{n}");
    }
    // what a call counted is forgotten in the next
    let mut sampler = sampler(options(64), 3);
    assert_eq!(sampler.sample(&logits, &[0]).unwrap(), 1);
    assert_eq!(sampler.sample(&logits, &[]).unwrap(), 0);
}

#[test]
fn one_seed_is_one_sequence_and_its_state_can_be_saved() {
    let logits: Vec<f32> = (0..100).map(|i| (i as f32 * 0.7).sin()).collect();
    let run = |sampler: &mut Sampler| (0..50).map(|_| sampler.sample(&logits, &[]).unwrap()).collect::<Vec<_>>();
    let mut first = sampler(SamplerOptions { seed: 7, ..SamplerOptions::default() }, 100);
    let mut again = first.clone();
    let tokens = run(&mut first);
    assert_eq!(tokens, run(&mut again));
    assert_ne!(tokens, run(&mut sampler(SamplerOptions { seed: 8, ..SamplerOptions::default() }, 100)));
    again.set_state(first.state());
    assert_eq!(run(&mut first), run(&mut again));
}

#[test]
fn these_draws_are_for_all_times() {
    // If this fails, seeds that people noted no longer give the texts they gave.
    let logits: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32) / 16.0).collect();
    let mut sampler = sampler(SamplerOptions { seed: 1, ..SamplerOptions::default() }, 64);
    let tokens: Vec<u32> = (0..12).map(|_| sampler.sample(&logits, &[]).unwrap()).collect();
    assert_eq!(tokens, [62, 29, 58, 5, 5, 48, 34, 43, 12, 3, 50, 17]);
}

#[test]
fn nothing_is_allocated_after_new() {
    let n_vocab = 10_000;
    let logits: Vec<f32> = (0..n_vocab).map(|i| (i as f32).sin() * 3.0).collect();
    let history: Vec<u32> = (0..100).map(|i| i * 7 % 50).collect();
    for options in [
        SamplerOptions::default(),
        SamplerOptions { repeat_penalty: 1.1, ..SamplerOptions::default() },
        SamplerOptions { top_k: 0, top_p: 0.9, ..plain() },
        SamplerOptions { typical_p: 0.5, top_n_sigma: 3.0, xtc_probability: 0.5, dynatemp_range: 0.5, ..plain() },
        SamplerOptions { mirostat: 2, dry_multiplier: 1.0, dry_breakers: vec![3], banned_tokens: vec![1], ..plain() },
        SamplerOptions { top_k: 5_000, top_p: 0.999, ..plain() },
        plain(),
        greedy(),
    ] {
        let mut sampler = sampler(options, n_vocab);
        let before = ALLOCATIONS.get();
        for _ in 0..3 {
            sampler.sample(&logits, &history).unwrap();
        }
        assert_eq!(ALLOCATIONS.get(), before, "{:?}", sampler.options());
    }
}

#[test]
fn options_out_of_range_are_named_with_value_and_range() {
    let base = SamplerOptions::default;
    for (options, says) in [
        (SamplerOptions { temperature: f32::NAN, ..base() }, "temperature is NaN"),
        (SamplerOptions { temperature: f32::INFINITY, ..base() }, "temperature is inf"),
        (SamplerOptions { top_p: 1.5, ..base() }, "topP is 1.5; it must be from 0 to 1"),
        (SamplerOptions { top_p: -0.1, ..base() }, "topP is -0.1"),
        (SamplerOptions { min_p: f32::NAN, ..base() }, "minP is NaN"),
        (SamplerOptions { min_p: 2.0, ..base() }, "minP is 2"),
        (SamplerOptions { repeat_penalty: 0.0, ..base() }, "repeatPenalty is 0; it must be from 0.0001 to 100"),
        (SamplerOptions { repeat_penalty: f32::NAN, ..base() }, "repeatPenalty is NaN"),
        (SamplerOptions { presence_penalty: 1e9, ..base() }, "presencePenalty is 1000000000"),
        (SamplerOptions { frequency_penalty: f32::NAN, ..base() }, "frequencyPenalty is NaN"),
        (SamplerOptions { typical_p: 1.1, ..base() }, "typicalP is 1.1"),
        (SamplerOptions { top_n_sigma: -1.0, ..base() }, "topNSigma is -1; it must be from 0 to 10000"),
        (SamplerOptions { xtc_probability: f32::NAN, ..base() }, "xtcProbability is NaN"),
        (SamplerOptions { dry_base: 0.5, ..base() }, "dryBase is 0.5; it must be from 1"),
        (SamplerOptions { mirostat: 1, ..base() }, "mirostat, 0 or 2, is 1"),
        (SamplerOptions { mirostat_eta: 2.0, ..base() }, "mirostatEta is 2"),
        (
            SamplerOptions { logit_bias: vec![(3, f32::NAN)], ..base() },
            "a bias is NaN; it must be from -10000 to 10000",
        ),
        (SamplerOptions { logit_bias: vec![(10, 0.0)], ..base() }, "a token with a bias is 10; it must be from 0 to 9"),
        (SamplerOptions { banned_tokens: vec![1, 11], ..base() }, "a banned or breaking token is 11"),
        (SamplerOptions { dry_breakers: vec![12], ..base() }, "a banned or breaking token is 12"),
    ] {
        let error = Sampler::new(options, 10).unwrap_err();
        assert!(matches!(&error, Error::Argument(text) if text.starts_with(says)), "{error}");
    }
    assert!(matches!(Sampler::new(base(), 0), Err(Error::Argument(_))));
}

#[test]
fn logits_and_history_are_checked() {
    let options = SamplerOptions { repeat_penalty: 1.5, repeat_last_n: 2, ..SamplerOptions::default() };
    let mut sampler = sampler(options, 3);
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY] {
        let error = sampler.sample(&[0.0, bad, 1.0], &[]).unwrap_err();
        assert!(matches!(&error, Error::Format(text) if text.contains("token 1")), "{error}");
    }
    let none = sampler.sample(&[f32::NEG_INFINITY; 3], &[]);
    assert!(matches!(none, Err(Error::Format(_))));
    for logits in [&[0.0; 2][..], &[0.0; 4], &[]] {
        assert!(matches!(sampler.sample(logits, &[]), Err(Error::Argument(_))));
    }
    assert!(matches!(sampler.sample(&[0.0; 3], &[0, 3]), Err(Error::Argument(_))));
    // beyond the window nobody looks, and an error leaves nothing behind
    assert!(sampler.sample(&[0.0; 3], &[9, 0, 1]).is_ok());
    assert_eq!(sampler.sample(&[1.0, f32::NEG_INFINITY, f32::NEG_INFINITY], &[]).unwrap(), 0);
}

proptest! {
    #[test]
    fn whatever_the_numbers_a_possible_token_comes_out(
        logits in prop::collection::vec(prop_oneof![any::<f32>(), -20_f32..20.0, Just(f32::NEG_INFINITY)], 1..50),
        history in prop::collection::vec(0_u32..50, 0..20),
        temperature in prop_oneof![any::<f32>(), 0_f32..3.0],
        top_k in 0_u32..60,
        top_p in 0_f32..=1.0,
        min_p in 0_f32..=1.0,
        repeat_penalty in 0.001_f32..=100.0,
        presence_penalty in -100_f32..=100.0,
        frequency_penalty in -100_f32..=100.0,
        seed: u32,
        (typical_p, top_n_sigma, xtc_probability, xtc_threshold) in (0_f32..=1.0, -0.5_f32..4.0, 0_f32..=1.0, 0_f32..=1.0),
        (dynatemp_range, dynatemp_exponent, dry_multiplier, dry_base) in (0_f32..3.0, 0_f32..3.0, 0_f32..9.0, 1_f32..1000.0),
        (mirostat, mirostat_tau, mirostat_eta) in (prop::sample::select(vec![0_u32, 2]), 0_f32..=100.0, 0_f32..=1.0),
        biased in prop::collection::vec((0_u32..50, -1e4_f32..=1e4), 0..3),
        banned_tokens in prop::collection::vec(0_u32..50, 0..3),
    ) {
        let n = logits.len() as u32;
        let options = SamplerOptions {
            temperature, top_k, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty, repeat_last_n: 16, seed,
            typical_p, top_n_sigma: top_n_sigma.max(0.0), xtc_probability, xtc_threshold, dynatemp_range,
            dynatemp_exponent, dry_multiplier, dry_base, dry_allowed_length: 1, mirostat, mirostat_tau, mirostat_eta,
            logit_bias: biased.into_iter().map(|(token, bias)| (token % n, bias)).collect(),
            banned_tokens: banned_tokens.into_iter().map(|token| token % n).collect(),
            ..SamplerOptions::default()
        };
        let banned = options.banned_tokens.clone();
        let Ok(mut sampler) = Sampler::new(options, logits.len()) else { return Ok(()) };
        let history: Vec<u32> = history.into_iter().map(|token| token % logits.len() as u32).collect();
        match sampler.sample(&logits, &history) {
            Ok(token) => prop_assert!(logits[token as usize] > f32::NEG_INFINITY && !banned.contains(&token)),
            Err(Error::Argument(text)) => prop_assert!(
                text.contains("barred")
                    && (0..n).all(|i| banned.contains(&i) || logits[i as usize] == f32::NEG_INFINITY)
            ),
            Err(error) => prop_assert!(
                error.code() == "format"
                    && (logits.iter().any(|l| l.is_nan() || *l == f32::INFINITY)
                        || logits.iter().all(|l| *l == f32::NEG_INFINITY)),
                "{}", error
            ),
        }
    }
}
