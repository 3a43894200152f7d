//! Unigram tokenization: of all ways to write a text in tokens, the one with the highest sum of scores.
//!
//! # Source
//! `llm_tokenizer_ugm_session` in llama.cpp's `src/llama-vocab.cpp`

use super::prefixes::Prefixes;
use super::spelled::{Spelled, Tokens};
use super::spm::scores;
use super::vocab::{Kind, Vocab, missing};
use crate::error::{Error, Result};
use crate::gguf::Metadata;

const CHARSMAP: &str = "tokenizer.ggml.precompiled_charsmap";
/// How much worse than the worst token a character is that has none.
const UNKNOWN_PENALTY: f32 = 10.0;

/// What this style needs besides the vocabulary.
#[derive(Debug)]
pub(super) struct Unigram {
    /// For each token what it adds to the sum.
    scores: Vec<f32>,
    tokens: Prefixes,
    unk: u32,
    unk_score: f32,
    charsmap: Charsmap,
    /// Whether a space is put before a text that does not begin with one.
    pub(super) add_space_prefix: bool,
    /// Whether spaces in a row become one, and those at the ends of a text none.
    remove_extra_whitespaces: bool,
}

/// The best way to write a text up to some byte.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    /// The last token of it, and where in the spelling that starts.
    id: u32,
    start: usize,
}

impl Unigram {
    /// Reads the scores, the normalization and the rules for spaces.
    ///
    /// # Errors
    /// `Format` where the scores are not as many as the tokens, one is not a number, the normalization is cut short, or
    /// there is no unknown token.
    pub(super) fn from_metadata(metadata: &Metadata, vocab: &Vocab, unk: Option<u32>) -> Result<Unigram> {
        let mut scores = scores(metadata, vocab)?;
        let ids = || 0..vocab.len() as u32;
        let normal = ids().filter(|id| vocab.kind(*id) == Kind::Normal).map(|id| scores[id as usize]);
        let unk_score = normal.fold(f32::MAX, f32::min) - UNKNOWN_PENALTY;
        for id in ids().filter(|id| vocab.kind(*id) == Kind::UserDefined) {
            scores[id as usize] = 0.0;
        }
        let is_text = |id: &u32| matches!(vocab.kind(*id), Kind::Normal | Kind::UserDefined | Kind::Unused);
        let flag = |key| Ok(metadata.bool(key)?.unwrap_or(false));
        Ok(Unigram {
            scores,
            tokens: Prefixes::new(vocab, &mut ids().filter(is_text)),
            unk: unk.ok_or_else(|| missing("tokenizer.ggml.unknown_token_id"))?,
            unk_score,
            charsmap: Charsmap::new(metadata.bytes(CHARSMAP)?.unwrap_or_default())?,
            add_space_prefix: flag("tokenizer.ggml.add_space_prefix")?,
            remove_extra_whitespaces: flag("tokenizer.ggml.remove_extra_whitespaces")?,
        })
    }

    /// Appends the tokens of the stretch of a text that starts at `start`. Neighbours that have none become one unknown
    /// token.
    pub(super) fn encode(&self, vocab: &Vocab, text: &str, start: usize, out: &mut Tokens) {
        let spelled = self.normalize(text, start);
        let bests = self.bests(vocab, &spelled.bytes);
        let mut tokens: Vec<(u32, usize)> = Vec::new();
        let mut at = spelled.bytes.len();
        while at > 0 {
            let Best { id, start, .. } = bests[at];
            if id != self.unk || tokens.last().is_none_or(|last| last.0 != id) {
                tokens.push((id, spelled.end(at)));
            }
            at = start;
        }
        tokens.iter().rev().for_each(|(id, end)| out.push(*id, *end));
    }

    /// For each number of bytes from the beginning, the best way to write them.
    fn bests(&self, vocab: &Vocab, text: &[u8]) -> Vec<Best> {
        let mut bests = vec![Best { score: f64::MIN, id: self.unk, start: 0 }; text.len() + 1];
        bests[0].score = 0.0;
        for (at, char) in chars(text) {
            let so_far = bests[at].score;
            let mut is_token = false;
            let mut propose = |len: usize, id: u32, score: f32| {
                let (score, best) = (so_far + f64::from(score), &mut bests[at + len]);
                if score > best.score {
                    *best = Best { score, id, start: at };
                }
            };
            self.tokens.of(vocab, &text[at..], &mut |id| {
                let len = vocab.text(id).len();
                is_token |= len == char;
                propose(len, id, self.scores[id as usize]);
            });
            if !is_token {
                propose(char, self.unk, self.unk_score);
            }
        }
        bests
    }

