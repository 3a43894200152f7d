//! Both merge loops against the plain ones: look at all neighbours, join the best two, start over.

use crate::small::{PLAIN, Small};
use proptest::prelude::*;
use std::collections::HashMap;

/// SentencePiece, by looking at all neighbours each time: the highest score, then the leftmost.
fn spm_by_scanning(pieces: &[(String, f32)], text: &str) -> Vec<String> {
    let scores: HashMap<&str, f32> = pieces.iter().map(|(text, score)| (text.as_str(), *score)).collect();
    let mut symbols: Vec<String> = text.chars().map(String::from).collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for i in 1..symbols.len() {
            if let Some(&score) = scores.get(symbols[i - 1..=i].concat().as_str())
                && best.is_none_or(|(other, _)| score > other)
            {
                best = Some((score, i));
            }
        }
        let Some((_, i)) = best else { return symbols };
        let right = symbols.remove(i);
        symbols[i - 1].push_str(&right);
    }
}

/// BPE, by looking at all neighbours each time: the earliest merge, then the leftmost.
fn bpe_by_scanning(merges: &[String], word: &str) -> Vec<String> {
    let mut symbols: Vec<String> = word.chars().map(String::from).collect();
    loop {
        let rank = |i: usize| merges.iter().position(|merge| *merge == format!("{} {}", symbols[i - 1], symbols[i]));
        let Some((_, i)) = (1..symbols.len()).filter_map(|i| Some((rank(i)?, i))).min() else { return symbols };
        let right = symbols.remove(i);
        symbols[i - 1].push_str(&right);
    }
}

/// Distinct texts over few letters, in no order, so that many of them overlap.
fn pieces() -> impl Strategy<Value = Vec<(String, f32)>> {
    let piece = ("[abé]{2,6}", -3_i8..3);
    let singles = ["a", "b", "é"].map(|text| (text.to_string(), 0.0));
    prop::collection::vec(piece, 0..40).prop_map(move |drawn| {
        let mut pieces = singles.to_vec();
        for (text, score) in drawn {
            if pieces.iter().all(|(other, _)| *other != text) {
                pieces.push((text, f32::from(score)));
            }
        }
        pieces
    })
}

/// Merges as training makes them: each joins two spellings that are there already.
fn merges() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40).prop_map(|pairs| {
        let mut spellings: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let mut merges: Vec<String> = Vec::new();
        for (left, right) in pairs {
            let merge = format!("{} {}", left.get(&spellings), right.get(&spellings));
            let joined = merge.replace(' ', "");
            if joined.len() <= 12 && !spellings.contains(&joined) {
                spellings.push(joined);
                merges.push(merge);
            }
        }
        merges
    })
}

proptest! {
    #[test]
    fn spm_joins_what_scanning_joins(pieces in pieces(), text in "[abé]{0,60}") {
        let borrowed: Vec<(&str, f32)> = pieces.iter().map(|(text, score)| (text.as_str(), *score)).collect();
        let tokenizer = Small::spm(&borrowed).with("add_space_prefix", pagelm::gguf::Value::Bool(false)).build();
        let tokens = tokenizer.encode(&text, PLAIN).unwrap();
        let spelled: Vec<_> = tokens.iter().map(|token| tokenizer.token_text(*token).unwrap()).collect();
        prop_assert_eq!(spelled, spm_by_scanning(&pieces, &text));
    }

    #[test]
    fn bpe_joins_what_scanning_joins(merges in merges(), word in "[abc]{0,60}") {
        let borrowed: Vec<&str> = merges.iter().map(String::as_str).collect();
        let tokenizer = Small::bpe(&borrowed).build();
        let tokens = tokenizer.encode(&word, PLAIN).unwrap();
        let spelled: Vec<_> = tokens.iter().map(|token| tokenizer.token_text(*token).unwrap()).collect();
        prop_assert_eq!(spelled, bpe_by_scanning(&merges, &word));
    }
}
