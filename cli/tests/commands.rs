//! The command as its users run it: arguments, streams, exit codes, over models made on the spot.

#[path = "../../tests/common/made.rs"]
#[allow(dead_code, reason = "shared with the engine's tests")]
mod made;

use made::{Made, Shape};
use pagelm::gguf::{Gguf, Value};
use pagelm::model::CacheType;
use pagelm::quant::Format;
use pagelm::sampler::SamplerOptions;
use pagelm::session::{GenerateOptions, Generation, Session, Step};
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use serde_json::Value as Json;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const SHAPE: Shape =
    Shape { n_layer: 1, n_embd: 32, n_head: 4, n_head_kv: 2, n_ff: 32, n_ctx: 100, n_pieces: 20, bytes: true };

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Writes a file under a name that is this test's own.
fn file(name: &str, bytes: &[u8]) -> String {
    std::fs::write(path(name), bytes).unwrap();
    path(name).to_str().unwrap().into()
}

fn llama() -> Made {
    made::llama(SHAPE, Format::Q8_0)
}

fn tokenizer(made: &Made) -> Tokenizer {
    Tokenizer::from_metadata(&Gguf::parse(&made.write()).unwrap().metadata).unwrap()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagelm"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    // a command that fails early may not read it
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What a command that succeeds prints.
#[track_caller]
fn prints(args: &[&str], input: &[u8]) -> String {
    let output = run(args, input);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that a command fails as it should: code 1, one line that begins with the command's name and says this.
#[track_caller]
fn fails(args: &[&str], input: &[u8], says: &str) {
    let output = run(args, input);
    let error = String::from_utf8(output.stderr).unwrap();
    let last = error.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert!(last.starts_with("pagelm: ") && last.contains(says) && error.ends_with('\n'), "{args:?}: {error:?}");
    assert!(error.lines().all(|line| line == last || line.starts_with("pagelm: seed")), "{error:?}");
}

/// Checks that a command line is refused: code 2.
#[track_caller]
fn misused(args: &[&str], says: &str) {
    let output = run(args, b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    assert!(error.contains(says), "{args:?}: {error}");
}

fn json(args: &[&str]) -> Json {
    serde_json::from_str(&prints(args, b"")).unwrap()
}

fn ids(json: &Json) -> Vec<u32> {
    serde_json::from_value(json.clone()).unwrap()
}

#[test]
fn generate_gives_the_tokens_of_the_engine() {
    let made = llama();
    let model = file("generate.gguf", &made.write());
    let args = ["generate", "--model", &model, "--prompt", "ab a", "--n-predict", "30", "--seed", "7"];
    let report = json(&[&args[..], &["--json"]].concat());
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 9);
    assert_eq!((&report["seed"], &report["stop_reason"]), (&7.into(), &"maxTokens".into()));
    assert!(report["prefill_ms"].as_f64().unwrap() > 0.0 && report["decode_ms"].as_f64().unwrap() > 0.0);
    let tokenizer = tokenizer(&made);
    let prompt = tokenizer.encode_prompt("ab a", false).unwrap();
    assert_eq!(ids(&report["prompt_tokens"]), prompt);
    let options = GenerateOptions {
        sampler: SamplerOptions { seed: 7, ..SamplerOptions::default() },
        max_tokens: Some(30),
        stop_tokens: tokenizer.ends().to_vec(),
        ..GenerateOptions::default()
    };
    let generation = Generation::new(Session::new(made.load(), None).unwrap(), &prompt, options).unwrap();
    let tokens: Vec<u32> = generation
        .filter_map(|step| match step.unwrap() {
            Step::Token { token, .. } => Some(token),
            Step::Prefill { .. } | Step::Logits => None,
        })
        .collect();
    assert_eq!(ids(&report["tokens"]), tokens);
    // the stream is the same text, and nothing else
    let output = run(&args, b"");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), report["text"].as_str().unwrap());
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("pagelm: seed 7\n"));
}

#[test]
fn generate_guesses_without_changing_the_text() {
    let made = llama();
    let model = file("guess.gguf", &made.write());
    let small = file("guess-draft.gguf", &made::llama(Shape { n_layer: 1, ..SHAPE }, Format::Q8_0).write());
    let args = ["generate", "-m", &model, "-p", "ab ab ab a", "--n-predict", "60", "--temperature", "0", "--json"];
    let with = |more: &[&str]| json(&[&args[..], more].concat());
    let plain = with(&[]);
    assert_eq!((&plain["proposed_tokens"], &plain["accepted_tokens"]), (&0.into(), &0.into()));
    for source in ["lookup", &small] {
        let guessed = with(&["--speculate", source]);
        assert_eq!((&guessed["tokens"], &guessed["text"]), (&plain["tokens"], &plain["text"]));
        assert!(guessed["proposed_tokens"].as_u64() >= guessed["accepted_tokens"].as_u64());
        assert_ne!(guessed["proposed_tokens"], 0);
    }
    let other = file("guess-other.gguf", &made::gpt2(SHAPE, Format::F32).write());
    fails(&["generate", "-m", &model, "--speculate", &other], b"", "another vocabulary");
    fails(&["generate", "-m", &model, "--speculate", "nowhere.gguf"], b"", "the draft model");
    // a rounded cache takes less memory, and its text is its own
    for cache_type in ["f16", "q8_0"] {
        let (plain, guessed) =
            (with(&["--cache-type", cache_type]), with(&["--cache-type", cache_type, "--speculate", "lookup"]));
        assert_eq!(guessed["tokens"], plain["tokens"]);
    }
}

