//! The way to the end: which of the tokens that may come bring a text to its end soonest.
//!
//! A grammar says what may come, not how far the end is. In JSON the punctuation tells: what closes comes before what goes
//! on, and what goes on before what opens. Elsewhere, and within a string that may not end yet, kinds of characters take
//! turns, and so do the characters of a kind: of whichever there may be any number, the one that leads on gets its turn.

use std::sync::Arc;

/// How far a text is, as far as its end is concerned.
pub struct Closing {
    words: Arc<[Vec<u8>]>,
    is_json: bool,
    place: Place,
}

/// Where in a JSON text the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    String,
    /// Behind a backslash in a string.
    Escape,
}

impl Place {
    fn after(self, byte: u8) -> Place {
        match (self, byte) {
            (Place::Between, b'"') | (Place::Escape, _) => Place::String,
            (Place::String, b'"') => Place::Between,
            (Place::String, b'\\') => Place::Escape,
            (place, _) => place,
        }
    }
}

impl Closing {
    pub fn new(words: Arc<[Vec<u8>]>, is_json: bool) -> Closing {
        Closing { words, is_json, place: Place::Between }
    }

    /// Takes the token that came.
    pub fn accept(&mut self, token: u32) {
        for byte in self.words.get(token as usize).into_iter().flatten() {
            self.place = self.place.after(*byte);
        }
    }

    /// Leaves of the tokens whose bits are set only those that come first on the way to the end. `turn` counts the tokens on
    /// this way.
    pub fn narrow(&self, bits: &mut [u32], turn: u32) {
        let rank = |word: &[u8]| match (self.is_json, self.place) {
            (true, Place::Between) => rank_between(word),
            (is_json, _) => rank_within(word, is_json, turn),
        };
        let is_set = |bits: &[u32], token: usize| bits[token / 32] >> (token % 32) & 1 == 1;
        let ranked = |bits: &[u32]| {
            let allowed = self.words.iter().enumerate().filter(|(token, _)| is_set(bits, *token));
            allowed.map(|(token, word)| (token, rank(word))).collect::<Vec<_>>()
        };
        let ranks = ranked(bits);
        let Some(best) = ranks.iter().map(|(_, rank)| *rank).min() else { return };
        let first = |token: usize| self.words[token].first().copied().unwrap_or_default();
        let mut whose: Vec<u8> =
            ranks.iter().filter(|(_, rank)| *rank == best).map(|(token, _)| first(*token)).collect();
        whose.sort_unstable();
        whose.dedup();
        if best == 0 || (self.is_json && self.place == Place::Between) {
            whose.clear();
        }
        let whose_turn = whose.get((turn / 3) as usize % whose.len().max(1));
        for (token, rank) in ranks {
            if rank > best || whose_turn.is_some_and(|byte| *byte != first(token)) {
                bits[token / 32] &= !(1 << (token % 32));
            }
        }
    }
}

/// Between the strings of a JSON text: what closes; what separates; a literal; digits; a string; a list; an object.
fn rank_between(word: &[u8]) -> u8 {
    let all = |bytes: &[u8]| word.iter().all(|byte| bytes.contains(byte));
    match word.first() {
        _ if all(b"}]") => 0,
        _ if all(b",: ") => 1,
        Some(b'a'..=b'z') => 2,
        Some(b'0'..=b'9' | b'-' | b'.') => 3,
        Some(b'"') if all(b"\"}]") => 4,
        Some(b'"') => 5,
        Some(b'[') if all(b"[]}") => 6,
        Some(b'[') => 7,
        Some(b'{') if all(b"{}]") => 8,
        _ => 9,
    }
}

/// Within a string, or in what is no JSON: the string's end; then one kind of characters after the other, by turns.
fn rank_within(word: &[u8], is_json: bool, turn: u32) -> u8 {
    let kind = match word.first() {
        Some(b'"') if is_json && word.iter().all(|byte| b"\"}]".contains(byte)) => return 0,
        Some(b'\\') | None => return 5,
        Some(byte) if !byte.is_ascii() => return 4,
        Some(byte) if byte.is_ascii_alphabetic() => 1,
        Some(byte) if byte.is_ascii_digit() => 2,
        Some(_) => 0,
    };
    1 + ((kind + 3 - turn % 3) % 3) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these words come first, of all of them.
    fn first(words: &[&str], text: &str, is_json: bool, turn: u32) -> Vec<String> {
        let words: Arc<[Vec<u8>]> = words.iter().chain([&text]).map(|word| word.as_bytes().to_vec()).collect();
        let mut closing = Closing::new(words.clone(), is_json);
        let n = words.len() - 1;
        closing.accept(n as u32);
        let mut bits = vec![(1 << n) - 1];
        closing.narrow(&mut bits, turn);
        (0..n).filter(|i| bits[0] >> i & 1 == 1).map(|i| String::from_utf8(words[i].clone()).unwrap()).collect()
    }

    #[test]
    fn what_closes_json_comes_first_and_what_opens_it_last() {
        for (text, words, want) in [
            ("[1", &["2", ", ", "]", "].", ".5"][..], &["]"][..]),
            ("[1", &["2", ", ", ", 1"], &[", "]),
            ("[", &["{", "\"", "true", "[", "-"], &["true"]),
            ("[", &["{", "{}", "\"", "\"a", "["], &["\""]),
            ("[", &["{", "{}", "{\"", "["], &["["]),
            ("[", &["{", "{}", "{\""], &["{", "{}"]),
            ("{\"a", &["}", "b", "\"", "\": ", "\\"], &["\""]),
            ("{\"a\\\"", &["}", "\""], &["\""]),
            ("{\"a\"", &["\"", ":"], &[":"]),
        ] {
            assert_eq!(first(words, text, true, 0), want, "{text}");
        }
    }

    #[test]
    fn kinds_of_characters_take_turns_where_a_string_may_not_end() {
        let words = ["a", "1", "@", "ü", "\\"];
        let by_turn: Vec<_> = (0..4).map(|turn| first(&words, "\"a", true, turn)).collect();
        assert_eq!(by_turn, [["@"], ["a"], ["1"], ["@"]]);
        assert_eq!(first(&words[3..], "\"a", true, 0), ["ü"]);
        let signs: Vec<_> =
            (0..4).map(|turn| first(&["-", ":", "-:", "+", "a"], "\"a", true, 3 * turn).concat()).collect();
        assert_eq!(signs, ["+", "--:", ":", "+"]);
        // a quote is a character like others where it ends nothing
        assert_eq!(first(&["a", "\""], "a", false, 1), ["a"]);
    }
}
