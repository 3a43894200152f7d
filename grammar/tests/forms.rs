//! Texts of given forms, written by the built-in tasks model at temperature 1: every one that ends is valid.
//!
//! Skipped, by name, where the model is not there. `cargo test` writes four texts of each schema, so that it does not take
//! minutes; `cargo test --release --package pagelm-grammar --test forms -- --nocapture` writes twenty, a thousand in all, and
//! shows what was counted and how long the mask takes. `docs/structured-output.md` has the numbers.

use pagelm::model::{Loader, Model};
use pagelm::sampler::SamplerOptions;
use pagelm::session::{GenerateOptions, Generation, Session, Step, StopReason};
use pagelm::tokenizer::{TextStream, Tokenizer};
use pagelm_grammar::{Kind, Vocabulary};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/models/tasks.gguf");
const MAX_TOKENS: u32 = 512;
const TEXTS_EACH: u32 = if cfg!(debug_assertions) { 4 } else { 20 };

/// A model that writes, and its vocabulary.
struct Writer {
    model: Arc<Model>,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
}

/// One text, and the time of each token's mask and of all else that the token took.
struct Written {
    text: String,
    n_tokens: u32,
    stop: StopReason,
    /// Whether it was near its limit, and brought to its end.
    was_closed: bool,
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
    let tokens: Vec<Vec<u8>> = (0..tokenizer.n_vocab() as u32).map(|id| tokenizer.piece(id).unwrap()).collect();
    let control: Vec<u32> = (0..tokens.len() as u32).filter(|id| tokenizer.is_control(*id)).collect();
    let vocabulary = Vocabulary::new(&tokens, &control, tokenizer.ends()).unwrap();
    Some(Writer { model: Arc::new(model), tokenizer, vocabulary })
}

impl Writer {
    fn session(&self) -> Session {
        Session::new(self.model.clone(), Some(600)).unwrap()
    }

    /// Writes a text that `end` ends too.
    fn write(
        &self,
        session: &mut Session,
        kind: Kind,
        grammar: &str,
        seed: u32,
        max_tokens: u32,
        end: &[u32],
    ) -> Written {
        let constraint = self.vocabulary.constrain(kind, grammar, end);
        let mut constraint = constraint.unwrap_or_else(|error| panic!("{grammar}: {error}"));
        constraint.limit(max_tokens);
        let prompt = self.tokenizer.encode_prompt("<|user|>Answer in JSON.<|assistant|>", true).unwrap();
        let sampler =
            SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed, ..SamplerOptions::default() };
        let options = GenerateOptions {
            sampler,
            max_tokens: Some(max_tokens),
            stop_tokens: [self.tokenizer.ends(), end].concat(),
            edits_logits: true,
            ..GenerateOptions::default()
        };
        let mut generation = Generation::new(session, &prompt, options).unwrap();
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
                    text += stream.push(&self.tokenizer, token).unwrap();
                }
            }
        }
        text += &stream.finish();
        let (was_closed, n_tokens) = (constraint.is_closing(), times.len() as u32);
        Written { text, n_tokens, stop: generation.stop_reason().unwrap(), was_closed, times }
    }
}

/// The texts of one schema.
fn write_all(writer: &Writer, session: &mut Session, i: usize, schema: &Value) -> Vec<Written> {
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    let schema = schema.to_string();
    let write = |seed| {
        let written = writer.write(session, Kind::Json, &schema, seed * 100 + i as u32, MAX_TOKENS, &[]);
        let Written { text, stop, n_tokens, .. } = &written;
        match stop {
            StopReason::Eos => {
                let value: Value =
                    serde_json::from_str(text).unwrap_or_else(|error| panic!("{schema}: {text}: {error}"));
                let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{schema}: {text}: {errors:?}");
            }
            // what is cut says so
            _ => assert_eq!((*stop, *n_tokens), (StopReason::MaxTokens, MAX_TOKENS), "{schema}: {text}"),
        }
        written
    };
    (0..TEXTS_EACH).map(write).collect()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[test]
fn texts_of_fifty_schemas_are_valid_where_they_end() {
    let Some(writer) = open() else { return };
    let schemas: Vec<Value> = serde_json::from_str(include_str!("schemas.json")).unwrap();
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut session, mut done) = (writer.session(), Vec::new());
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(schema) = schemas.get(i) else { return done };
            let texts = write_all(&writer, &mut session, i, schema);
            let whole = texts.iter().filter(|text| text.stop == StopReason::Eos).count();
            let closed = texts.iter().filter(|text| text.was_closed).count();
            let n_tokens = texts.iter().map(|text| text.n_tokens).sum::<u32>() / TEXTS_EACH;
            println!("{whole} whole of {TEXTS_EACH}, {closed} brought to an end, {n_tokens} tokens each: {schema}");
            done.extend(texts);
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let texts: Vec<Written> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let n_whole = texts.iter().filter(|text| text.stop == StopReason::Eos).count();
    let n_closed = texts.iter().filter(|text| text.was_closed).count();
    let times =
        || texts.iter().flat_map(|text| &text.times).map(|(mask, rest)| (mask.as_secs_f64(), rest.as_secs_f64()));
    let share = median(times().map(|(mask, rest)| mask / (mask + rest)).collect());
    println!("{n_whole} whole of {}, {n_closed} brought to an end; {} tokens", texts.len(), times().count());
    println!(
        "the mask takes {:.2} % of a token's time (median): {:.0} µs of {:.0} µs",
        share * 100.0,
        median(times().map(|(mask, _)| mask).collect()) * 1e6,
        median(times().map(|(mask, rest)| mask + rest).collect()) * 1e6,
    );
    assert_eq!((schemas.len(), texts.len()), (50, 50 * TEXTS_EACH as usize));
    assert!(20 * n_whole >= 19 * texts.len(), "only {n_whole} of {} came to their end", texts.len());
}

