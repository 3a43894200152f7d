//! What llama.cpp makes of texts, as `record/record.py` recorded it: the words of every pre-tokenizer, and the tokens of
//! small vocabularies.

use crate::small::*;
use pagelm::gguf::{Array, Metadata, Value, ValueType};
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Record {
    texts: Vec<String>,
    vocabularies: Vec<Vocabulary>,
}

#[derive(Deserialize)]
struct Vocabulary {
    name: String,
    tokens: Vec<(String, i32, f32)>,
    keys: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    merges: Vec<String>,
    /// For each text: plainly, with special tokens added, with special tokens parsed.
    ids: Vec<[Vec<u32>; 3]>,
}

#[derive(Deserialize)]
struct Splits {
    texts: Vec<String>,
    rows: Vec<Row>,
}

/// Pre-tokenizers that behave alike.
#[derive(Deserialize)]
struct Row {
    names: Vec<String>,
    ignore_merges: bool,
    add_bos: bool,
    /// For each text the length of each word in characters: one character below 36, else in parentheses.
    words: Vec<String>,
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/fixtures/tokenizers/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn record() -> Record {
    read("vocabularies")
}

/// A vocabulary of bytes, a word that no merge makes, and BOS.
fn with_pre(name: &str) -> Tokenizer {
    let mut small = Small::bpe(&["x y"]);
    small.pairs.retain(|(key, _)| !key.ends_with("pre"));
    let small = small.with("pre", Value::Str(name.into())).with("bos_token_id", Value::Int(258));
    small.token("abc", 0.0, NORMAL).token("<s>", 0.0, CONTROL).build()
}

#[test]
fn words_are_those_of_llama_cpp() {
    let splits: Splits = read("splits");
    for row in &splits.rows {
        for name in &row.names {
            let tokenizer = with_pre(name);
            assert_eq!(tokenizer.adds_bos(), row.add_bos, "{name}");
            assert_eq!(tokenizer.encode("abc", PLAIN).unwrap() == [257], row.ignore_merges, "{name}");
        }
        let tokenizer = with_pre(&row.names[0]);
        for (text, want) in splits.texts.iter().zip(&row.words) {
            let words = tokenizer.words(text).unwrap();
            assert_eq!(words.concat(), *text);
            let lens: String = words.iter().map(|word| spell(word.chars().count())).collect();
            assert_eq!(lens, *want, "{:?} {words:?}", row.names);
        }
    }
}

fn spell(n: usize) -> String {
    match u32::try_from(n).ok().filter(|n| *n < 36).and_then(|n| char::from_digit(n, 36)) {
        Some(digit) => digit.into(),
        None => format!("({n})"),
    }
}

impl Vocabulary {
    fn build(&self) -> Tokenizer {
        let texts: Vec<&str> = self.tokens.iter().map(|(text, ..)| text.as_str()).collect();
        let types: Vec<i32> = self.tokens.iter().map(|(_, kind, _)| *kind).collect();
        let scores: Vec<f32> = self.tokens.iter().map(|(.., score)| *score).collect();
        let mut pairs: Vec<(String, Value)> = self.keys.iter().map(|(key, json)| (key.clone(), value(json))).collect();
        let mut push = |key: &str, value| pairs.push((format!("tokenizer.ggml.{key}"), value));
        push("tokens", strings(&texts));
        push("token_type", i32s(&types));
        push("scores", f32s(&scores));
        push("merges", strings(&self.merges));
        Tokenizer::from_metadata(&Metadata::new(pairs)).unwrap()
    }
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Bool(yes) => Value::Bool(*yes),
        serde_json::Value::Number(n) => Value::Int(n.as_u64().unwrap().into()),
        serde_json::Value::String(text) => Value::Str(text.clone()),
        serde_json::Value::Array(bytes) => {
            let bytes = bytes.iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
            Value::Array(Array::Num { kind: ValueType::U8, bytes })
        }
        _ => panic!("{json}"),
    }
}

#[test]
fn tokens_are_those_of_llama_cpp() {
    let record = record();
    for vocabulary in &record.vocabularies {
        let tokenizer = vocabulary.build();
        for (text, ids) in record.texts.iter().zip(&vocabulary.ids) {
            for (options, ids) in [PLAIN, ADD, PARSE].into_iter().zip(ids) {
                let name = &vocabulary.name;
                assert_eq!(tokenizer.encode(text, options).unwrap(), *ids, "{name}: {text:?} {options:?}");
            }
        }
    }
}

#[test]
fn ranges_follow_one_upon_the_other_and_cover_the_text() {
    let record = record();
    for vocabulary in &record.vocabularies {
        let tokenizer = vocabulary.build();
        for text in &record.texts {
            for options in [PLAIN, ADD, PARSE, EncodeOptions { add_special: true, parse_special: true }] {
                let pieces = tokenizer.encode_with_ranges(text, options).unwrap();
                let ids: Vec<u32> = pieces.iter().map(|(id, _)| *id).collect();
                assert_eq!(ids, tokenizer.encode(text, options).unwrap());
                let mut at = 0;
                for (_, range) in &pieces {
                    assert!(range.start == at && range.end >= at, "{}: {text:?} {pieces:?}", vocabulary.name);
                    at = range.end;
                }
                let is_text = pieces.iter().any(|(id, _)| tokenizer.bos() != Some(*id) && tokenizer.eos() != Some(*id));
                assert!(at == text.len() || !is_text, "{}: {text:?} {pieces:?}", vocabulary.name);
            }
        }
    }
}
