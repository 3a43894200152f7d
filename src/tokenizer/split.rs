//! How rules cut a text into words: what a rule can say, and the loop that applies it.
//!
//! A rule says what a regular expression over character categories says, so far as pre-tokenizers need it; the rules
//! themselves are data, in [`super::pre`]. There is no engine for expressions: this file is all there is.

use super::categories::{Categories, CategoryTable};
use core::ops::Range;

/// Alternatives, the first that matches counting. Text between matches becomes words as well.
pub(super) type Pass = &'static [Rule];

/// Parts that match one after the other.
pub(super) type Rule = &'static [Part];

/// What can stand in a rule.
#[derive(Debug)]
pub(super) enum Part {
    /// As many characters of a set as there are, from `min` to `max`; fewer where the rest of the rule needs it.
    #[allow(missing_docs, reason = "said above")]
    Run { set: Set, min: u32, max: u32 },
    /// One of these ASCII texts.
    OneOf(&'static [&'static str]),
    /// As `OneOf`, upper or lower case.
    OneOfAnyCase(&'static [&'static str]),
    /// Nothing, but only where no character of the set comes next. `\s+(?!\S)` is a run and this.
    NotBefore(Set),
}

/// A set of characters: by category or by range, or all others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set {
    categories: Categories,
    ranges: &'static [(char, char)],
    negated: bool,
}

/// The characters of any of these categories.
pub(super) const fn any(categories: Categories) -> Set {
    Set { categories, ranges: &[], negated: false }
}

/// All characters but those of these categories, and of the ranges added.
pub(super) const fn none_of(categories: Categories) -> Set {
    Set { categories, ranges: &[], negated: true }
}

impl Set {
    /// The set with these ranges (first and last character) as well.
    pub(super) const fn and(self, ranges: &'static [(char, char)]) -> Set {
        Set { ranges, ..self }
    }

    fn holds(&self, c: char, table: &CategoryTable) -> bool {
        let listed = self.ranges.iter().any(|&(first, last)| first <= c && c <= last);
        (listed || table.of(c) & self.categories != 0) != self.negated
    }
}

/// `set+`
pub(super) const fn some(set: Set) -> Part {
    Part::Run { set, min: 1, max: u32::MAX }
}

/// `set*`
pub(super) const fn run(set: Set) -> Part {
    Part::Run { set, min: 0, max: u32::MAX }
}

/// `set?`
pub(super) const fn optional(set: Set) -> Part {
    Part::Run { set, min: 0, max: 1 }
}

/// `set{min,max}`
pub(super) const fn times(set: Set, min: u32, max: u32) -> Part {
    Part::Run { set, min, max }
}

/// Passes and what they need to know about characters. The first pass splits the text, each further pass the words of
/// the one before.
#[derive(Debug)]
pub(super) struct Splitter {
    passes: &'static [Pass],
    table: CategoryTable,
}

impl Splitter {
    pub(super) fn new(passes: &'static [Pass]) -> Splitter {
        Splitter { passes, table: CategoryTable::new() }
    }

    /// Hands each word of `text` to `word`, in order; together they are the text. Takes time linear in the text.
    pub(super) fn split<'t>(&self, text: &'t str, word: &mut dyn FnMut(&'t str)) {
        self.pass(self.passes, text, word);
    }

    /// Splits a piece by the first of `passes` and what comes out by the others. No rule sees beyond its piece.
    fn pass<'t>(&self, passes: &[Pass], piece: &'t str, word: &mut dyn FnMut(&'t str)) {
        if piece.is_empty() {
            return;
        }
        let Some((rules, others)) = passes.split_first() else { return word(piece) };
        // start of the text since the last match, and where to look for the next
        let (mut start, mut at) = (0, 0);
        while let Some(c) = from(piece, at).chars().next() {
            match rules.iter().find_map(|rule| self.matches(rule, from(piece, at))) {
                Some(len) if len > 0 => {
                    self.pass(others, part(piece, start..at), word);
                    self.pass(others, part(piece, at..at + len), word);
                    at += len;
                    start = at;
                }
                _ => at += c.len_utf8(),
            }
        }
        self.pass(others, from(piece, start), word);
    }

    /// How many bytes at the beginning of `text` the rule matches.
    fn matches(&self, rule: &[Part], text: &str) -> Option<usize> {
        let Some((part, rest)) = rule.split_first() else { return Some(0) };
        match part {
            Part::NotBefore(set) => match text.chars().next() {
                Some(c) if set.holds(c, &self.table) => None,
                _ => self.matches(rest, text),
            },
            Part::OneOf(texts) => self.one_of(texts, rest, text, <[u8]>::eq),
            Part::OneOfAnyCase(texts) => self.one_of(texts, rest, text, <[u8]>::eq_ignore_ascii_case),
            Part::Run { set, min, max } => self.run(set, *min, *max, rest, text),
        }
    }

    fn one_of(&self, texts: &[&str], rest: &[Part], text: &str, same: fn(&[u8], &[u8]) -> bool) -> Option<usize> {
        let starts_with = |t: &str| text.as_bytes().get(..t.len()).is_some_and(|start| same(start, t.as_bytes()));
        let t = texts.iter().find(|t| starts_with(t))?;
        Some(t.len() + self.matches(rest, from(text, t.len()))?)
    }

    /// A run takes all it can; where the rest of the rule then does not match, it gives back one character at a time.
    fn run(&self, set: &Set, min: u32, max: u32, rest: &[Part], text: &str) -> Option<usize> {
        let (mut n, mut len) = (0, 0);
        for c in text.chars() {
            if n == max || !set.holds(c, &self.table) {
                break;
            }
            n += 1;
            len += c.len_utf8();
        }
        while n >= min {
            if let Some(more) = self.matches(rest, from(text, len)) {
                return Some(len + more);
            }
            let c = part(text, 0..len).chars().next_back()?;
            n -= 1;
            len -= c.len_utf8();
        }
        None
    }
}

fn from(text: &str, start: usize) -> &str {
    part(text, start..text.len())
}

/// A part of a text, empty where there is none. Every caller cuts where it has found a character to begin; indexing
/// would be as right, and bring along the code that complains about wrong cuts.
pub(super) fn part(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}
