//! Tokens with a meaning of their own: where texts begin and end, and which tokens are cut out of a text before
//! anything else looks at it.
//!
//! # Source
//! `llama_vocab::impl::load` and `tokenizer_st_partition` in llama.cpp's `src/llama-vocab.cpp`

use super::prefixes::Prefixes;
use super::split::part;
use super::vocab::{Kind, Vocab};
use crate::error::{Error, Result};
use crate::gguf::Metadata;
use std::collections::BinaryHeap;

/// Ends of a turn, where the file does not name one: the first of these that is in the vocabulary.
const EOT_TEXTS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
];

/// Ends of a message to be continued, where the file does not name one.
const EOM_TEXTS: &[&str] = &["<|eom_id|>"];

/// Tokens for filling in the middle, where the file does not name them, and whether generation ends at them.
const FIM_TEXTS: &[(&str, &[&str], bool)] = &[
    (
        "fim_pre",
        &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        false,
    ),
    (
        "fim_suf",
        &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        false,
    ),
    (
        "fim_mid",
        &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        false,
    ),
    ("fim_pad", &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"], true),
    ("fim_rep", &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"], true),
    ("fim_sep", &["<|file_sep|>"], true),
];

/// Besides EOS, EOT, EOM and the like, generation also ends at these: some files name only one of the ends that their
/// model uses. llama.cpp knows them by their spelling too.
const END_TEXTS: &[&str] = &[
    "</s>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "[EOS]",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "[e~[",
];

/// The parts of gpt-oss's channels, which are shown whatever the file calls them.
const SHOWN_TEXTS: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// What looks like an end and is none where, of each of these lists, another end is in the vocabulary; and what it is then.
const NO_ENDS: &[(&str, &[&[&str]], Kind)] = &[
    ("<|end|>", &[&["<|call|>", "<|calls|>"], &["<|return|>", "<|flush|>"]], Kind::UserDefined),
    ("</s>", &[&["<|tool_response>"]], Kind::Normal),
];

/// The special tokens of a model, each `None` where it has none.
#[derive(Debug, Default)]
pub(super) struct Special {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) eot: Option<u32>,
    pub(super) unk: Option<u32>,
    /// Every token at which generation ends.
    pub(super) ends: Vec<u32>,
    pub(super) add_bos: bool,
    pub(super) add_eos: bool,
}

/// What holds where the file does not say; it differs between the styles of tokenizers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) unk: Option<u32>,
    pub(super) add_bos: bool,
    pub(super) add_eos: bool,
}

impl Special {
    /// Reads the ids and flags, finds the ends by their spelling, and makes control tokens of the ends that the file
    /// calls text.
    ///
    /// # Errors
    /// `Format` where an id lies outside the vocabulary; 4294967295 means that there is no such token.
    pub(super) fn from_metadata(metadata: &Metadata, vocab: &mut Vocab, defaults: Defaults) -> Result<Special> {
        let in_vocab = |id: &u32| (*id as usize) < vocab.len();
        let id = |name: &str, default: Option<u32>| token_id(metadata, vocab, name, default.filter(in_vocab));
        let found = |texts: &[&str]| texts.iter().find_map(|text| vocab.find(text.as_bytes()));
        let mut special = Special {
            bos: id("bos", defaults.bos)?,
            eos: id("eos", defaults.eos)?,
            eot: id("eot", found(EOT_TEXTS))?,
            unk: id("unknown", defaults.unk)?,
            ends: Vec::new(),
            add_bos: metadata.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(defaults.add_bos),
            add_eos: metadata.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(defaults.add_eos),
        };
        let eom = id("eom", found(EOM_TEXTS))?;
        let spelled = [EOT_TEXTS, EOM_TEXTS, END_TEXTS].into_iter().flatten();
        let mut ends: Vec<u32> = spelled.filter_map(|text| vocab.find(text.as_bytes())).collect();
        let mut control = ends.clone();
        for (name, texts, is_end) in FIM_TEXTS {
            let fim = id(name, found(texts))?;
            ends.extend(fim.filter(|_| *is_end));
            control.extend(found(texts).filter(|id| fim == Some(*id)));
        }
        ends.extend([special.eos, special.eot, eom].into_iter().flatten());
        special.ends = ends;
        control.iter().for_each(|&id| vocab.set_kind(id, Kind::Control));
        for text in SHOWN_TEXTS {
            vocab.find(text.as_bytes()).into_iter().for_each(|id| vocab.set_kind(id, Kind::UserDefined));
        }
        special.correct_ends(vocab);
        Ok(special)
    }

    /// Two spellings are an end in some vocabularies and something else in others, which other ends give away.
    fn correct_ends(&mut self, vocab: &mut Vocab) {
        for (text, told_by, kind) in NO_ENDS {
            let is_end = |text: &&str| vocab.find(text.as_bytes()).is_some_and(|id| self.ends.contains(&id));
            let told = told_by.iter().all(|texts| texts.iter().any(is_end));
            if let (true, Some(id)) = (told, vocab.find(text.as_bytes())) {
                self.ends.retain(|end| *end != id);
                vocab.set_kind(id, *kind);
            }
        }
    }
}

fn token_id(metadata: &Metadata, vocab: &Vocab, name: &str, default: Option<u32>) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    match metadata.u32(&key)? {
        None => Ok(default),
        Some(u32::MAX) => Ok(None),
        Some(id) if (id as usize) < vocab.len() => Ok(Some(id)),
        Some(id) => Err(Error::Format(format!(
            "{key} is {id}, but the vocabulary ends at {}; convert the model again (4294967295 means none)",
            vocab.len() - 1
        ))),
    }
}

/// A stretch of a text that has been searched for special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fragment<'t> {
    /// Text without any, not empty.
    Text(&'t str),
    /// A special token.
    Token(u32),
}

/// Finds special tokens in texts.
#[derive(Debug)]
pub(super) struct Partition {
    /// The tokens, the longest spelling first, then by id: the order in which they may take their place in a text.
    ids: Vec<u32>,
    by_text: Prefixes,
    /// Which bytes a spelling can start with.
    starts: [bool; 256],
    /// Whether tokens swallow the white space behind them.
    strips: bool,
}

impl Partition {
    /// Collects the control, user-defined and unknown tokens. One whose spelling is empty, no UTF-8, or that of a token
    /// with a lower id is never found.
    ///
    /// In vocabularies of Phi-3, told by the name of the model, they swallow the white space behind them, `<s>` and its
    /// like excepted. Files do not say so themselves, and llama.cpp knows it in the same way.
    pub(super) fn new(metadata: &Metadata, vocab: &Vocab) -> Result<Partition> {
        let is_special = |id: &u32| {
            matches!(vocab.kind(*id), Kind::Control | Kind::UserDefined | Kind::Unknown)
                && core::str::from_utf8(vocab.text(*id)).is_ok_and(|text| !text.is_empty())
                && vocab.find(vocab.text(*id)) == Some(*id)
        };
        let keys: Vec<u64> = (0..vocab.len() as u32)
            .filter(is_special)
            .map(|id| u64::from(!(vocab.text(id).len() as u32)) << 32 | u64::from(id))
            .collect();
        let ids: Vec<u32> = sorted(keys).iter().map(|key| *key as u32).collect();
        let name = metadata.str("general.name")?.unwrap_or_default().to_ascii_lowercase();
        // Not by `str::contains`, which is two kilobytes.
        let holds = |part: &[u8]| name.as_bytes().windows(part.len()).any(|window| window == part);
        let mut starts = [false; 256];
        ids.iter().for_each(|&id| starts[usize::from(vocab.text(id)[0])] = true);
        let by_text = Prefixes::new(vocab, &mut ids.iter().copied());
        Ok(Partition { ids, by_text, starts, strips: holds(b"phi-3") || holds(b"phi3") })
    }

    /// Cuts `text` at its special tokens. User-defined tokens are always found, control and unknown tokens only with
    /// `parse_special`, and none of these that begins at one of the bytes `plain`. Where spellings overlap
    /// the longest wins, then the lowest id, then the leftmost, and what one has swallowed is no other's. Each fragment
    /// comes with where in the text it ends.
    ///
    /// Each place of the text proposes the longest token that is spelled there, and the best proposal takes its place; one
    /// that meets what was taken before makes way for the longest that still fits. So a place is searched once, and again
    /// only when its room has shrunk, however many tokens overlap.
    pub(super) fn split<'t>(
        &self,
        vocab: &Vocab,
        text: &'t str,
        parse_special: bool,
        plain: &[u32],
    ) -> Vec<(Fragment<'t>, usize)> {
        let bytes = text.as_bytes();
        // the best proposal is the largest number
        let proposal = |start: usize, end: usize| {
            let parse_special = parse_special && !plain.contains(&(start as u32));
            let rank = self.longest(vocab, &bytes[start..end], parse_special)?;
            Some(!((rank as u64) << 32 | start as u64))
        };
        let may_start = |start: &usize| self.starts[usize::from(bytes[*start])];
        let first = (0..bytes.len()).filter(may_start).filter_map(|start| proposal(start, bytes.len()));
        let mut proposals = BinaryHeap::from(first.collect::<Vec<u64>>());
        const FREE: u8 = 0;
        const TAKEN: u8 = 1;
        const SWALLOWED: u8 = 2;
        let mut taken = vec![FREE; if proposals.is_empty() { 0 } else { text.len() }];
        let mut places: Vec<u64> = Vec::new();
        while let Some(key) = proposals.pop() {
            let (rank, start) = ((!key >> 32) as usize, !key as u32 as usize);
            let end = start + vocab.text(self.ids[rank]).len();
            match taken[start..end].iter().position(|taken| *taken != FREE) {
                None => {
                    taken[start..end].fill(TAKEN);
                    if self.strips && !matches!(&bytes[start..end], b"<unk>" | b"<s>" | b"<|endoftext|>") {
                        let behind = bytes[end..].iter().zip(&mut taken[end..]);
                        behind
                            .take_while(|(byte, taken)| **taken == FREE && matches!(byte, b'\t'..=b'\r' | b' '))
                            .for_each(|(_, taken)| *taken = SWALLOWED);
                    }
                    places.push((start as u64) << 32 | u64::from(self.ids[rank]));
                }
                Some(room) => proposals.extend(proposal(start, start + room)),
            }
        }
        let places = sorted(places);
        let mut fragments = Vec::with_capacity(2 * places.len() + 1);
        let mut at = 0;
        for (start, id) in places.iter().map(|key| ((key >> 32) as usize, *key as u32)) {
            fragments.extend((at < start).then(|| (Fragment::Text(part(text, at..start)), start)));
            at = start + vocab.text(id).len();
            at += taken[at..].iter().take_while(|taken| **taken == SWALLOWED).count();
            fragments.push((Fragment::Token(id), at));
        }
        fragments.extend((at < text.len()).then(|| (Fragment::Text(part(text, at..text.len())), text.len())));
        fragments
    }

    /// The longest wanted token that `bytes` begin with, as its place in `ids`.
    fn longest(&self, vocab: &Vocab, bytes: &[u8], parse_special: bool) -> Option<usize> {
        let mut best = None;
        self.by_text.of(vocab, bytes, &mut |id| {
            if parse_special || vocab.kind(id) == Kind::UserDefined {
                best = Some(id);
            }
        });
        let key = |id: u32| (!(vocab.text(id).len() as u32), id);
        best.map(|id| self.ids.partition_point(|&other| key(other) < key(id)))
    }
}