    /// The text with the replacements of the file, and spaces as the file wants them.
    fn normalize(&self, text: &str, start: usize) -> Spelled {
        let bytes = text.as_bytes();
        let mut spelled = Spelled::default();
        let (mut at, mut in_word, mut prefixed) = (0, false, !self.add_space_prefix);
        while at < bytes.len() {
            let char = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            let (len, replaced) = match self.charsmap.replace(&bytes[at..]) {
                Some(found) => found,
                None if char == 0 => (1, "\u{fffd}".as_bytes()),
                None => (char, &bytes[at..at + char]),
            };
            for &byte in replaced {
                if byte != b' ' {
                    if !in_word && (self.remove_extra_whitespaces || !prefixed) {
                        prefixed = true;
                        spelled.push_space(start + at);
                    }
                    spelled.push(byte, start + at + len);
                } else if !self.remove_extra_whitespaces {
                    spelled.push_space(start + at + len);
                }
                in_word = byte != b' ';
            }
            at += len;
        }
        spelled
    }
}

/// Where each character starts and how long it is. A damaged file may normalize to bytes that are no UTF-8: then a
/// character is as long as its first byte says, or as there are bytes.
fn chars(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let len = match text.get(at)? >> 4 {
            0xf => 4,
            0xe => 3,
            0xc | 0xd => 2,
            _ => 1,
        };
        let char = (at, len.min(text.len() - at));
        at += len;
        Some(char)
    })
}

/// What texts are replaced by what, as SentencePiece compiles it: the length of a trie in bytes, the trie, and the
/// replacements, each ended by a zero byte.
///
/// The trie is an array of u32, a double array whose children are found by XOR: of a node bits 0 to 7 and 31 are the byte
/// that leads to it, bits 10 to 30 (times 256 where bit 9 is set) where its children are, bit 8 whether a text ends here:
/// then the child for byte 0 has, in bits 0 to 30, where the replacement starts.
///
/// # Source
/// Kanda, *Space- and Time-Efficient String Dictionaries* (2018); `normalize_prefix` in llama.cpp
#[derive(Debug)]
struct Charsmap {
    bytes: Vec<u8>,
    trie_bytes: usize,
}

impl Charsmap {
    fn new(bytes: Vec<u8>) -> Result<Charsmap> {
        let trie_bytes = match bytes.first_chunk() {
            Some(len) => u32::from_le_bytes(*len) as usize,
            None => 0,
        };
        if trie_bytes > bytes.len().saturating_sub(4) {
            return Err(Error::Format(format!("{CHARSMAP} is cut short; convert the model again")));
        }
        Ok(Charsmap { bytes, trie_bytes })
    }

    fn node(&self, i: u32) -> Option<u32> {
        let trie = self.bytes.get(4..4 + self.trie_bytes)?;
        trie.as_chunks().0.get(i as usize).map(|raw| u32::from_le_bytes(*raw))
    }

    /// The longest beginning of `text` that is replaced, as its length, and its replacement.
    fn replace(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let children = |node: u32| node >> 10 << ((node & 1 << 9) >> 6);
        let mut at = children(self.node(0)?);
        let mut longest = None;
        for (i, &byte) in text.iter().enumerate() {
            at ^= u32::from(byte);
            let Some(node) = self.node(at) else { break };
            if byte == 0 || node & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            at ^= children(node);
            if let (true, Some(leaf)) = (node & 1 << 8 != 0, self.node(at)) {
                longest = Some((i + 1, leaf & !(1 << 31)));
            }
        }
        let (len, start) = longest?;
        let replacements = &self.bytes[4 + self.trie_bytes..];
        let replaced = replacements.get(start as usize..)?;
        Some((len, replaced.split(|byte| *byte == 0).next()?))
    }
}
