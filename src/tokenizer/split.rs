//! How rules cut a text into words: what a rule can say, and the loop that applies it.
//!
//! A rule says what a regular expression over character categories says, so far as pre-tokenizers need it; the rules
//! themselves are data, in [`super::rules`]. There is no engine for expressions: this file is all there is.

use super::categories::{Categories, CategoryTable, SPACE};
use core::ops::Range;

/// One way of cutting every word of the pass before; the first pass cuts the text.
#[derive(Debug)]
pub(super) enum Pass {
    /// Rules in order of preference, the first that matches counting. Text between matches becomes words as well.
    Rules(&'static [Rule]),
    /// Cuts before every character of a run of these that has a multiple of three of them from it to the run's end. Of
    /// the ends of a run that would be cut as well, only the one is that is asked for: else the number stays with the
    /// text beside it, as llama.cpp leaves it.
    Threes { digits: Set, at: RunEnd },
    /// Cuts off the run of these at the end of a word: `[…]+$`.
    Trailing(Set),
}

/// The side of a run of digits on which [`Pass::Threes`] cuts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    Start,
    End,
}

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
    /// These parts as often as they match, at most so many times, perhaps not at all; none of it is given back.
    Repeat(Rule, u32),
    /// Nothing, but only where no character of the set comes next. `\s+(?!\S)` is a run and this.
    NotBefore(Set),
}

/// A set of characters: by category and by range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set {
    categories: Categories,
    /// First and last character of each range, one after the other. White space beyond ASCII is in none of them.
    ranges: &'static str,
    says: Says,
}

/// What the ranges and categories of a [`Set`] say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Either,
    Neither,
    CategoryOutsideRanges,
}

/// The characters of any of these categories, and of these ranges.
pub(super) const fn any(categories: Categories, ranges: &'static str) -> Set {
    Set { categories, ranges, says: Says::Either }
}

/// All characters but those of these categories, and of these ranges.
pub(super) const fn none_of(categories: Categories, ranges: &'static str) -> Set {
    Set { categories, ranges, says: Says::Neither }
}

/// The characters of these categories that are in none of these ranges.
pub(super) const fn but(categories: Categories, ranges: &'static str) -> Set {
    Set { categories, ranges, says: Says::CategoryOutsideRanges }
}

impl Set {
    #[inline(never)]
    fn holds(&self, c: char, table: &CategoryTable) -> bool {
        let categories = table.of(c);
        let in_category = categories & self.categories != 0;
        let in_range = || (c.is_ascii() || categories & SPACE == 0) && in_ranges(self.ranges, c);
        match self.says {
            Says::Either => in_category || in_range(),
            Says::Neither => !in_category && !in_range(),
            Says::CategoryOutsideRanges => in_category && !in_range(),
        }
    }
}

fn in_ranges(ranges: &str, c: char) -> bool {
    let mut chars = ranges.chars();
    while let (Some(first), Some(last)) = (chars.next(), chars.next()) {
        if first <= c && c <= last {
            return true;
        }
    }
    false
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

/// Passes and what they need to know about characters.
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
        let Some((pass, others)) = passes.split_first() else { return word(piece) };
        let mut start = 0;
        let mut cut = |at: usize| {
            self.pass(others, part(piece, start..at), word);
            start = at;
        };
        match pass {
            Pass::Rules(rules) => self.by_rules(rules, piece, &mut cut),
            Pass::Threes { digits, at } => self.by_threes(digits, at, piece, &mut cut),
            Pass::Trailing(set) => {
                let mut chars = piece.chars();
                while chars.clone().next_back().is_some_and(|c| set.holds(c, &self.table)) {
                    chars.next_back();
                }
                cut(chars.as_str().len());
            }
        }
        cut(piece.len());
    }

    /// A rule that begins with as many of a set as there are, and does not match, matches nowhere in that run, which ends
    /// at `barren`; no pass has two such rules. Without this, white space that other rules take by small pieces would be
    /// read to its end for each of them.
    fn by_rules(&self, rules: &[Rule], piece: &str, cut: &mut dyn FnMut(usize)) {
        let (mut at, mut barren) = (0, 0);
        while let Some(c) = from(piece, at).chars().next() {
            let matched = rules.iter().find_map(|rule| {
                let Some(Part::Run { set, min: 0, max: u32::MAX }) = rule.first() else {
                    return self.matches(rule, from(piece, at));
                };
                if at < barren {
                    return None;
                }
                let len = self.matches(rule, from(piece, at));
                if len.is_none() {
                    barren = at + self.run(set, 0, u32::MAX, &[], from(piece, at)).unwrap_or(0);
                }
                len
            });
            match matched {
                Some(len) if len > 0 => {
                    cut(at);
                    at += len;
                    cut(at);
                }
                _ => at += c.len_utf8(),
            }
        }
    }

    fn by_threes(&self, digits: &Set, end: &RunEnd, piece: &str, cut: &mut dyn FnMut(usize)) {
        let is_digit = |c: &char| digits.holds(*c, &self.table);
        let mut at = 0;
        while let Some(c) = from(piece, at).chars().next() {
            let mut left = from(piece, at).chars().take_while(is_digit).count();
            if left == 0 {
                at += c.len_utf8();
                continue;
            }
            let mut is_start = true;
            for digit in from(piece, at).chars().take(left) {
                if left.is_multiple_of(3) && (!is_start || *end == RunEnd::Start) {
                    cut(at);
                }
                is_start = false;
                left -= 1;
                at += digit.len_utf8();
            }
            if *end == RunEnd::End {
                cut(at);
            }
        }
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
            Part::Repeat(parts, max) => {
                let mut at = 0;
                for _ in 0..*max {
                    match self.matches(parts, from(text, at)) {
                        Some(len) if len > 0 => at += len,
                        _ => break,
                    }
                }
                Some(at + self.matches(rest, from(text, at))?)
            }
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
