//! The vocabulary: what each token is spelled like, what kind it is, and which token has a given spelling.

use crate::error::{Error, Result};
use crate::gguf::{Metadata, StrArray};

/// The key of the token list; without it there is no vocabulary.
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";

/// What a token is for, as `tokenizer.ggml.token_type` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 1: a piece of text.
    Normal,
    /// 2: stands for what the vocabulary cannot spell.
    Unknown,
    /// 3: steers the model and is no text: BOS, EOS, the marks of a chat.
    Control,
    /// 4: a text that is always one token, found before anything else is split.
    UserDefined,
    /// 6: one byte, spelled `<0x41>`.
    Byte,
    /// 5, 0 or a number that nobody has given a meaning: never produced, never shown.
    Unused,
}

/// All tokens of a model, by id and by spelling.
#[derive(Debug)]
pub(super) struct Vocab {
    texts: StrArray,
    kinds: Vec<Kind>,
    index: Index,
    /// Length in bytes of the longest spelling: a longer text cannot be one token.
    longest: usize,
}

impl Vocab {
    /// Reads the tokens and their types. Where two tokens are spelled alike, text becomes the first of them; an empty
    /// spelling never comes out of a text.
    ///
    /// # Errors
    /// `Format` where the tokens are missing, or their types are not as many.
    pub(super) fn from_metadata(metadata: &Metadata) -> Result<Vocab> {
        let texts = match metadata.strings(TOKENS)? {
            Some(texts) if !texts.is_empty() => texts.clone(),
            _ => return Err(missing(TOKENS)),
        };
        let kinds = match metadata.i32s(TOKEN_TYPE)? {
            None => vec![Kind::Normal; texts.len()],
            Some(types) => {
                check_len(TOKEN_TYPE, types.len(), texts.len())?;
                types.iter().map(|kind| Kind::from_id(*kind)).collect()
            }
        };
        let mut vocab = Vocab { index: Index::new(texts.len()), longest: 0, texts, kinds };
        for id in 0..vocab.len() {
            let text = vocab.texts.get(id);
            vocab.longest = vocab.longest.max(text.len());
            if !text.is_empty() && vocab.find(text).is_none() {
                vocab.index.insert(hash(text), id as u32);
            }
        }
        Ok(vocab)
    }

    /// Number of tokens. Ids count from 0.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The spelling of a token; empty for an id outside the vocabulary.
    pub(super) fn text(&self, id: u32) -> &[u8] {
        self.texts.get(id as usize)
    }

    /// Whether both have the same tokens.
    pub(super) fn is_spelled_as(&self, other: &Vocab) -> bool {
        self.texts == other.texts
    }

    /// The kind of a token; `Unused` for an id outside the vocabulary.
    pub(super) fn kind(&self, id: u32) -> Kind {
        self.kinds.get(id as usize).copied().unwrap_or(Kind::Unused)
    }

    /// Corrects a kind that the file has wrong.
    pub(super) fn set_kind(&mut self, id: u32, kind: Kind) {
        if let Some(old) = self.kinds.get_mut(id as usize) {
            *old = kind;
        }
    }

    /// The token with exactly this spelling.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        self.index.find(hash(text), |id| self.text(id) == text)
    }

    /// The token of one byte: `<0x41>`, else the byte itself.
    pub(super) fn find_byte(&self, byte: u8) -> Option<u32> {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
        self.find(&[b'<', b'0', b'x', high, low, b'>']).or_else(|| self.find(&[byte]))
    }
}

impl Kind {
    fn from_id(id: i32) -> Kind {
        match id {
            1 => Kind::Normal,
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            6 => Kind::Byte,
            _ => Kind::Unused,
        }
    }
}

/// The byte that a spelling like `<0x0A>` stands for.
pub(super) fn parse_byte(text: &[u8]) -> Option<u8> {
    let [b'<', b'0', b'x', high, low, b'>'] = text else { return None };
    let digit = |c: u8| (c as char).to_digit(16);
    Some((digit(*high)? << 4 | digit(*low)?) as u8)
}

/// The error for a key that has to be there.
pub(super) fn missing(key: &str) -> Error {
    Error::Format(format!("the metadata key {key} is missing or empty; convert the model again with its tokenizer"))
}

/// Checks that an array has one entry for each token.
pub(super) fn check_len(key: &str, n: usize, n_vocab: usize) -> Result<()> {
    if n == n_vocab {
        return Ok(());
    }
    Err(Error::Format(format!("{key} has {n} entries, but {TOKENS} has {n_vocab}; convert the model again")))
}

/// A hash table that holds only numbers: 4 bytes a slot, at most half of the slots in use. The keys stay wherever the
/// numbers point to, so whoever looks up says which number is meant.
#[derive(Debug)]
pub(super) struct Index {
    /// number + 1, or 0 in an empty slot; a power of two of them, more than there are numbers
    slots: Vec<u32>,
}

impl Index {
    /// A table for at most `n` numbers.
    pub(super) fn new(n: usize) -> Index {
        Index { slots: vec![0; (2 * n + 1).next_power_of_two()] }
    }

    /// The number under this hash that `is` recognises.
    pub(super) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(number) = self.slots[slot].checked_sub(1) {
            if is(number) {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// Adds a number that is not there yet. At most as many as the table was made for may be added.
    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = number + 1;
    }
}

/// FNV-1a over the bytes, in 64 bits, folded to 32: the same everywhere, and short.
///
/// # Source
/// <http://www.isthe.com/chongo/tech/comp/fnv/>
pub(super) fn hash(bytes: &[u8]) -> u32 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in bytes {
        h = (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    (h >> 32) as u32 ^ h as u32
}
