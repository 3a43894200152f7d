//! The engine against references: logits and tokens that llama.cpp recorded, activations that PyTorch recorded, and, for
//! quantized weights, the same forward pass over the floats that the weights stand for.
//!
//! Deviations are relative to the largest reference value of the prompt (for logits: the largest |logit|). The recorded
//! data is not part of this repository; where it is missing, a test is reported as ignored, by name. What is measured
//! is printed under `PAGELM_SHOW_DEVIATIONS=1`.

mod common;

use common::data::{always, floats, needs, read};
use common::made::{self, Made};
use libtest_mimic::Arguments;
use pagelm::kernels;
use pagelm::model::{Model, Place, Site, Tap};
use pagelm::quant::{FORMATS, Format};
use pagelm::sampler::SamplerOptions;
use pagelm::session::{GenerateOptions, Generation, Session, Speculation, Step};
use pagelm::tokenizer::Tokenizer;
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (name, tolerance) in [("f32", 1e-5), ("f16", 1e-3), ("q6_k", 3e-2)] {
        let [gguf, jsonl, logits] =
            ["gguf", "jsonl", "logits.f32"].map(|end| format!("models/stories260K-{name}.{end}"));
        let stem = format!("stories260K-{name}");
        trials.push(needs(&[&gguf, &jsonl, &logits], &format!("{stem}_logits_and_greedy_ids"), move || {
            recorded_logits(&stem, tolerance);
            recorded_greedy_ids(&stem, tolerance);
        }));
    }
    let nano = ["gguf", "jsonl", "logits.f32"].map(|end| format!("models/gpt-nano-sort-f32.{end}"));
    let nano = nano.each_ref().map(String::as_str);
    trials.push(needs(&nano, "gpt_nano_sort_logits", || recorded_logits("gpt-nano-sort-f32", 2e-4)));
    trials.push(needs(&[nano[0], PARTIALS], "gpt_nano_sort_partials", recorded_partials));
    let drafts = ["models/stories260K-f32.gguf", "models/stories260K-q6_k.gguf"];
    trials.push(needs(&drafts, "guessing_changes_nothing_in_200_texts_of_stories260k", || {
        let draft = Speculation::Draft(model("stories260K-q6_k"));
        guessing(&read("models/stories260K-f32.gguf"), &[Speculation::Lookup, draft], 40);
    }));
    trials.push(always("guessing_changes_nothing_in_200_texts_of_the_story_model", || {
        let story = concat!(env!("CARGO_MANIFEST_DIR"), "/www/models/story.gguf");
        guessing(&std::fs::read(story).unwrap(), &[Speculation::Lookup], 8);
    }));
    let most = [Format::Q6_K, Format::Q4_0, Format::Q8_0, Format::F16, Format::BF16];
    for format in FORMATS.iter().map(|row| row.format).filter(|format| *format != Format::F32) {
        let makes = [("llama", made::llama as fn(_, _) -> _), ("gpt2", made::gpt2), ("qwen2", made::qwen2)];
        for (name, make) in makes.into_iter().take(if most.contains(&format) { 3 } else { 1 }) {
            let test = format!("{name}_{}_against_dequantized_weights", format.name().to_lowercase());
            let label = test.clone();
            trials.push(always(&test, move || dequantized_weights(&label, &make(made::WIDE, format))));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Fails above the tolerance; under `PAGELM_SHOW_DEVIATIONS` tells what was measured.
#[track_caller]
fn within(what: &str, deviation: f32, tolerance: f32) {
    if std::env::var_os("PAGELM_SHOW_DEVIATIONS").is_some() {
        println!("{what}: {deviation:.2e} of {tolerance:.0e}");
    }
    assert!(deviation <= tolerance, "{what}: the deviation is {deviation:.3e}; at most {tolerance:.0e} is allowed");
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |max, x| max.max(x.abs()))
}

/// The largest difference, relative to the largest reference value.
fn deviation(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().all(|x| x.is_finite()));
    let worst = got.iter().zip(want).fold(0f32, |max, (got, want)| max.max((got - want).abs()));
    worst / largest(want)
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len()).reduce(|best, i| if logits[i] > logits[best] { i } else { best }).unwrap() as u32
}

/// One line of a record: what llama.cpp made of a prompt.
struct Record {
    tokens: Vec<u32>,
    /// All logits at the prompt's tokens: \[T × V\].
    logits: Vec<f32>,
    greedy_tokens: Vec<u32>,
    /// Between the two best logits at each greedy token.
    gaps: Vec<f32>,
}

