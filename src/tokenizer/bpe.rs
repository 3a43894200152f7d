//! BPE: the text falls into words ([`super::pre`]), each word into bytes, and neighbours are joined in the order in which
//! the file lists their merges.
//!
//! Most vocabularies of this style spell a byte as a printable character: `!` to `~` and most of Latin-1 as themselves,
//! the other 68 bytes as U+0100 to U+0143 in their order, so that a space is `Ġ` and a newline `Ċ`. Others start from
//! characters, as SentencePiece does: a space is `▁`, and what has no token is spelled by its bytes, `<0x0A>`.
//!
//! # Source
//! `llm_tokenizer_bpe_session` in llama.cpp's `src/llama-vocab.cpp`; `bytes_to_unicode` in GPT-2's `encoder.py`

use super::merge::{Join, Merger, NO_TOKEN};
use super::pre::{Pre, Whole};
use super::spelled::{Spelled, Tokens};
use super::split::Splitter;
use super::vocab::{Index, Vocab, missing};
use crate::error::{Error, Result};
use crate::gguf::Metadata;

const MERGES: &str = "tokenizer.ggml.merges";

/// What this style needs besides the vocabulary.
#[derive(Debug)]
pub(super) struct Bpe {
    pub(super) pre: &'static Pre,
    splitter: Splitter,
    merges: Merges,
    /// The token of each byte, or [`NO_TOKEN`].
    bytes: Vec<u32>,
}

impl Bpe {
    /// Reads the merges.
    ///
    /// # Errors
    /// `Format` where they are missing, or one is not two spellings with a space between.
    pub(super) fn from_metadata(metadata: &Metadata, vocab: &Vocab, pre: &'static Pre) -> Result<Bpe> {
        let mut spelled = [0; 4];
        let mut byte = |byte: u8| match pre.spells_chars {
            true => vocab.find_byte(byte),
            false => vocab.find(byte_char(byte).encode_utf8(&mut spelled).as_bytes()),
        };
        let bytes = (0..=255).map(|b| byte(b).unwrap_or(NO_TOKEN)).collect();
        Ok(Bpe { pre, splitter: Splitter::new(pre.passes), merges: Merges::from_metadata(metadata, vocab)?, bytes })
    }

    /// Appends the tokens of the stretch of a text that starts at `start`. A byte that the vocabulary does not spell is
    /// left out, as llama.cpp does.
    pub(super) fn encode(&self, vocab: &Vocab, text: &str, start: usize, merger: &mut Merger, out: &mut Tokens) {
        if !self.pre.spells_chars {
            return self.encode_words(vocab, text, &|at| start + at, merger, out);
        }
        let spelled = Spelled::escaped(text, start, false);
        let text = core::str::from_utf8(&spelled.bytes).unwrap_or_default();
        self.encode_words(vocab, text, &|at| spelled.end(at), merger, out);
    }

    fn encode_words(
        &self,
        vocab: &Vocab,
        text: &str,
        end: &dyn Fn(usize) -> usize,
        merger: &mut Merger,
        out: &mut Tokens,
    ) {
        let mut at = 0;
        self.splitter.split(text, &mut |word| {
            let start = at;
            at += word.len();
            if let Some(id) = self.whole(vocab, word) {
                return out.push(id, end(at));
            }
            merger.clear();
            if self.pre.spells_chars {
                let chars = word.as_bytes().chunk_by(|_, next| next & 0xc0 == 0x80);
                chars.for_each(|char| merger.push(vocab.find(char).unwrap_or(NO_TOKEN), char.len()));
            } else {
                word.bytes().for_each(|byte| merger.push(self.bytes[usize::from(byte)], 1));
            }
            merger.run(&|left, right| self.merges.find(left.id, right.id), &mut |symbol| {
                let (from, to) = (symbol.start as usize, (symbol.start + symbol.len) as usize);
                if symbol.id != NO_TOKEN {
                    return out.push(symbol.id, end(start + to));
                }
                for (i, byte) in word.bytes().enumerate().take(to).skip(from) {
                    match self.bytes[usize::from(byte)] {
                        NO_TOKEN => (),
                        id => out.push(id, end(start + i + 1)),
                    }
                }
            });
        });
    }