#[test]
fn generate_reports_the_seed_that_it_drew() {
    let model = file("seed.gguf", &llama().write());
    let args = ["generate", "--model", &model, "--n-predict", "20", "--temperature", "5", "--top-k", "0", "--json"];
    let (first, second) = (json(&args), json(&args));
    assert_ne!(first["seed"], second["seed"]);
    let again = json(&[&args[..], &["--seed", &first["seed"].to_string()]].concat());
    assert_eq!(again["tokens"], first["tokens"]);
    assert_eq!(ids(&first["prompt_tokens"]), [1], "an empty prompt starts from BOS");
}

#[test]
fn generate_ends_where_it_should() {
    let model = file("ends.gguf", &llama().write());
    let base = ["generate", "-m", &model, "-p", "ab", "--seed", "1", "--json"];
    let with = |more: &[&str]| json(&[&base[..], more].concat());
    assert_eq!(with(&["-n", "0"])["text"], "");
    let full = with(&["--ctx-size", "9", "--temperature", "9"]);
    let n = ids(&full["prompt_tokens"]).len() + ids(&full["tokens"]).len();
    assert!((full["stop_reason"] == "contextFull" && n == 9) || full["stop_reason"] == "eos", "{full}");
    // temperature 0 needs no seed, and the penalties have their effect
    let greedy = ["--temperature", "0", "-n", "12"];
    assert_eq!(with(&greedy)["tokens"], with(&greedy)["tokens"]);
    let penalty =
        ["--repeat-penalty", "2", "--presence-penalty", "-90.5", "--frequency-penalty", "1", "--repeat-last-n", "9"];
    assert_ne!(with(&[&greedy[..], &penalty[..]].concat())["tokens"], with(&greedy)["tokens"]);
    // `</s>` is text unless it is to be parsed
    let parsed = json(&["generate", "-m", &model, "-p", "</s>", "-n", "1", "--parse-special", "--json"]);
    assert_eq!(ids(&parsed["prompt_tokens"]), [1, 2]);
    assert!(ids(&json(&["generate", "-m", &model, "-p", "</s>", "-n", "1", "--json"])["prompt_tokens"]).len() > 2);
}

#[test]
fn generate_refuses() {
    let model = file("refuse.gguf", &llama().write());
    fails(&["generate", "-m", &model, "-p", &"a b".repeat(60)], b"", "the context holds 100");
    fails(&["generate", "-m", &model, "--ctx-size", "0"], b"", "context of 0");
    fails(&["generate", "-m", &model, "--top-p", "1.5"], b"", "topP is 1.5");
    fails(&["generate", "-m", &model, "--temperature", "nan"], b"", "temperature");
    let mut silent = made::gpt2(SHAPE, Format::F32);
    silent.unset("tokenizer.ggml.bos_token_id");
    let silent = file("silent.gguf", &silent.write());
    fails(&["generate", "-m", &silent], b"", "the prompt is empty");
    fails(&["generate", "-m", &silent, "--ctx-size", "101", "-p", "a"], b"", "positions for 100");
    misused(&["generate"], "--model");
    misused(&["generate", "-m", &model, "--seed", "-1"], "--seed");
    misused(&["generate", "-m", &model, "--n-predict", "many"], "--n-predict");
    for command in ["generate", "logits", "score"] {
        misused(&[command, "-m", &model, "--cache-type", "q4_0"], "f32, f16 or q8_0");
    }
}

#[test]
fn every_command_names_a_file_that_cannot_be_used() {
    let missing = path("missing.gguf").to_str().unwrap().to_owned();
    let folder = env!("CARGO_TARGET_TMPDIR");
    let empty = file("empty.gguf", b"");
    let page = file("page.gguf", b"<!DOCTYPE html>\n<p>404");
    let out = path("never.f32").to_str().unwrap().to_owned();
    for (model, says) in
        [(&*missing, "missing.gguf"), (folder, "is a folder"), (&empty, "is empty"), (&page, "not a GGUF")]
    {
        for args in [
            &["generate", "-m", model][..],
            &["logits", "-m", model, "--tokens", "1", "--out", &out],
            &["score", "-m", model],
            &["tokenize", "-m", model],
            &["inspect", model],
        ] {
            fails(args, b"a\n", says);
        }
    }
    let whole = llama().write();
    let cut = file("cut.gguf", &whole[..whole.len() - 1]);
    fails(&["generate", "-m", &cut], b"", "truncated");
    let mut other = llama();
    other.set("general.architecture", Value::Str("superpoint".into()));
    let other = file("other.gguf", &other.write());
    fails(&["score", "-m", &other], b"", "\"superpoint\"");
    assert!(!PathBuf::from(out).exists());
}