#[test]
fn a_regular_expression_describes_the_whole_text() {
    let Some(writer) = open() else { return };
    let mut session = writer.session();
    for seed in 0..10 {
        let written = writer.write(&mut session, Kind::Regex, "(cat|dog)s? [0-9]{2}", seed, MAX_TOKENS, &[]);
        assert_eq!(written.stop, StopReason::Eos);
        let (animal, number) = written.text.split_once(' ').unwrap();
        assert!(["cat", "cats", "dog", "dogs"].contains(&animal), "{}", written.text);
        assert!(number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()), "{}", written.text);
    }
}

#[test]
fn a_text_that_cannot_end_in_time_says_so_and_one_that_can_does() {
    let Some(writer) = open() else { return };
    let mut session = writer.session();
    let mut write = |kind, grammar, max_tokens| writer.write(&mut session, kind, grammar, 1, max_tokens, &[]);
    assert_eq!(write(Kind::Regex, "a{600,}", 40).stop, StopReason::MaxTokens);
    let list = write(Kind::Json, r#"{"type": "array", "items": {"type": "boolean"}, "minItems": 12}"#, 64);
    assert_eq!((list.stop, list.text.ends_with(']')), (StopReason::Eos, true), "{}", list.text);
    let letters = write(Kind::Regex, "[a-z]{5,}", 40);
    assert_eq!((letters.stop, letters.text.len() >= 5), (StopReason::Eos, true), "{}", letters.text);
}

#[test]
fn a_token_that_ends_the_text_does_so_only_where_it_is_whole() {
    let Some(writer) = open() else { return };
    let mut session = writer.session();
    // a letter that would end the text at once, were it not for the form
    let [.., end] = writer.tokenizer.encode_prompt("a", false).unwrap()[..] else { panic!() };
    for seed in 0..5 {
        let written = writer.write(&mut session, Kind::Regex, "[a-e]{6}", seed, MAX_TOKENS, &[end]);
        assert_eq!(written.stop, StopReason::Eos);
        assert_eq!(written.text.len(), 6, "{}", written.text);
    }
}

#[test]
fn a_grammar_describes_the_whole_text() {
    let Some(writer) = open() else { return };
    let mut session = writer.session();
    let lark = "start: sum\nsum: NUMBER (\" + \" NUMBER){1,3}\nNUMBER: /[1-9][0-9]?/";
    for seed in 0..10 {
        let written = writer.write(&mut session, Kind::Lark, lark, seed, MAX_TOKENS, &[]);
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
    for (kind, text, says) in [
        (Kind::Json, "{", "no JSON"),
        (Kind::Json, "[1]", "an object"),
        (Kind::Json, "false", "an object"),
        (Kind::Json, r#"{"type": "nothing"}"#, "nothing"),
        (Kind::Json, r#"{"type": "array", "uniqueItems": true}"#, "uniqueItems"),
        (Kind::Json, r#"{"type": "string", "format": "color"}"#, "color"),
        (Kind::Json, r##"{"$ref": "#/$defs/missing"}"##, "missing"),
        (Kind::Json, r#"{"type": "integer", "minimum": 3, "maximum": 2}"#, "3"),
        (Kind::Json, r#"{"minProperties": 3}"#, "minProperties"),
        (Kind::Regex, "(", "("),
        (Kind::Regex, "^$", "empty"),
        (Kind::Regex, "a\\", "escape"),
        (Kind::Regex, r"(a)\1", "backreferences"),
        (Kind::Lark, "start: missing", "missing"),
    ] {
        let error = vocabulary.constrain(kind, text, &[]).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let mut constraint = vocabulary.constrain(Kind::Regex, "ab", &[]).unwrap();
    assert!(constraint.accept(b'x'.into()).is_err());
}

#[test]
fn anchors_and_classes_mean_what_they_mean_in_javascript() {
    let tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).chain([Vec::new()]).collect();
    let vocabulary = Vocabulary::new(&tokens, &[256], &[256]).unwrap();
    let fits = |regex: &str, text: &str| {
        let mut constraint = vocabulary.constrain(Kind::Regex, regex, &[]).unwrap();
        text.bytes().all(|byte| constraint.accept(byte.into()).is_ok())
            && constraint.allowed().is_ok_and(|allowed| allowed[8] & 1 == 1)
    };
    for (regex, text, does) in [
        (r"^\d{2}$", "12", true),
        (r"^\d{2}$", "123", false),
        (r"^\d$", "\u{664}", false),
        (r"a\$", "a$", true),
        (r"a\\$", "a\\", true),
        (r"a/b\nc", "a/b\nc", true),
        (r"^a|b$", "b", true),
        (r"(?i:ab)", "Ab", true),
        (r"a.c", "abc", true),
    ] {
        assert_eq!(fits(regex, text), does, "{regex} {text}");
    }
}