fn records(stem: &str) -> Vec<Record> {
    let all = floats(&read(&format!("models/{stem}.logits.f32")));
    let lines = String::from_utf8(read(&format!("models/{stem}.jsonl"))).unwrap();
    let parse = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let ids = |key: &str| serde_json::from_value::<Vec<u32>>(line[key].clone()).unwrap();
        let number = |key: &str| line[key].as_u64().unwrap() as usize;
        let tokens = ids("tokens");
        let (start, n_vocab) = (number("logits_offset_floats"), number("n_vocab"));
        Record {
            logits: all[start..start + tokens.len() * n_vocab].to_vec(),
            tokens,
            greedy_tokens: ids("greedy_tokens"),
            gaps: serde_json::from_value(line["top1_top2_gap"].clone()).unwrap(),
        }
    };
    lines.lines().map(parse).collect()
}

fn model(stem: &str) -> Arc<Model> {
    made::load(&read(&format!("models/{stem}.gguf"))).0
}

/// The logits of every token, from an empty cache.
fn all_logits(model: &Arc<Model>, tokens: &[u32]) -> Vec<f32> {
    let mut session = Session::new(model.clone(), None).unwrap();
    session.prepare(tokens).unwrap();
    let mut logits = Vec::new();
    while session.n_pending() > 0 {
        logits.extend_from_slice(session.forward_all(&[]).unwrap());
    }
    logits
}

fn recorded_logits(stem: &str, tolerance: f32) {
    let model = model(stem);
    let worst = records(stem)
        .iter()
        .map(|record| deviation(&all_logits(&model, &record.tokens), &record.logits))
        .fold(0.0, f32::max);
    within(&format!("{stem} logits"), worst, tolerance);
}

/// Along the recorded text, the best token is the recorded one wherever the recorded gap exceeds the tolerance; and a
/// generation at temperature 0 stays on the recorded text up to the first gap that does not.
fn recorded_greedy_ids(stem: &str, tolerance: f32) {
    let model = model(stem);
    let n_vocab = model.config().n_vocab;
    let (mut n_equal, mut n_close) = (0, 0);
    for record in records(stem) {
        let text = [&record.tokens[..], &record.greedy_tokens].concat();
        let logits = all_logits(&model, &text);
        let rows = logits.chunks(n_vocab).skip(record.tokens.len() - 1);
        let sure = |row: &[f32], gap: f32| gap > tolerance * largest(row);
        let mut n_sure = None;
        for (i, (row, gap)) in rows.zip(&record.gaps).enumerate() {
            if sure(row, *gap) {
                assert_eq!(best(row), record.greedy_tokens[i], "{stem}: token {i} of {:?}", record.tokens);
                n_equal += 1;
            } else {
                n_close += 1;
                n_sure.get_or_insert(i);
            }
        }
        let n_sure = n_sure.unwrap_or(record.greedy_tokens.len());
        let generated = greedy(&model, &record.tokens, n_sure);
        assert_eq!(generated, record.greedy_tokens[..n_sure], "{stem}: generation from {:?}", record.tokens);
    }
    assert!(n_equal > 4 * n_close, "{stem}: {n_equal} tokens compared, {n_close} too close to tell");
    if std::env::var_os("PAGELM_SHOW_DEVIATIONS").is_some() {
        println!("{stem} greedy ids: {n_equal} equal, {n_close} too close to tell");
    }
}

fn greedy(model: &Arc<Model>, prompt: &[u32], n: usize) -> Vec<u32> {
    let sampler = SamplerOptions { temperature: 0.0, ..SamplerOptions::default() };
    let options =
        GenerateOptions { sampler, max_tokens: Some(n as u32), stop_tokens: Vec::new(), ..GenerateOptions::default() };
    let generation = Generation::new(Session::new(model.clone(), None).unwrap(), prompt, options).unwrap();
    let token = |step: pagelm::Result<Step>| match step.unwrap() {
        Step::Token { token, .. } => Some(token),
        Step::Prefill { .. } | Step::Logits => None,
    };
    generation.filter_map(token).collect()
}