#[test]
fn tokens_are_shown_with_the_bytes_that_they_stand_for() {
    let made = llama();
    let model = file("ranges.gguf", &made.write());
    let out = prints(&["tokenize", "-m", &model, "--ranges"], "a\n\u{e9}".as_bytes());
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    let ids = prints(&["tokenize", "-m", &model], "a\n\u{e9}".as_bytes());
    assert_eq!(lines.iter().map(|line| line[0]).collect::<Vec<_>>().join(" ") + "\n", ids);
    let ends: Vec<&str> = lines.iter().map(|line| line[2]).collect();
    assert!(lines.iter().skip(1).zip(&ends).all(|(line, end)| line[1] == *end), "{out}");
    assert_eq!((lines[0][1], *ends.last().unwrap()), ("0", "4"), "{out}");
}

/// The logits of all tokens by the engine itself.
fn all_logits(made: &Made, tokens: &[u32]) -> Vec<f32> {
    let mut session = Session::new(made.load(), None).unwrap();
    tokens.iter().flat_map(|token| session.forward(&[*token]).unwrap().to_vec()).collect()
}

#[test]
fn logits_are_those_of_the_engine_in_bits() {
    let made = llama();
    let model = file("logits.gguf", &made.write());
    let out = path("logits.f32").to_str().unwrap().to_owned();
    let tokens: Vec<u32> = (0..70).map(|i| i * 3).collect();
    let list = tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    assert_eq!(prints(&["logits", "-m", &model, "--tokens", &list, "--out", &out], b""), "");
    let want: Vec<u8> = all_logits(&made, &tokens).iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(std::fs::read(&out).unwrap() == want);
    prints(&["logits", "-m", &model, "--prompt", "ab", "--out", &out], b"");
    let prompt = tokenizer(&made).encode_prompt("ab", false).unwrap();
    assert_eq!(prompt[0], 1);
    let want: Vec<u8> = all_logits(&made, &prompt).iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(std::fs::read(&out).unwrap() == want);

    let untouched = path("untouched.f32").to_str().unwrap().to_owned();
    fails(&["logits", "-m", &model, "--tokens", "1,999", "--out", &untouched], b"", "no token 999");
    fails(&["logits", "-m", &model, "--tokens", &["1"; 101].join(","), "--out", &untouched], b"", "101 tokens");
    fails(&["logits", "-m", &model, "--tokens", "1", "--out", "/no/such/folder/x"], b"", "cannot be written");
    misused(&["logits", "-m", &model, "--out", &untouched], "--prompt");
    misused(&["logits", "-m", &model, "--out", &untouched, "--tokens", "1", "--prompt", "a"], "cannot be used with");
    misused(&["logits", "-m", &model, "--out", &untouched, "--tokens", "1,x"], "--tokens");
    misused(&["logits", "-m", &model, "--out", &untouched, "--tokens", ""], "--tokens");
    assert!(!PathBuf::from(untouched).exists());
}

#[test]
fn score_is_the_sum_over_the_tokens() {
    let made = llama();
    let model = file("score.gguf", &made.write());
    let lines = ["ab a b", "", &"a b ".repeat(20), "a\r", "the same", "the same"];
    let printed = prints(&["score", "-m", &model], lines.join("\n").as_bytes());
    let rows: Vec<(f64, usize)> = printed
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(ln_p, n)| (ln_p.parse().unwrap(), n.parse().unwrap()))
        .collect();
    assert_eq!(rows.len(), lines.len());
    let tokenizer = tokenizer(&made);
    let n_vocab = tokenizer.n_vocab();
    for (line, (ln_p, n)) in lines.iter().zip(&rows) {
        let tokens = tokenizer.encode(line.trim_end_matches('\r'), EncodeOptions::default()).unwrap();
        assert_eq!(tokens.len(), *n, "{line:?}");
        let logits = all_logits(&made, &[&[1], &tokens[..]].concat());
        let want: f64 = logits
            .chunks(n_vocab)
            .zip(&tokens)
            .map(|(logits, token)| {
                let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
                f64::from(logits[*token as usize]) - sum.ln()
            })
            .sum();
        assert!((ln_p - want).abs() < 1e-5, "{line:?}: {ln_p} in place of {want}");
    }
    assert_eq!((rows[1], rows[4]), ((0.0, 0), rows[5]));
    assert!(rows[2].1 > 64, "a line of several batches");
    fails(
        &["score", "-m", &model],
        "ab\n".repeat(2).as_bytes().iter().chain(&[0xff]).copied().collect::<Vec<_>>().as_slice(),
        "line 3",
    );
    fails(&["score", "-m", &model, "--ctx-size", "3"], b"a\nab ab ab ab ab", "line 2 of standard input");
    let mut silent = made::gpt2(SHAPE, Format::F32);
    silent.unset("tokenizer.ggml.bos_token_id");
    // EOS in its place
    assert!(prints(&["score", "-m", &file("eos.gguf", &silent.write())], b"ab\n").ends_with("\t1\n"));
    silent.unset("tokenizer.ggml.eos_token_id");
    fails(&["score", "-m", &file("neither.gguf", &silent.write())], b"ab\n", "neither");
}

