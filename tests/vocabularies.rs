//! Vocabularies of real models, with the ids that llama.cpp recorded for texts.
//!
//! The data is not part of this repository. Where it is missing, a test is reported as ignored, by name.

mod common;
#[allow(dead_code, reason = "the tokenizer tests use the rest")]
#[path = "tokenizer/small.rs"]
mod small;

use common::data::{needs, shared};
use libtest_mimic::Arguments;
use pagelm::gguf::{Gguf, Value};
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use small::{ADD, NORMAL, PLAIN, Small, byte_char};
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

const LLAMA_SPM: &str = "tokenizers/llama.cpp/ggml-vocab-llama-spm.gguf";
const GPT2: &str = "tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf";
const TINY_LLAMA: &str = "models/llama-2-tiny-random.gguf";
const STORIES: &str = "models/stories260K-f32.gguf";
const QWEN2: [&str; 2] = ["tokenizers/qwen2/vocab.json", "tokenizers/qwen2/merges.txt"];
const LLAMA3: &str = "tokenizers/llama3/tokenizer.model";

fn main() -> ExitCode {
    let trials = vec![
        needs(&[LLAMA_SPM, TINY_LLAMA], "llama_spm_vocabulary", llama_spm_vocabulary),
        needs(&[GPT2], "gpt2_vocabulary", gpt2_vocabulary),
        needs(&[STORIES], "stories_prompts", stories_prompts),
        needs(&QWEN2, "qwen2_vocabulary", qwen2_vocabulary),
        needs(&[LLAMA3], "llama3_vocabulary", llama3_vocabulary),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn tokenizer(path: &Path) -> Tokenizer {
    let bytes = std::fs::read(path).unwrap();
    Tokenizer::from_metadata(&Gguf::parse_prefix(&bytes).unwrap().unwrap().metadata).unwrap()
}

/// Texts and their ids, as llama.cpp's test of a vocabulary keeps them.
fn vectors(vocab: &Path) -> Vec<(String, Vec<u32>)> {
    let beside = |ending| std::fs::read_to_string(format!("{}.{ending}", vocab.display())).unwrap();
    let (inp, out) = (beside("inp"), beside("out"));
    let texts = inp.split("\n__ggml_vocab_test__\n").map(String::from);
    let ids = out.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect());
    let vectors: Vec<_> = texts.zip(ids).collect();
    assert!(vectors.len() >= 40, "{}", vectors.len());
    vectors
}

fn check(tokenizer: &Tokenizer, vocab: &Path) {
    for (text, ids) in vectors(vocab) {
        assert_eq!(tokenizer.encode(&text, PLAIN).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{ids:?}");
    }
}

fn llama_spm_vocabulary() {
    let vocab = shared(LLAMA_SPM);
    check(&tokenizer(&vocab), &vocab);
    let model = shared(TINY_LLAMA);
    check(&tokenizer(&model), &vocab);
}

fn gpt2_vocabulary() {
    let vocab = shared(GPT2);
    let tokenizer = tokenizer(&vocab);
    check(&tokenizer, &vocab);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(50256), Some(50256)));
    assert!(!tokenizer.adds_bos() && tokenizer.is_end(50256));
    let parse = EncodeOptions { parse_special: true, ..PLAIN };
    assert_eq!(tokenizer.encode("Hello<|endoftext|>", parse).unwrap(), [15496, 50256]);
}

fn stories_prompts() {
    let model = shared(STORIES);
    let tokenizer = tokenizer(&model);
    assert!(tokenizer.adds_bos() && tokenizer.is_end(2));
    for line in std::fs::read_to_string(model.with_extension("jsonl")).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let prompt = record["prompt"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(record["tokens"].clone()).unwrap();
        assert_eq!(tokenizer.encode(prompt, ADD).unwrap(), ids, "{prompt:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), prompt);
    }
}

/// The vocabulary that llama.cpp's converter makes of Qwen2's `vocab.json` and `merges.txt`.
fn qwen2_vocabulary() {
    let vocab = shared(QWEN2[0]);
    let merges = shared(QWEN2[1]);
    let ids: HashMap<String, u32> = serde_json::from_str(&std::fs::read_to_string(&vocab).unwrap()).unwrap();
    let mut texts: Vec<(u32, String)> = ids.into_iter().map(|(text, id)| (id, text)).collect();
    texts.sort();
    let merges = std::fs::read_to_string(merges).unwrap();
    let merges: Vec<&str> = merges.lines().filter(|line| !line.starts_with("#version")).collect();
    let tokenizer = bpe("qwen2", texts.iter().map(|(_, text)| text.as_str()), &merges);
    check(&tokenizer, &vocab.with_file_name("../llama.cpp/ggml-vocab-qwen2.gguf"));
}

/// The vocabulary that llama.cpp's converter makes of Llama 3's tiktoken file, which has ranks and no merges: a token
/// was merged from the two parts that the earlier ranks make of it.
fn llama3_vocabulary() {
    let model = shared(LLAMA3);
    let file = std::fs::read_to_string(&model).unwrap();
    let tokens: Vec<Vec<u8>> = file.lines().map(|line| base64(line.split(' ').next().unwrap())).collect();
    let ranks: HashMap<&[u8], usize> =
        tokens.iter().enumerate().map(|(rank, token)| (token.as_slice(), rank)).collect();
    let spell = |bytes: &[u8]| bytes.iter().map(|byte| byte_char(*byte)).collect::<String>();
    let merges: Vec<String> = tokens
        .iter()
        .enumerate()
        .filter_map(|(rank, token)| parts(token, rank, &ranks))
        .map(|(left, right)| format!("{} {}", spell(left), spell(right)))
        .collect();
    let spelled: Vec<String> = tokens.iter().map(|token| spell(token)).collect();
    let merges: Vec<&str> = merges.iter().map(String::as_str).collect();
    let tokenizer = bpe("llama-bpe", spelled.iter().map(String::as_str), &merges);
    check(&tokenizer, &model.with_file_name("../llama.cpp/ggml-vocab-llama-bpe.gguf"));
}

fn bpe<'t>(pre: &str, texts: impl Iterator<Item = &'t str>, merges: &[&str]) -> Tokenizer {
    let small = Small::default().with("model", Value::Str("gpt2".into())).with("pre", Value::Str(pre.into()));
    let small = small.with("merges", small::strings(merges));
    texts.fold(small, |small, text| small.token(text, 0.0, NORMAL)).build()
}

/// The two parts that joining by rank, below `rank`, leaves of a token; `None` for a single byte.
fn parts<'t>(token: &'t [u8], rank: usize, ranks: &HashMap<&[u8], usize>) -> Option<(&'t [u8], &'t [u8])> {
    // where each part starts, and the end
    let mut cuts: Vec<usize> = (0..=token.len()).collect();
    loop {
        let joined = |i: usize| ranks.get(&token[cuts[i - 1]..cuts[i + 1]]).filter(|r| **r < rank);
        match (1..cuts.len() - 1).filter_map(|i| Some((joined(i)?, i))).min() {
            Some((_, i)) => _ = cuts.remove(i),
            None if cuts.len() == 3 => return Some(token.split_at(cuts[1])),
            None => return None,
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value =
        |c: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|b| *b == c);
    let (mut bits, mut n_bits, mut bytes) = (0_usize, 0, Vec::new());
    for digit in text.bytes().map_while(value) {
        bits = bits << 6 | digit;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
            bits &= (1 << n_bits) - 1;
        }
    }
    bytes
}