/// Texts that begin in the middle of a story, greedy and sampled: tokens and probabilities with guesses, and without.
fn guessing(file: &[u8], sources: &[Speculation], n_tokens: u32) {
    let (model, gguf) = made::load(file);
    let tokenizer = Tokenizer::from_metadata(&gguf.metadata).unwrap();
    let beginning = tokenizer.encode_prompt("Once upon a time", false).unwrap();
    let options = GenerateOptions { max_tokens: Some(110), ..Default::default() };
    let mut story = Generation::new(Session::new(model.clone(), None).unwrap(), &beginning, options).unwrap();
    assert!(story.all(|step| step.is_ok()));
    let story = story.into_session().tokens().to_vec();
    for (k, source) in sources.iter().enumerate() {
        let (mut proposed, mut accepted) = (0, 0);
        for i in 0..200_usize {
            let prompt = &story[i % 70..i % 70 + 2 + i % 37];
            let sampler =
                SamplerOptions { temperature: [0.0, 0.4, 0.8][i % 3], seed: i as u32, ..SamplerOptions::default() };
            let run = |speculation| {
                let options = GenerateOptions {
                    sampler: sampler.clone(),
                    max_tokens: Some(n_tokens),
                    speculation,
                    ..Default::default()
                };
                let session = Session::new(model.clone(), Some(100)).unwrap();
                let mut generation = Generation::new(session, prompt, options).unwrap();
                let steps: Vec<Step> = generation.by_ref().map(|step| step.unwrap()).collect();
                (steps, generation.drafted())
            };
            let ((want, _), (got, drafted)) = (run(Speculation::Off), run(source.clone()));
            assert_eq!(got, want, "text {i}, source {k}");
            (proposed, accepted) = (proposed + drafted.proposed, accepted + drafted.accepted);
        }
        if std::env::var_os("PAGELM_SHOW_DEVIATIONS").is_some() {
            println!("{proposed} tokens guessed, {accepted} came");
        }
        assert!(accepted > 0 && accepted < proposed, "{accepted} of {proposed}");
    }
}

const PARTIALS: &str = "models/gpt-nano-sort-t0-partials.json";

/// Keeps what passes each site, one value after the other.
#[derive(Default)]
struct Recorder(HashMap<(Site, usize), Vec<f32>>);

impl Tap for Recorder {
    fn visit(&mut self, place: Place, data: &mut [f32]) {
        self.0.entry((place.site, place.layer)).or_default().extend_from_slice(data);
    }
}

/// PyTorch's name, ours, and the layer. PyTorch kept the inside of the first layer and the end of each.
const SITES: &[(&str, Site, usize)] = &[
    ("x", Site::InpEmbd, 0),
    ("ln1", Site::AttnNorm, 0),
    ("q", Site::Qcur, 0),
    ("k", Site::Kcur, 0),
    ("v", Site::Vcur, 0),
    ("att", Site::Kq, 0),
    ("attSm", Site::KqSoftMax, 0),
    ("y", Site::KqvOut, 0),
    ("yProj", Site::AttnOut, 0),
    ("attnResid", Site::FfnInp, 0),
    ("ln2", Site::FfnNorm, 0),
    ("fc", Site::FfnUp, 0),
    ("gelu", Site::FfnAct, 0),
    ("mlp", Site::FfnOut, 0),
    ("mlpResid", Site::LOut, 0),
    ("block0", Site::LOut, 0),
    ("block1", Site::LOut, 1),
    ("block2", Site::LOut, 2),
    ("ln_f", Site::ResultNorm, 0),
    ("lm_head", Site::ResultOutput, 0),
];

fn recorded_partials() {
    const TOLERANCE: f32 = 1e-4;
    let partials: serde_json::Value = serde_json::from_slice(&read(PARTIALS)).unwrap();
    let partial = |name: &str| floats(&base64(partials[name]["data"].as_str().unwrap()));
    let model = model("gpt-nano-sort-f32");
    let n_vocab = model.config().n_vocab;
    let tokens: Vec<u32> = partial("idx").iter().map(|id| *id as u32).collect();
    let (n_batch, n_tokens) = (3, tokens.len() / 3);
    let mut session = Session::new(model.clone(), None).unwrap();
    for (b, tokens) in tokens.chunks(n_tokens).enumerate() {
        let mut recorder = Recorder::default();
        session.clear();
        session.forward_tapped(tokens, &mut recorder).unwrap();
        for (name, site, layer) in SITES {
            let all = partial(name);
            let want = in_our_order(
                *site,
                model.config().head_dim,
                n_tokens,
                &all[all.len() / n_batch * b..][..all.len() / n_batch],
            );
            let mut got = recorder.0[&(*site, *layer)].clone();
            if *site == Site::Kq {
                // PyTorch's are kept after scaling.
                kernels::scale(&mut got, 1.0 / (model.config().head_dim as f32).sqrt());
            }
            within(&format!("gpt-nano-sort {name}, text {b}"), deviation(&got, &want), TOLERANCE);
        }
        let logits = &recorder.0[&(Site::ResultOutput, 0)];
        let got: Vec<f32> =
            logits.chunks(n_vocab).flat_map(|row| (0..n_vocab).map(move |i| kernels::probability(row, i))).collect();
        let all = partial("probs");
        within("gpt-nano-sort probs", deviation(&got, &all[got.len() * b..][..got.len()]), TOLERANCE);
    }
}