#[test]
fn score_takes_documents_and_windows() {
    let made = llama();
    let model = file("score-documents.gguf", &made.write());
    let rows = |args: &[&str], input: &str| -> Vec<(f64, usize)> {
        prints(&[&["score", "-m", &model], args].concat(), input.as_bytes())
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(ln_p, n)| (ln_p.parse().unwrap(), n.parse().unwrap()))
            .collect()
    };
    let lines = rows(&[], "ab a b\n\na b");
    assert_eq!(rows(&["--separator", "<end>"], "ab a b<end><end>a b"), lines);
    assert_eq!(rows(&["--separator", "<end>"], "ab\na b").len(), 1, "line ends are text");
    assert_eq!(rows(&["--windows"], "ab a b"), rows(&[], "ab a b"));

    let (text, n_ctx) = ("a b ".repeat(40), 30);
    let tokens = tokenizer(&made).encode(&text, EncodeOptions::default()).unwrap();
    assert!(tokens.len() > 2 * n_ctx);
    let inputs = [&[1], &tokens[..]].concat();
    let want: f64 = (0..tokens.len())
        .step_by(n_ctx)
        .flat_map(|i| {
            let window = &inputs[i..(i + n_ctx).min(tokens.len())];
            let logits = all_logits(&made, window);
            let n_vocab = logits.len() / window.len();
            let ln_p = |(logits, token): (&[f32], &u32)| {
                f64::from(logits[*token as usize]) - logits.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln()
            };
            logits.chunks(n_vocab).zip(&tokens[i..]).map(ln_p).collect::<Vec<_>>()
        })
        .sum();
    let (ln_p, n) = rows(&["--ctx-size", &n_ctx.to_string(), "--windows"], &text)[0];
    assert!((ln_p - want).abs() < 1e-4 && n == tokens.len(), "{ln_p} in place of {want}");
    misused(&["score", "-m", &model, "--separator", ""], "--separator");
}

#[test]
fn tokenize_takes_and_gives_back_every_byte() {
    let made = llama();
    let model = file("tokenize.gguf", &made.write());
    for text in ["ab a", "", "ab\n", "\n\n ab \r\n\t", "a\0b\0", "🦙 é </s>"] {
        let printed = prints(&["tokenize", "-m", &model], text.as_bytes());
        let want = tokenizer(&made).encode(text, EncodeOptions { add_special: true, parse_special: false }).unwrap();
        let ids: Vec<u32> = printed.split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert_eq!(ids, want, "{text:?}");
        assert_eq!(prints(&["tokenize", "-m", &model, "--decode"], printed.as_bytes()), text);
    }
    assert_eq!(prints(&["tokenize", "-m", &model, "--no-bos"], b""), "\n");
    assert_eq!(prints(&["tokenize", "-m", &model], b""), "1\n");
    assert_eq!(prints(&["tokenize", "-m", &model, "--parse-special", "--no-bos"], b"<s></s>"), "1 2\n");
    fails(&["tokenize", "-m", &model], b"ab\xff", "UTF-8");
    fails(&["tokenize", "-m", &model, "--decode"], b"1 2 x", "\"x\"");
    fails(&["tokenize", "-m", &model, "--decode"], b"1 999999", "999999");
    misused(&["tokenize", "-m", &model, "--decode", "--no-bos"], "--no-bos");
    // a vocabulary is enough
    let mut vocabulary = llama();
    vocabulary.tensors.clear();
    let vocabulary = file("vocabulary.gguf", &vocabulary.write());
    assert_eq!(prints(&["tokenize", "-m", &vocabulary], b"<"), prints(&["tokenize", "-m", &model], b"<"));
}

