//! A thousand texts of given forms, written by the built-in tasks model at temperature 1: every one that ends is valid.
//!
//! Skipped, by name, where the model is not there.

use pagelm::model::Loader;
use pagelm::sampler::SamplerOptions;
use pagelm::session::{GenerateOptions, Generation, Session, Step, StopReason};
use pagelm::tokenizer::{TextStream, Tokenizer};
use pagelm_grammar::{Kind, Vocabulary};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/models/tasks.gguf");
const MAX_TOKENS: u32 = 512;
const TEXTS_EACH: u32 = 20;

/// A model that writes.
struct Writer {
    session: Session,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
}

/// One text, and the time of each token's mask and of all else that the token took.
struct Written {
    text: String,
    stop: StopReason,
    times: Vec<(Duration, Duration)>,
}

fn open() -> Option<Writer> {
    let Ok(file) = std::fs::read(Path::new(MODEL)) else {
        eprintln!("skipped: {MODEL} is not there");
        return None;
    };
    let mut loader = Loader::new(Some(file.len() as u64));
    loader.push(&file).unwrap();
    let (model, gguf) = loader.finish().unwrap();
    let tokenizer = Tokenizer::from_metadata(&gguf.metadata).unwrap();
    let tokens: Vec<Vec<u8>> = (0..tokenizer.n_vocab() as u32).map(|id| tokenizer.piece(id).unwrap().into()).collect();
    let control: Vec<u32> = (0..tokens.len() as u32).filter(|id| tokenizer.is_control(*id)).collect();
    let vocabulary = Vocabulary::new(&tokens, &control, tokenizer.ends()).unwrap();
    Some(Writer { session: Session::new(Arc::new(model), Some(640)).unwrap(), tokenizer, vocabulary })
}

impl Writer {
    fn write(&mut self, kind: Kind, grammar: &str, seed: u32) -> Written {
        let mut constraint = self.vocabulary.constrain(kind, grammar).unwrap_or_else(|error| panic!("{grammar}: {error}"));
        let prompt = self.tokenizer.encode_prompt("<|user|>Answer in JSON.<|assistant|>", true).unwrap();
        let sampler =
            SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed, ..SamplerOptions::default() };
        let options = GenerateOptions {
            sampler,
            max_tokens: Some(MAX_TOKENS),
            stop_tokens: self.tokenizer.ends().to_vec(),
            edits_logits: true,
            ..GenerateOptions::default()
        };
        let mut generation = Generation::new(&mut self.session, &prompt, options).unwrap();
        let (mut text, mut stream, mut times) = (String::new(), TextStream::new(), Vec::new());
        let mut start = Instant::now();
        let mut masked = Duration::ZERO;
        while let Some(step) = generation.next() {
            match step.unwrap() {
                Step::Prefill { .. } => start = Instant::now(),
                Step::Logits => {
                    let at = Instant::now();
                    let allowed = constraint.allowed().unwrap();
                    for (token, logit) in generation.logits_mut().iter_mut().enumerate() {
                        if allowed[token / 32] >> (token % 32) & 1 == 0 {
                            *logit = f32::NEG_INFINITY;
                        }
                    }
                    masked = at.elapsed();
                }
                Step::Token { token, .. } => {
                    let at = Instant::now();
                    constraint.accept(token).unwrap();
                    masked += at.elapsed();
                    times.push((masked, start.elapsed().saturating_sub(masked)));
                    start = Instant::now();
                    text += &stream.push(&self.tokenizer, token).unwrap();
                }
            }
        }
        text += &stream.finish();
        Written { text, stop: generation.stop_reason().unwrap(), times }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
fn a_thousand_texts_of_fifty_schemas_are_valid_where_they_end() {
    let Some(mut writer) = open() else { return };
    let schemas: Vec<Value> = serde_json::from_str(include_str!("schemas.json")).unwrap();
    let (mut n_whole, mut n_cut, mut shares) = (0, 0, Vec::new());
    for (i, schema) in schemas.iter().enumerate() {
        let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
        for seed in 0..TEXTS_EACH {
            let written = writer.write(Kind::Json, &schema.to_string(), seed * 100 + i as u32);
            shares.extend(written.times.iter().map(|(mask, rest)| mask.as_secs_f64() / (*mask + *rest).as_secs_f64()));
            if written.stop != StopReason::Eos {
                n_cut += 1;
                continue;
            }
            n_whole += 1;
            let value: Value =
                serde_json::from_str(&written.text).unwrap_or_else(|error| panic!("{schema}: {}: {error}", written.text));
            assert!(validator.is_valid(&value), "{schema}: {}", written.text);
        }
    }
    let share = median(shares);
    println!("{n_whole} whole, {n_cut} cut; the mask takes {:.1} % of a token's time (median)", share * 100.0);
    assert_eq!(n_whole + n_cut, 1000);
    assert!(n_whole >= 950, "only {n_whole} of 1,000 came to their end");
}

#[test]
fn a_regular_expression_describes_the_whole_text() {
    let Some(mut writer) = open() else { return };
    for seed in 0..10 {
        let written = writer.write(Kind::Regex, "(cat|dog)s? [0-9]{2}", seed);
        assert_eq!(written.stop, StopReason::Eos);
        let (animal, number) = written.text.split_once(' ').unwrap();
        assert!(["cat", "cats", "dog", "dogs"].contains(&animal), "{}", written.text);
        assert!(number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()), "{}", written.text);
    }
}

#[test]
fn a_text_that_is_cut_says_so() {
    let Some(mut writer) = open() else { return };
    assert_eq!(writer.write(Kind::Regex, "a{600,}", 1).stop, StopReason::MaxTokens);
}

#[test]
fn a_grammar_describes_the_whole_text() {
    let Some(mut writer) = open() else { return };
    let lark = "start: sum\nsum: NUMBER (\" + \" NUMBER){1,3}\nNUMBER: /[1-9][0-9]?/";
    for seed in 0..10 {
        let written = writer.write(Kind::Lark, lark, seed);
        assert_eq!(written.stop, StopReason::Eos);
        assert!((2..=4).contains(&written.text.split(" + ").count()), "{}", written.text);
        assert!(written.text.split(" + ").all(|number| number.parse::<u8>().is_ok()), "{}", written.text);
    }
}

#[test]
fn what_cannot_be_used_is_refused_in_words() {
    let tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).chain([Vec::new()]).collect();
    assert!(Vocabulary::new(&tokens, &[], &[]).is_err());
    let vocabulary = Vocabulary::new(&tokens, &[256], &[256]).unwrap();
    for (kind, text) in [
        (Kind::Json, "{"),
        (Kind::Json, "[1]"),
        (Kind::Json, "false"),
        (Kind::Json, r#"{"type": "nothing"}"#),
        (Kind::Regex, "("),
        (Kind::Lark, "start: missing"),
    ] {
        let error = vocabulary.constrain(kind, text).unwrap_err();
        assert!(!error.to_string().is_empty(), "{text}");
    }
    let mut constraint = vocabulary.constrain(Kind::Regex, "ab").unwrap();
    assert!(constraint.accept(b'x'.into()).is_err());
}