/// The numbers in rising order; by a heap, which is a tenth of the code of the standard sort.
fn sorted(numbers: Vec<u64>) -> Vec<u64> {
    BinaryHeap::from(numbers).into_sorted_vec()
}

#[cfg(test)]
mod tests {
    use super::super::prefixes::STEPS;
    use super::*;
    use crate::gguf::{Array, Value, ValueType};
    use proptest::prelude::*;

    fn vocab(tokens: &[(&str, i32)]) -> Vocab {
        let types = tokens.iter().flat_map(|(_, kind)| kind.to_le_bytes()).collect();
        let metadata = Metadata::new(vec![
            ("tokenizer.ggml.tokens".into(), Value::Array(Array::Str(tokens.iter().map(|(text, _)| text).collect()))),
            ("tokenizer.ggml.token_type".into(), Value::Array(Array::Num { kind: ValueType::I32, bytes: types })),
        ]);
        Vocab::from_metadata(&metadata).unwrap()
    }

    fn split<'t>(vocab: &Vocab, text: &'t str, parse_special: bool) -> Vec<Fragment<'t>> {
        let partition = Partition::new(&Metadata::default(), vocab).unwrap();
        let fragments = partition.split(vocab, text, parse_special, &[]);
        assert_eq!(fragments.last().map_or(0, |last| last.1), text.len());
        fragments.into_iter().map(|(fragment, _)| fragment).collect()
    }

    #[test]
    fn the_longest_special_token_wins_then_the_leftmost() {
        use Fragment::{Text, Token};
        let vocab = vocab(&[("ab", 4), ("bcd", 4), ("aa", 4), ("x", 1), ("<c>", 3), ("<u>", 2), ("é", 4)]);
        let split = |text, parse_special| split(&vocab, text, parse_special);
        assert_eq!(split("", true), []);
        assert_eq!(split("xyz", true), [Text("xyz")]);
        assert_eq!(split("abcd", true), [Text("a"), Token(1)]);
        assert_eq!(split("aaaax", true), [Token(2), Token(2), Text("x")]);
        assert_eq!(split("aaaab", true), [Token(2), Text("a"), Token(0)]);
        assert_eq!(split("é<c>ü<u>", true), [Token(6), Token(4), Text("ü"), Token(5)]);
        assert_eq!(split("é<c>ü<u>", false), [Token(6), Text("<c>ü<u>")]);
    }

    #[test]
    fn no_control_token_begins_where_the_text_is_plain() {
        let vocab = vocab(&[("<c>", 3), ("<c><c>", 3), ("é", 4)]);
        let partition = Partition::new(&Metadata::default(), &vocab).unwrap();
        let split = |plain: &[u32]| partition.split(&vocab, "<c>é<c><c>", true, plain);
        use Fragment::{Text, Token};
        assert_eq!(split(&[]), [(Token(0), 3), (Token(2), 5), (Token(1), 11)]);
        assert_eq!(split(&[0, 3]), [(Text("<c>"), 3), (Token(2), 5), (Token(1), 11)]);
        assert_eq!(split(&[5]), [(Token(0), 3), (Token(2), 5), (Text("<c>"), 8), (Token(0), 11)]);
    }

    /// By the definition: every occurrence, the longest first, then by id, then from the left.
    fn plainly<'t>(tokens: &[(&str, i32)], text: &'t str) -> Vec<Fragment<'t>> {
        let mut ids: Vec<usize> = (0..tokens.len()).collect();
        ids.sort_by_key(|id| (core::cmp::Reverse(tokens[*id].0.len()), *id));
        let mut owner = vec![None; text.len()];
        for id in ids {
            let token = tokens[id].0;
            for start in 0..text.len() {
                let free = |at: usize| owner[at].is_none();
                if text[start..].starts_with(token) && (start..start + token.len()).all(free) {
                    owner[start..start + token.len()].fill(Some((id, start)));
                }
            }
        }
        let mut fragments = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let same = owner[at..].iter().take_while(|o| **o == owner[at]).count();
            fragments.push(match owner[at] {
                Some((id, _)) => Fragment::Token(id as u32),
                None => Fragment::Text(&text[at..at + same]),
            });
            at += same;
        }
        fragments
    }

    proptest! {
        #[test]
        fn overlapping_tokens_take_their_places_by_the_definition(
            tokens in prop::collection::btree_set("[ab]{1,5}", 1..12),
            text in "[abc]{0,40}",
            turn in 0_usize..12,
        ) {
            let mut tokens: Vec<(&str, i32)> = tokens.iter().map(|text| (text.as_str(), 4)).collect();
            let n = tokens.len();
            tokens.rotate_left(turn % n);
            let vocab = vocab(&tokens);
            prop_assert_eq!(split(&vocab, &text, false), plainly(&tokens, &text));
        }
    }

    /// Thousands of tokens, each the beginning of the next, and a text in which all of them are everywhere.
    #[test]
    fn thousands_of_overlapping_tokens_are_searched_once_a_place() {
        let longest = "a".repeat(3000);
        let tokens: Vec<(&str, i32)> = (1..=3000).map(|n| (&longest[..n], 4)).collect();
        let vocab = vocab(&tokens);
        let text = "a".repeat(10_000);
        STEPS.set(0);
        let lens: Vec<usize> = split(&vocab, &text, false)
            .iter()
            .map(|fragment| match fragment {
                Fragment::Token(id) => vocab.text(*id).len(),
                Fragment::Text(text) => panic!("{text} is left"),
            })
            .collect();
        assert_eq!(lens, [3000, 3000, 3000, 1000]);
        // each place once, as deep as the longest token, and no more than once again
        assert!(STEPS.get() <= 2 * text.len() * 3000, "{} steps", STEPS.get());
    }
}