#[test]
fn inspect_says_what_is_there_and_what_is_wrong() {
    let mut made = llama();
    made.set("general.name", Value::Str("A model".into()));
    made.set("general.license", Value::Str("MIT".into()));
    let whole = made.write();
    let model = file("inspect.gguf", &whole);
    let report = json(&["inspect", &model, "--json", "--ctx-size", "50"]);
    assert_eq!((&report["runnable"], &report["problem"]), (&true.into(), &Json::Null));
    assert_eq!((&report["name"], &report["license"]), (&"A model".into(), &"MIT".into()));
    assert_eq!(report["shape"]["n_head_kv"], 2);
    assert_eq!(report["tokenizer"]["n_vocab"], 279);
    assert_eq!(report["tensors"].as_array().unwrap().len(), made.tensors.len());
    assert_eq!(report["quantization"][0]["format"], "Q8_0");
    let memory = &report["memory"];
    assert_eq!(
        (memory["n_ctx"].as_u64(), memory["session_bytes"].as_u64()),
        (Some(50), {
            let config = made.load().config().clone();
            Some(Session::bytes_needed(&config, 50, CacheType::F32))
        })
    );
    assert_eq!(report["file_bytes"], whole.len());
    let text = prints(&["inspect", &model], b"");
    for part in ["A model", "MIT", "runs here     yes", "n_embd 32", "Q8_0", "blk.0.ffn_down.weight", "adds bos"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // what is too much for a page is said, with the number
    assert!(memory["fits_page"] == true && !text.contains("too much"), "{text}");
    let long = ["inspect", &model, "--ctx-size", "100000000"];
    assert!(prints(&long, b"").contains("too much for a page, which has 4.29 GB at most"), "{}", prints(&long, b""));
    assert_eq!(json(&[&long[..], &["--json"]].concat())["memory"]["fits_page"], false);
    // what cannot be run is inspected all the same
    let cut = file("inspect-cut.gguf", &whole[..whole.len() - 1000]);
    let mut other = made.clone();
    other.set("general.architecture", Value::Str("superpoint".into()));
    let other = file("inspect-other.gguf", &other.write());
    let mut vocabulary = made.clone();
    vocabulary.tensors.clear();
    let vocabulary = file("inspect-vocabulary.gguf", &vocabulary.write());
    for (model, says) in [(&cut, "truncated"), (&other, "superpoint"), (&vocabulary, "no weights")] {
        let report = json(&["inspect", model, "--json"]);
        assert_eq!(report["runnable"], false);
        assert!(report["problem"].as_str().unwrap().contains(says), "{report}");
        assert!(prints(&["inspect", model], b"").contains("runs here     no: "));
    }
    fails(&["inspect", &file("inspect-header.gguf", &whole[..100])], b"", "within its header");
}

/// A reader that goes away is no error, and no panic.
#[test]
fn a_closed_pipe_ends_quietly() {
    let model = file("pipe.gguf", &made::llama(Shape { n_ctx: 4000, ..SHAPE }, Format::F32).write());
    for args in [
        &["generate", "-m", &model, "--temperature", "9", "--top-k", "0", "--ctx-size", "4000"][..],
        &["inspect", &model],
    ] {
        let mut child = command(args).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !error.contains("panicked"), "{args:?}: {:?} {error}", output.status);
    }
}

#[test]
fn a_text_keeps_to_its_form() {
    let model = file("form.gguf", &llama().write());
    let record = path("form.json").to_str().unwrap().to_owned();
    let args = ["generate", "-m", &model, "-p", "ab", "--json", "--temperature", "2", "--seed", "3"];
    let write = |form: &[&str]| json(&[&args[..], form].concat());
    let report = write(&["--regex", "(cat|dog) [0-9]{2}", "--record", &record]);
    let text = report["text"].as_str().unwrap();
    assert_eq!((report["stop_reason"].as_str(), text.len()), (Some("eos"), 6), "{text}");
    assert!(["cat ", "dog "].contains(&&text[..4]) && text[4..].parse::<u8>().is_ok(), "{text}");
    let again = json(&["generate", "-m", &model, "--replay", &record, "--json"]);
    assert_eq!(again["tokens"], report["tokens"]);
    // a model that has learned nothing comes to an end too, with and without guesses
    let schema = r#"{"type": "array", "items": {"type": "string"}, "minItems": 2}"#;
    let list = write(&["--json-schema", schema, "-n", "60"]);
    assert_eq!(list["stop_reason"], "eos");
    assert!(serde_json::from_str::<Vec<String>>(list["text"].as_str().unwrap()).unwrap().len() >= 2);
    assert_eq!(write(&["--json-schema", schema, "-n", "60", "--speculate", "lookup"])["tokens"], list["tokens"]);
    assert_eq!(write(&["--grammar", "start: \"a\"~4"])["text"], "aaaa");
    let cut = write(&["--regex", "a{60}", "-n", "9"]);
    assert_eq!((&cut["stop_reason"], &cut["text"]), (&"maxTokens".into(), &"aaaaaaaaa".into()));
    fails(&[&args[..], &["--regex", "("]].concat(), b"", "this regex");
    fails(&[&args[..], &["--json-schema", "{"]].concat(), b"", "no JSON");
    misused(&[&args[..], &["--regex", "a", "--grammar", "b"]].concat(), "--grammar");
    misused(&["generate", "-m", &model, "--replay", &record, "--regex", "a"], "--regex");
}