    /// The words that a text falls into.
    pub(super) fn words<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut words = Vec::new();
        self.splitter.split(text, &mut |word| words.push(word));
        words
    }

    /// The token of a whole word, where it is not to be merged.
    fn whole(&self, vocab: &Vocab, word: &str) -> Option<u32> {
        match self.pre.whole {
            Whole::All => vocab.find(word.bytes().map(byte_char).collect::<String>().as_bytes()),
            Whole::Newlines if word.starts_with('\n') => vocab.find(word.as_bytes()),
            _ => None,
        }
    }
}

/// Which two tokens may be joined, how early, and to which token.
#[derive(Debug)]
struct Merges {
    /// left, right and joined token, in the file's order.
    rows: Vec<[u32; 3]>,
    index: Index,
}

impl Merges {
    /// Reads `left right` lines. A merge of which a part or the result is not in the vocabulary can never produce a
    /// token and is left out; of two merges of the same pair the first counts.
    fn from_metadata(metadata: &Metadata, vocab: &Vocab) -> Result<Merges> {
        let lines = metadata.strings(MERGES)?.ok_or_else(|| missing(MERGES))?;
        let mut merges = Merges { rows: Vec::with_capacity(lines.len()), index: Index::new(lines.len()) };
        let mut joined = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            // A spelling holds no space, but one that is itself a space would stand first.
            let space = line.iter().skip(1).position(|&byte| byte == b' ').ok_or_else(|| {
                Error::Format(format!("{MERGES} has no space between two tokens in entry {i}; convert the model again"))
            })?;
            let (left, right) = (&line[..space + 1], &line[space + 2..]);
            joined.clear();
            joined.extend_from_slice(left);
            joined.extend_from_slice(right);
            if let (Some(left), Some(right), Some(id)) = (vocab.find(left), vocab.find(right), vocab.find(&joined)) {
                merges.add(left, right, id);
            }
        }
        Ok(merges)
    }

    fn add(&mut self, left: u32, right: u32, id: u32) {
        if self.find(left, right).is_none() {
            self.index.insert(hash_pair(left, right), self.rows.len() as u32);
            self.rows.push([left, right, id]);
        }
    }

    fn find(&self, left: u32, right: u32) -> Option<Join> {
        let is = |i: u32| self.rows[i as usize][..2] == [left, right];
        let order = self.index.find(hash_pair(left, right), is)?;
        Some(Join { order, id: self.rows[order as usize][2] })
    }
}

/// Both ids in one word, multiplied by the golden ratio so that every bit of them reaches the upper half.
fn hash_pair(left: u32, right: u32) -> u32 {
    let pair = u64::from(left) << 32 | u64::from(right);
    let mixed = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}

/// How a vocabulary of this style spells a byte.
pub(super) fn byte_char(byte: u8) -> char {
    let code = u32::from(byte);
    // The 68 bytes that do not spell themselves: 0x00–0x20, 0x7F–0xA0 and 0xAD, in this order.
    let code = match byte {
        0x00..=0x20 => 0x100 + code,
        0x7f..=0xa0 => 0x121 + code - 0x7f,
        0xad => 0x143,
        _ => code,
    };
    char::from_u32(code).unwrap_or_default()
}

/// The byte that a character spells, the inverse of [`byte_char`].
pub(super) fn char_byte(c: char) -> Option<u8> {
    let byte = match u32::from(c) {
        code @ 0x100..=0x120 => code - 0x100,
        code @ 0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => code,
        _ => return None,
    };
    Some(byte as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_and_back() {
        let mut next = 0x100;
        for byte in 0..=255 {
            // GPT-2's own definition
            let itself = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let want = if itself { u32::from(byte) } else { next };
            next += u32::from(!itself);
            assert_eq!(u32::from(byte_char(byte)), want, "{byte}");
            assert_eq!(char_byte(byte_char(byte)), Some(byte));
        }
        assert_eq!((0..0x200).filter_map(char::from_u32).filter_map(char_byte).count(), 256);
    }
}
