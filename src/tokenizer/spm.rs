//! SentencePiece-style tokenization: characters are joined as long as the joined text is a token, the token with the
//! highest score first; what is no token then is spelled by its bytes.
//!
//! # Source
//! `llm_tokenizer_spm_session` in llama.cpp's `src/llama-vocab.cpp`

use super::merge::{Join, Merger, NO_TOKEN};
use super::spelled::{Spelled, Tokens};
use super::vocab::{Vocab, check_len};
use crate::error::{Error, Result};
use crate::gguf::Metadata;

const SCORES: &str = "tokenizer.ggml.scores";

/// What this style needs besides the vocabulary.
#[derive(Debug)]
pub(super) struct Spm {
    /// For each token when it is joined, lower being earlier: its score turned into an integer.
    orders: Vec<u32>,
    /// The token of each byte, or the unknown token, or [`NO_TOKEN`].
    bytes: Vec<u32>,
    /// Whether a space is put before a text that stands first or behind a special token.
    pub(super) add_space_prefix: bool,
}

impl Spm {
    /// Reads the scores and the prefix rule. Without scores, all are equal.
    ///
    /// # Errors
    /// `Format` where the scores are not as many as the tokens, or one is not a number.
    pub(super) fn from_metadata(metadata: &Metadata, vocab: &Vocab, unk: Option<u32>) -> Result<Spm> {
        let scores = scores(metadata, vocab)?;
        let byte = |byte: u8| vocab.find_byte(byte).or(unk).unwrap_or(NO_TOKEN);
        Ok(Spm {
            orders: scores.iter().map(|score| order(*score)).collect(),
            bytes: (0..=255).map(byte).collect(),
            add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
        })
    }

    /// Appends the tokens of the stretch of a text that starts at `start`, with a space before it where `after_special`
    /// and the file ask for one.
    ///
    /// # Errors
    /// `Format` for a byte that has no token in a vocabulary without an unknown token.
    pub(super) fn encode(
        &self,
        vocab: &Vocab,
        (text, start): (&str, usize),
        after_special: bool,
        merger: &mut Merger,
        out: &mut Tokens,
    ) -> Result<()> {
        let text = Spelled::escaped(text, start, self.add_space_prefix && after_special);
        let spelled = &text.bytes[..];
        merger.clear();
        for chunk in spelled.chunk_by(|_, next| next & 0xc0 == 0x80) {
            merger.push(vocab.find(chunk).unwrap_or(NO_TOKEN), chunk.len());
        }
        let mut unspellable = None;
        merger.run(
            &|left, right| {
                let start = left.start as usize;
                let id = vocab.find(&spelled[start..start + (left.len + right.len) as usize])?;
                Some(Join { order: self.orders[id as usize], id })
            },
            &mut |symbol| {
                let (start, end) = (symbol.start as usize, (symbol.start + symbol.len) as usize);
                if symbol.id != NO_TOKEN {
                    return out.push(symbol.id, text.end(end));
                }
                for (i, &byte) in spelled[start..end].iter().enumerate() {
                    match self.bytes[usize::from(byte)] {
                        NO_TOKEN => _ = unspellable.get_or_insert(byte),
                        id => out.push(id, text.end(start + i + 1)),
                    }
                }
            },
        );
        match unspellable {
            None => Ok(()),
            Some(byte) => Err(Error::Format(format!(
                "the vocabulary has no token for the byte 0x{byte:02X}, nor an unknown token; this text cannot be written in it"
            ))),
        }
    }
}

/// The score of each token; without scores in the file, all are equal.
pub(super) fn scores(metadata: &Metadata, vocab: &Vocab) -> Result<Vec<f32>> {
    let scores = metadata.f32s(SCORES)?.unwrap_or_else(|| vec![0.0; vocab.len()]);
    check_len(SCORES, scores.len(), vocab.len())?;
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::Format(format!("{SCORES} is not a number for token {id}; convert the model again")));
    }
    Ok(scores)
}

/// A score as an integer that is lower the higher the score is, and equal for equal scores (0 and −0 are).
fn order(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_highest_score_comes_first() {
        let falling = [f32::INFINITY, 1e9, 1.0, f32::MIN_POSITIVE, 1e-45, 0.0, -1e-45, -1.0, -1e9, f32::NEG_INFINITY];
        assert!(falling.windows(2).all(|pair| order(pair[0]) < order(pair[1])));
        assert_eq!(order(0.0), order(-0.0));
    }
}