#[test]
fn a_record_makes_its_answer_again() {
    let model = file("record.gguf", &llama().write());
    let record = path("record.json").to_str().unwrap().to_owned();
    let made = json(&[
        "generate",
        "-m",
        &model,
        "-p",
        "ab",
        "-n",
        "40",
        "--temperature",
        "3",
        "--top-k",
        "0",
        "--xtc-probability",
        "0.3",
        "--dry-multiplier",
        "0.8",
        "--logit-bias",
        "4=-1.5",
        "--ban",
        "7",
        "--stop",
        "zzz",
        "--shift",
        "--keep",
        "2",
        "--json",
        "--record",
        &record,
    ]);
    let again = json(&["generate", "-m", &model, "--replay", &record, "--speculate", "lookup", "--json"]);
    for key in ["tokens", "text", "seed", "stop_reason", "prompt_tokens"] {
        assert_eq!(again[key], made[key], "{key}");
    }
    assert!(!ids(&made["tokens"]).contains(&7));
    let read: Json = serde_json::from_str(&std::fs::read_to_string(&record).unwrap()).unwrap();
    assert_eq!((&read["tokens"], read["model"].as_str().unwrap().len()), (&made["tokens"], 16));
    assert_eq!((&read["nCtx"], &read["sampler"]["bannedTokens"]), (&Json::from(100), &Json::from(vec![7])));
    // another answer, another model, another context
    let mut wrong = read.clone();
    wrong["tokens"][3] = Json::from(7);
    let wrong = file("wrong-record.json", wrong.to_string().as_bytes());
    let parted = run(&["generate", "-m", &model, "--replay", &wrong], b"");
    assert!(!parted.status.success() && String::from_utf8_lossy(&parted.stderr).contains("part after 3 tokens"));
    let other = file("record-other.gguf", &made::llama(SHAPE, Format::Q4_0).write());
    fails(&["generate", "-m", &other, "--replay", &record], b"", "another model");
    fails(&["generate", "-m", &model, "--ctx-size", "50", "--replay", &record], b"", "--ctx-size 100");
    let torn = file("torn-record.json", b"{");
    fails(&["generate", "-m", &model, "--replay", &torn], b"", "torn-record.json");
    misused(&["generate", "-m", &model, "--replay", &record, "-p", "a"], "--prompt");
}

