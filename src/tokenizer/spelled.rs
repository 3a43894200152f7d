//! Texts as vocabularies spell them, and tokens, each with where in the text it belongs.

/// How a vocabulary of characters spells a space.
pub(super) const SPACE: char = '\u{2581}';

/// Tokens in the making.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) ids: Vec<u32>,
    /// Where in the text each of them ends, in bytes. It begins where the one before ends.
    pub(super) ends: Vec<u32>,
}

impl Tokens {
    pub(super) fn push(&mut self, id: u32, end: usize) {
        self.ids.push(id);
        self.ends.push(end as u32);
    }
}

/// A stretch of a text, spelled anew.
#[derive(Debug, Default)]
pub(super) struct Spelled {
    pub(super) bytes: Vec<u8>,
    /// Where in the text that ends which each byte stands for.
    ends: Vec<u32>,
}

impl Spelled {
    /// The stretch of a text that starts at `start`, with `▁` for each space, and one more before it if `prefix`.
    pub(super) fn escaped(text: &str, start: usize, prefix: bool) -> Spelled {
        let mut spelled = Spelled::default();
        if prefix {
            spelled.push_space(start);
        }
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b' ' => spelled.push_space(start + at + 1),
                byte => spelled.push(byte, start + at + 1),
            }
        }
        spelled
    }

    pub(super) fn push(&mut self, byte: u8, end: usize) {
        self.bytes.push(byte);
        self.ends.push(end as u32);
    }

    pub(super) fn push_space(&mut self, end: usize) {
        let mut utf8 = [0; 3];
        SPACE.encode_utf8(&mut utf8).bytes().for_each(|byte| self.push(byte, end));
    }

    /// Where in the text the first `len` ≥ 1 bytes of this spelling end.
    pub(super) fn end(&self, len: usize) -> usize {
        self.ends.get(len.wrapping_sub(1)).map_or(0, |end| *end as usize)
    }
}
