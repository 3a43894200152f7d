//! Vocabularies of real models, with the ids that llama.cpp recorded for texts.
//!
//! The data is not part of this repository. Where it is missing, each test says on standard error that it was skipped.

use crate::small::{ADD, NORMAL, PLAIN, Small, byte_char};
use pagelm::gguf::{Gguf, Value};
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of the shared data, or a line that names the test that has to do without.
fn shared(test: &str, file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(file);
    if path.is_file() {
        return Some(path);
    }
    // Not by eprintln!, which a passing test keeps to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: ../shared/{file} is not there");
    None
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

#[test]
fn llama_spm_vocabulary() {
    let Some(vocab) = shared("llama_spm_vocabulary", "tokenizers/llama.cpp/ggml-vocab-llama-spm.gguf") else { return };
    check(&tokenizer(&vocab), &vocab);
    let Some(model) = shared("llama_spm_vocabulary", "models/llama-2-tiny-random.gguf") else { return };
    check(&tokenizer(&model), &vocab);
}

#[test]
fn gpt2_vocabulary() {
    let Some(vocab) = shared("gpt2_vocabulary", "tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf") else { return };
    let tokenizer = tokenizer(&vocab);
    check(&tokenizer, &vocab);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(50256), Some(50256)));
    assert!(!tokenizer.adds_bos() && tokenizer.is_end(50256));
    let parse = EncodeOptions { parse_special: true, ..PLAIN };
    assert_eq!(tokenizer.encode("Hello<|endoftext|>", parse).unwrap(), [15496, 50256]);
}

#[test]
fn stories_prompts() {
    let Some(model) = shared("stories_prompts", "models/stories260K-f32.gguf") else { return };
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
#[test]
fn qwen2_vocabulary() {
    let Some(vocab) = shared("qwen2_vocabulary", "tokenizers/qwen2/vocab.json") else { return };
    let Some(merges) = shared("qwen2_vocabulary", "tokenizers/qwen2/merges.txt") else { return };
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
#[test]
fn llama3_vocabulary() {
    let Some(model) = shared("llama3_vocabulary", "tokenizers/llama3/tokenizer.model") else { return };
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
    let small = small.with("merges", crate::small::strings(merges));
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