#[test]
fn several_answers_alternatives_and_stop_strings() {
    let model = file("answers.gguf", &llama().write());
    let base = ["generate", "-m", &model, "-p", "ab", "-n", "20", "--seed", "3", "--temperature", "3", "--json"];
    let out = prints(&[&base[..], &["--answers", "3", "--logprobs", "2"]].concat(), b"");
    let answers: Vec<Json> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.iter().map(|answer| answer["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 4, 5]);
    for answer in &answers {
        let seed = answer["seed"].to_string();
        let alone =
            json(&["generate", "-m", &model, "-p", "ab", "-n", "20", "--seed", &seed, "--temperature", "3", "--json"]);
        assert_eq!(alone["tokens"], answer["tokens"]);
        let alternatives = answer["alternatives"].as_array().unwrap();
        assert_eq!(alternatives.len(), ids(&answer["tokens"]).len());
        assert!(alternatives.iter().all(|best| best[0][1].as_f64() >= best[1][1].as_f64()), "{answer}");
    }
    let text = answers[0]["text"].as_str().unwrap();
    let middle: String = text.chars().skip(text.chars().count() / 2).take(3).collect();
    let stopped = json(&[&base[..], &["--stop", &middle]].concat());
    assert_eq!(stopped["stop_reason"], "stop");
    assert_eq!(stopped["text"], text[..text.find(&middle).unwrap()]);
    fails(&["generate", "-m", &model, "--logit-bias", "3"], b"", "13=-2.5");
    fails(&["generate", "-m", &model, "--ban", "9999"], b"", "banned");
    misused(&["generate", "-m", &model, "--logprobs", "2"], "--json");
}

#[test]
fn perplexity_is_by_the_usual_windows() {
    let made = llama();
    let model = file("perplexity.gguf", &made.write());
    let text = "ab a b ab ba\n".repeat(20);
    let args = ["perplexity", "-m", &model, "--ctx-size", "32", "--json"];
    let report: Json = serde_json::from_str(&prints(&args, text.as_bytes())).unwrap();
    let tokens = tokenizer(&made).encode_prompt(&text, false).unwrap();
    let mut scores = Vec::new();
    for window in tokens.chunks_exact(32) {
        let window: Vec<u32> = std::iter::once(1).chain(window[1..].iter().copied()).collect();
        let mut session = Session::new(made.load(), Some(32)).unwrap();
        scores.extend(session.score(&window).unwrap().into_iter().skip(16));
    }
    let want = (-scores.iter().sum::<f64>() / scores.len() as f64).exp();
    assert!((report["perplexity"].as_f64().unwrap() / want - 1.0).abs() < 1e-9, "{report} {want}");
    assert_eq!(report["n_tokens"], scores.len());
    assert!(prints(&args[..5], text.as_bytes()).contains(" tokens counted in "));
    fails(&args, b"ab", "less than one window");
}

/// A model with rows of 256, in F32.
fn plain() -> Made {
    let wide = Shape { n_embd: 256, n_ff: 256, n_head: 4, n_head_kv: 4, ..SHAPE };
    made::llama(wide, Format::F32)
}

#[test]
fn quantize_writes_files_that_run() {
    let source = file("plain.gguf", &plain().write());
    for name in [
        "F16", "BF16", "Q8_0", "q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
        "IQ4_XS",
    ] {
        let out = path(&format!("quantized-{name}.gguf")).to_str().unwrap().to_owned();
        prints(&["quantize", &source, &out, name], b"");
        let report = json(&["inspect", &out, "--json"]);
        assert_eq!((&report["runnable"], &report["problem"]), (&Json::from(true), &Json::Null));
        let tensors = report["tensors"].as_array().unwrap();
        let format = |name: &str| tensors.iter().find(|t| t["name"] == name).unwrap()["format"].as_str().unwrap();
        assert_eq!(format("blk.0.attn_q.weight"), name.to_uppercase());
        assert_eq!(format("blk.0.attn_norm.weight"), "F32");
        json(&["generate", "-m", &out, "-p", "ab", "-n", "3", "--json"]);
    }
    // what is rounded plainly is what the engine itself writes
    let bytes = std::fs::read(path("quantized-Q8_0.gguf")).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    let tensor = gguf.tensor("blk.0.ffn_up.weight").unwrap();
    let mut made = plain();
    let mut values = vec![0.0; 256 * 256];
    Format::F32.dequantize(&made.tensor("blk.0.ffn_up.weight").bytes, &mut values);
    let mut want = vec![0; tensor.bytes as usize];
    Format::Q8_0.quantizer().unwrap()(&values, &mut want);
    assert!(gguf.tensor_bytes(&bytes, tensor).unwrap() == want);
}

#[test]
fn quantize_refuses_and_falls_back() {
    let source = file("plain-2.gguf", &plain().write());
    let out = path("never.gguf").to_str().unwrap().to_owned();
    fails(&["quantize", &source, &out, "IQ2_XXS"], b"", "IQ2_XXS can be read but not written");
    fails(&["quantize", &source, &out, "Q9"], b"", "Q9 is no format");
    let small = file("small.gguf", &llama().write());
    fails(&["quantize", &small, &out, "Q4_K"], b"", "is Q8_0 already");
    fails(&["quantize", &source, &out, "Q4_K", "--imatrix", &source], b"", "no importance matrix");
    let mut broken = plain();
    broken.tensor("blk.0.ffn_up.weight").bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let broken = file("broken.gguf", &broken.write());
    fails(&["quantize", &broken, &out, "Q4_K"], b"", "no numbers");
    assert!(!PathBuf::from(&out).exists());
    let narrow = file("narrow.gguf", &made::llama(SHAPE, Format::F32).write());
    let out = path("narrow-q.gguf").to_str().unwrap().to_owned();
    for (name, instead) in
        [("Q4_K", "Q5_0"), ("Q5_K", "Q5_1"), ("Q6_K", "Q8_0"), ("Q2_K", "IQ4_NL"), ("IQ4_XS", "IQ4_NL")]
    {
        prints(&["quantize", &narrow, &out, name, "--output-tensor-type", "F16"], b"");
        let tensors = json(&["inspect", &out, "--json"])["tensors"].clone();
        let format =
            |name: &str| tensors.as_array().unwrap().iter().find(|t| t["name"] == name).unwrap()["format"].clone();
        assert_eq!((format("blk.0.ffn_up.weight"), format("output.weight")), (instead.into(), "F16".into()));
    }
}

#[test]
fn an_importance_matrix_in_either_format_has_its_effect() {
    let source = file("plain-3.gguf", &plain().write());
    let name = "blk.0.ffn_up.weight";
    let squares: Vec<f32> = (0..256).map(|i| if i % 8 == 0 { 300.0 } else { 3.0 }).collect();
    let bytes: Vec<u8> = squares.iter().flat_map(|x| x.to_le_bytes()).collect();
    let counted = 3f32.to_le_bytes();
    let (sums, counts) = (format!("{name}.in_sum2"), format!("{name}.counts"));
    let gguf = pagelm::gguf::write(
        &pagelm::gguf::Metadata::new(vec![("general.type".into(), Value::Str("imatrix".into()))]),
        &[(&sums, &[256, 1], Format::F32, &bytes), (&counts, &[1, 1], Format::F32, &counted)],
    );
    let int = |n: i32| n.to_le_bytes().to_vec();
    let dat = [int(1), int(name.len() as i32), name.as_bytes().to_vec(), int(3), int(256), bytes.clone()].concat();
    let quantized = |out: &str, imatrix: Option<&str>| {
        let out = path(out).to_str().unwrap().to_owned();
        let with = imatrix.map_or(vec![], |imatrix| vec!["--imatrix", imatrix]);
        prints(&[&["quantize", &source, &out, "Q3_K"][..], &with].concat(), b"");
        let bytes = std::fs::read(&out).unwrap();
        let gguf = Gguf::parse(&bytes).unwrap();
        gguf.tensor_bytes(&bytes, gguf.tensor(name).unwrap()).unwrap().to_vec()
    };
    let plain = quantized("im-plain.gguf", None);
    let [from_gguf, from_dat] = [("im.gguf", &gguf), ("im.dat", &dat)]
        .map(|(name, bytes)| quantized(&format!("im-{name}.gguf"), Some(&file(name, bytes))));
    assert!(from_gguf == from_dat && from_gguf != plain);
    let out = path("never-2.gguf").to_str().unwrap().to_owned();
    let torn = file("torn.dat", &dat[..100]);
    fails(&["quantize", &source, &out, "Q3_K", "--imatrix", &torn], b"", "ends too early");
}

/// The files of a model in two, as `llama-gguf-split` names them; the first's path.
fn two_files(stem: &str) -> String {
    let whole = llama();
    let part = |no: i128| {
        let (metadata, tensors) = match no {
            0 => (whole.metadata.clone(), whole.tensors[..4].to_vec()),
            _ => (Vec::new(), whole.tensors[4..].to_vec()),
        };
        let mut part = Made { metadata, tensors };
        part.set("split.no", Value::Int(no));
        part.set("split.count", Value::Int(2));
        part.write()
    };
    file(&format!("{stem}-00002-of-00002.gguf"), &part(1));
    file(&format!("{stem}-00001-of-00002.gguf"), &part(0))
}

#[test]
fn a_model_in_several_files_is_found_by_its_first() {
    let whole = file("parts-whole.gguf", &llama().write());
    let first = two_files("parts");
    let args = |model: &str| {
        ["generate", "--model", model, "--prompt", "ab", "--n-predict", "5", "--seed", "3"].map(String::from)
    };
    let text = |model: &str| prints(&args(model).each_ref().map(String::as_str), b"");
    assert_eq!(text(&first), text(&whole));
    let about: Json = serde_json::from_str(&prints(&["inspect", "--json", &first], b"")).unwrap();
    assert_eq!(
        (&about["runnable"], about["tensors"].as_array().unwrap().len()),
        (&Json::Bool(true), llama().tensors.len())
    );
    let renamed = file("renamed.gguf", &std::fs::read(&first).unwrap());
    let output = run(&args(&renamed).each_ref().map(String::as_str), b"");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("is one of 2 files"));
}

/// Answers each request with the range that it asks for, and counts the bytes.
fn serve_ranges(file: Vec<u8>) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/model.gguf", listener.local_addr().unwrap());
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut stream, mut request) = (stream, Vec::new());
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let Some((_, range)) = request.split_once("range: bytes=") else { continue };
            let (start, end) = range.split_once("\r\n").unwrap().0.split_once('-').unwrap();
            let (start, end) = (start.parse::<usize>().unwrap(), file.len().min(end.parse::<usize>().unwrap() + 1));
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\nConnection: close\r\n\r\n",
                end - start,
                end - 1,
                file.len()
            );
            let _ = stream.write_all(head.as_bytes());
            // The client ends the connection when it has seen enough.
            for piece in file[start..end].chunks(4096) {
                if stream.write_all(piece).is_err() {
                    break;
                }
                count.fetch_add(piece.len(), std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
    (url, sent)
}

#[test]
fn the_header_of_a_file_at_an_address_is_all_that_is_fetched() {
    let shape = Shape { n_embd: 1024, n_ff: 4096, ..SHAPE };
    let whole = made::llama(shape, Format::F32).write();
    let (url, sent) = serve_ranges(whole.clone());
    let about: Json = serde_json::from_str(&prints(&["inspect", "--json", &url], b"")).unwrap();
    let local = file("remote.gguf", &whole);
    let mut expected: Json = serde_json::from_str(&prints(&["inspect", "--json", &local], b"")).unwrap();
    expected["file"] = Json::String(url);
    assert_eq!(about, expected);
    let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!(sent <= 2 << 20 && whole.len() > 40 << 20, "{sent} of {} bytes were sent", whole.len());
    let output = run(&["inspect", "http://127.0.0.1:1/none.gguf"], b"");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("cannot be read"));
}
