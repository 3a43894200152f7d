//! Metadata that is wrong in every way we could think of: an error that names the key, or a defined meaning; no panic.

use crate::small::*;
use pagelm::error::Error;
use pagelm::gguf::{Array, Metadata, Value, ValueType};
use pagelm::tokenizer::Tokenizer;
use proptest::prelude::*;

fn spm() -> Small {
    Small::spm(&[("▁", 0.0), ("a", -1.0)])
}

fn t5() -> Small {
    let mut small = spm();
    small.pairs.clear();
    small.with("model", Value::Str("t5".into()))
}

fn bpe() -> Small {
    Small::bpe(&["a b"])
}

/// The error for this vocabulary with `tokenizer.ggml.{key}` replaced.
fn error(mut small: Small, key: &str, value: Value) -> Error {
    small.pairs.retain(|(other, _)| *other != format!("tokenizer.ggml.{key}"));
    Tokenizer::from_metadata(&small.with(key, value).metadata()).unwrap_err()
}

#[test]
fn what_is_wrong_is_named() {
    let text = |s: &str| Value::Str(s.into());
    for (small, key, value, code, says) in [
        (spm(), "model", text("bert"), "unsupported", "\"bert\""),
        (spm(), "model", Value::Int(1), "format", "tokenizer.ggml.model"),
        (bpe(), "pre", text("no-such-pre"), "unsupported", "\"no-such-pre\""),
        (bpe(), "pre", text("no-such-pre"), "unsupported", "docs/conformance.md"),
        (bpe(), "pre", Value::Bool(true), "format", "tokenizer.ggml.pre"),
        (spm(), "tokens", text("a"), "format", "tokenizer.ggml.tokens"),
        (spm(), "tokens", strings::<&str>(&[]), "format", "tokenizer.ggml.tokens"),
        (spm(), "tokens", i32s(&[1, 2]), "format", "tokenizer.ggml.tokens"),
        (spm(), "scores", f32s(&[0.0; 3]), "format", "tokenizer.ggml.scores has 3 entries"),
        (spm(), "scores", f32s(&[f32::NAN; 261]), "format", "tokenizer.ggml.scores"),
        (spm(), "scores", i32s(&[0; 261]), "format", "tokenizer.ggml.scores"),
        (spm(), "token_type", i32s(&[1; 262]), "format", "tokenizer.ggml.token_type has 262 entries"),
        (spm(), "token_type", f32s(&[1.0; 261]), "format", "tokenizer.ggml.token_type"),
        (t5(), "precompiled_charsmap", text("x"), "format", "tokenizer.ggml.precompiled_charsmap"),
        (
            t5(),
            "precompiled_charsmap",
            charsmap(9, &[0; 8]),
            "format",
            "tokenizer.ggml.precompiled_charsmap is cut short",
        ),
        (t5(), "unknown_token_id", Value::Int(4_294_967_295), "format", "tokenizer.ggml.unknown_token_id"),
        (spm(), "bos_token_id", Value::Int(261), "format", "tokenizer.ggml.bos_token_id is 261"),
        (spm(), "eos_token_id", Value::Int(-1), "format", "tokenizer.ggml.eos_token_id"),
        (spm(), "eot_token_id", Value::Int(4_294_967_294), "format", "tokenizer.ggml.eot_token_id"),
        (spm(), "unknown_token_id", text("<unk>"), "format", "tokenizer.ggml.unknown_token_id"),
        (spm(), "add_bos_token", Value::Int(1), "format", "tokenizer.ggml.add_bos_token"),
        (spm(), "add_space_prefix", text("yes"), "format", "tokenizer.ggml.add_space_prefix"),
        (
            bpe(),
            "merges",
            strings(&["a b", "ab"]),
            "format",
            "tokenizer.ggml.merges has no space between two tokens in entry 1",
        ),
        (bpe(), "merges", strings(&[""]), "format", "entry 0"),
        (bpe(), "merges", strings(&[" "]), "format", "entry 0"),
        (bpe(), "merges", i32s(&[1]), "format", "tokenizer.ggml.merges"),
    ] {
        let error = error(small, key, value);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn missing_keys_are_named() {
    for (small, key) in [(spm(), "model"), (spm(), "tokens"), (bpe(), "merges")] {
        let key = format!("tokenizer.ggml.{key}");
        let pairs = small.metadata().iter().filter(|(k, _)| *k != key).map(|(k, v)| (k.into(), v.clone())).collect();
        let error = Tokenizer::from_metadata(&Metadata::new(pairs)).unwrap_err();
        assert!(matches!(&error, Error::Format(text) if text.contains(&key)), "{error}");
    }
}

#[test]
fn without_pre_the_default_rules_hold_and_without_scores_all_are_equal() {
    let without = |small: Small, key: &str| {
        let pairs = small.metadata().iter().filter(|(k, _)| *k != key).map(|(k, v)| (k.into(), v.clone())).collect();
        Tokenizer::from_metadata(&Metadata::new(pairs)).unwrap()
    };
    assert_eq!(without(bpe(), "tokenizer.ggml.pre").pre(), Some("default"));
    assert_eq!(bpe().build().pre(), Some("gpt-2"));
    let tokenizer = without(Small::spm(&[("aa", 1.0), ("a", 2.0), ("▁", 3.0)]), "tokenizer.ggml.scores");
    assert_eq!(tokenizer.decode(&tokenizer.encode("aaa", PLAIN).unwrap()).unwrap(), "aaa");
    // without types every token is text
    let tokenizer = without(spm(), "tokenizer.ggml.token_type");
    assert_eq!(tokenizer.decode(&[1]).unwrap(), "<s>");
}

#[test]
fn odd_tokens_have_a_meaning() {
    let odd = Small::spm(&[("▁", 0.0), ("", 9.0), ("a", 0.0), ("a", 5.0)]).token([0xff, 0xfe], 9.0, NORMAL);
    let odd = odd.token([0xf0, 0x9f], 0.0, CONTROL).token("", 0.0, USER_DEFINED).token("<0xZZ>", 0.0, BYTE);
    let odd = odd.token("<y>", 0.0, 77).token("<z>", 0.0, i32::MIN).build();
    // of two tokens with one spelling, text becomes the first; the second can still be decoded
    assert_eq!(odd.encode("a", PLAIN).unwrap(), [259, 261]);
    assert_eq!(odd.decode(&[262, 260]).unwrap(), "a");
    assert_eq!(odd.decode(&[263]).unwrap(), "\u{fffd}\u{fffd}");
    assert_eq!(odd.token_text(263).unwrap(), "\u{fffd}\u{fffd}");
    assert_eq!(odd.decode(&[266]).unwrap(), "<0xZZ>");
    assert_eq!(odd.decode(&[267, 268]).unwrap(), "");
    let text = "🦙<y><0xZZ>";
    assert_eq!(odd.decode(&odd.encode(text, PARSE).unwrap()).unwrap(), text);
}

#[test]
fn merges_that_point_nowhere_are_left_out() {
    let mut small = Small::bpe(&["a b"]);
    small = small.with("merges", strings(&["x yz", "c d", "a b", "a  b", "ab ", "Ã ©", "q r", "a b"]));
    let tokenizer = small.build();
    assert_eq!(tokenizer.encode("abcdqr", PLAIN).unwrap(), [256, 99, 100, 113, 114]);
    // a vocabulary that spells few bytes leaves out the others
    let few = Small::default().with("model", Value::Str("gpt2".into())).with("merges", strings(&["A B"]));
    let few = few.token("A", 0.0, NORMAL).token("B", 0.0, NORMAL).build();
    assert_eq!(few.encode("ABC", PLAIN).unwrap(), [0, 1]);
}

#[test]
fn a_vocabulary_that_cannot_spell_says_so() {
    let tiny =
        Small::default().with("model", Value::Str("llama".into())).token("▁", 0.0, NORMAL).token("a", 0.0, NORMAL);
    let none = Value::Int(4_294_967_295);
    let error = tiny.clone().with("unknown_token_id", none).build().encode("é", PLAIN).unwrap_err();
    assert!(matches!(&error, Error::Format(text) if text.contains("0xC3")), "{error}");
    let tokenizer = tiny.token("<unk>", 0.0, UNKNOWN).with("unknown_token_id", Value::Int(2)).build();
    assert_eq!(tokenizer.encode("éa", PLAIN).unwrap(), [0, 2, 2, 1]);
}

#[test]
fn tokens_outside_the_vocabulary_are_arguments() {
    for tokenizer in [spm().build(), bpe().build()] {
        let n = tokenizer.n_vocab() as u32;
        for token in [n, u32::MAX] {
            for error in [
                tokenizer.decode(&[0, token]).unwrap_err(),
                tokenizer.piece(token).unwrap_err(),
                tokenizer.token_text(token).unwrap_err(),
            ] {
                assert!(matches!(&error, Error::Argument(text) if text.contains(&token.to_string())), "{error}");
            }
            assert!(!tokenizer.is_end(token) && !tokenizer.is_control(token));
        }
    }
}

/// A normalization whose trie of `n` · 4 nodes, and replacements, are anything.
fn charsmap(n: u32, words: &[u32]) -> Value {
    // where the root's children are, and then nodes that point into the trie
    let nodes = words.iter().enumerate().map(|(i, word)| if i % 2 == 0 { word & 0x8000_7fff } else { *word });
    let bytes = core::iter::once(n * 16).chain(nodes).flat_map(u32::to_le_bytes).collect();
    Value::Array(Array::Num { kind: ValueType::U8, bytes })
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = prop::collection::vec(any::<u8>(), 0..6);
    let array = prop::collection::vec(bytes, 0..300).prop_map(|list| strings(&list));
    prop_oneof![
        any::<i64>().prop_map(|n| Value::Int(n.into())),
        (0_i128..300).prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        "[a-z0-9-]{0,6}".prop_map(Value::Str),
        array,
        prop::collection::vec(any::<f32>(), 0..300).prop_map(|list| f32s(&list)),
        prop::collection::vec(-1_i32..9, 0..300).prop_map(|list| i32s(&list)),
        (0_u32..9, prop::collection::vec(any::<u32>(), 0..80)).prop_map(|(n, words)| charsmap(n, &words)),
        Just(Value::Array(Array::Num { kind: ValueType::I32, bytes: vec![1, 2, 3] })),
    ]
}

proptest! {
    #[test]
    fn nothing_panics(
        style in 0_usize..4,
        changes in prop::collection::vec((0_usize..14, value()), 0..4),
        tokens in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 1..40),
        types in prop::collection::vec(-1_i32..8, 40),
        text in "\\PC{0,20}",
    ) {
        const KEYS: [&str; 14] = [
            "model", "pre", "tokens", "scores", "token_type", "merges", "bos_token_id", "eos_token_id",
            "unknown_token_id", "add_bos_token", "add_eos_token", "add_space_prefix",
            "remove_extra_whitespaces", "precompiled_charsmap",
        ];
        let model = ["llama", "gpt2", "gemma4", "t5"][style];
        let mut small = if style == 1 || style == 2 { bpe() } else { spm() };
        small.pairs.retain(|(key, _)| key != "tokenizer.ggml.model");
        small = small.with("model", Value::Str(model.into()));
        for (text, kind) in tokens.iter().zip(types) {
            small = small.token(text, 0.0, kind);
        }
        for (key, value) in changes {
            small.pairs.retain(|(other, _)| *other != format!("tokenizer.ggml.{}", KEYS[key]));
            small = small.with(KEYS[key], value);
        }
        if let Ok(tokenizer) = Tokenizer::from_metadata(&small.metadata()) {
            for options in [PLAIN, ADD, PARSE] {
                if let Ok(tokens) = tokenizer.encode(&text, options) {
                    prop_assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.n_vocab()));
                    tokenizer.decode(&tokens).unwrap();
                }
            }
            let all: Vec<u32> = (0..tokenizer.n_vocab() as u32).collect();
            tokenizer.decode(&all).unwrap();
        }
    }
}