/// PyTorch keeps heads before tokens, and scores of the future too. The engine keeps no future, and tokens before heads,
/// but for scores, where each head of this model, having keys of its own, is visited with all its tokens.
fn in_our_order(site: Site, head_dim: usize, n_tokens: usize, partial: &[f32]) -> Vec<f32> {
    match site {
        Site::Qcur | Site::Kcur | Site::Vcur => {
            let row = |t: usize, h: usize| &partial[(h * n_tokens + t) * head_dim..][..head_dim];
            let n_head = partial.len() / head_dim / n_tokens;
            (0..n_tokens).flat_map(|t| (0..n_head).flat_map(move |h| row(t, h).to_vec())).collect()
        }
        Site::Kq | Site::KqSoftMax => {
            partial.chunks(n_tokens).enumerate().flat_map(|(i, scores)| scores[..=i % n_tokens].to_vec()).collect()
        }
        _ => partial.to_vec(),
    }
}

/// Decodes padded base64.
fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{c} is not base64"),
    };
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0u32, |bits, c| bits << 6 | u32::from(value(*c))) << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

/// The inputs of every multiplication with a matrix.
const INPUTS: [Site; 5] = [Site::AttnNorm, Site::KqvOut, Site::FfnNorm, Site::FfnAct, Site::ResultNorm];

/// Puts in place of each multiplication's input the one that was recorded, rounded to 8 bits as the kernels round it.
struct Rounded<'a>(&'a HashMap<(Site, usize), Vec<f32>>);

impl Tap for Rounded<'_> {
    fn visit(&mut self, place: Place, data: &mut [f32]) {
        if INPUTS.contains(&place.site) {
            data.copy_from_slice(&self.0[&(place.site, place.layer)]);
            let mut blocks = vec![kernels::Activation::ZERO; data.len() / 32];
            kernels::quantize_activations(data, &mut blocks);
            for (values, block) in data.as_chunks_mut::<32>().0.iter_mut().zip(&blocks) {
                *values = core::array::from_fn(|i| f32::from(block.q[i]) * block.d);
            }
        }
    }
}

/// A model with quantized weights against the one with the floats that they stand for.
///
/// Weights of integers meet activations that are rounded to 8 bits, and that is the only difference there may be. So:
/// 1. With every multiplication's input rounded in the float model too, what is left is the order of f32 additions:
///    2e-7 is measured, 2e-6 allowed.
/// 2. Left alone, each rounding adds noise. A block's step is its maximum / 127, about 2 standard deviations / 127, and
///    a step's error is 0.29 of it: 0.5 % of an activation's size. Some nine of these, independent, lie one after the
///    other on the way through two layers: 1.4 % of the size of a logit; over all logits the worst is 3.5 times that,
///    and the largest logit 3 times its size. 3e-2, the same as for the recorded quantized file, leaves a margin.
///
/// Float weights meet the activations as they are: nothing but the widening, which is exact, so bits are equal.
fn dequantized_weights(name: &str, made: &Made) {
    let (quantized, plain) = (made.load(), made.dequantized().load());
    let tokens: Vec<u32> = (0..100).map(|i| (i * i * 7 + i) % quantized.config().n_vocab as u32).collect();
    let (got, want) = (all_logits(&quantized, &tokens), all_logits(&plain, &tokens));
    let format = made.tensors[0].format;
    if matches!(format, Format::F16 | Format::BF16) {
        assert!(got.iter().zip(&want).all(|(got, want)| got.to_bits() == want.to_bits()), "{name}: bits differ");
        return;
    }
    within(&format!("{name}, activations rounded on one side"), deviation(&got, &want), 3e-2);
    let tokens = &tokens[..20];
    let mut recorder = Recorder::default();
    let mut session = Session::new(quantized, None).unwrap();
    let got = session.forward_tapped(tokens, &mut recorder).unwrap().to_vec();
    let mut session = Session::new(plain, None).unwrap();
    let want = session.forward_tapped(tokens, &mut Rounded(&recorder.0)).unwrap();
    within(&format!("{name}, activations rounded on both sides"), deviation(&got, want), 2e-6);
}
