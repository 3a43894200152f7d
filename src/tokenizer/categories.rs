//! What kind of character this is: the few Unicode categories that splitting rules ask for.

use super::unicode_table::CATEGORY_RUNS;

/// A set of categories, one bit each. For a character exactly one of the first six is set, bit 0 standing for what has
/// no name here (control characters, separators, code points without a character), and besides it [`SPACE`] for white
/// space.
pub(super) type Categories = u8;

/// `\p{L}`: letters.
pub(super) const LETTER: Categories = 1 << 1;
/// `\p{M}`: marks that combine with a letter.
pub(super) const MARK: Categories = 1 << 2;
/// `\p{N}`: digits and other numbers.
pub(super) const NUMBER: Categories = 1 << 3;
/// `\p{P}`: punctuation.
pub(super) const PUNCTUATION: Categories = 1 << 4;
/// `\p{S}`: symbols, among them `$ + < = > ^ | ~` and the backtick.
pub(super) const SYMBOL: Categories = 1 << 5;
/// `\s`: Unicode's White_Space. Not a general category of its own, so it comes beside one of the others.
pub(super) const SPACE: Categories = 1 << 6;

/// The category table, unpacked for searching: about 10 KB, made once for each tokenizer that splits by rules.
#[derive(Debug)]
pub(super) struct CategoryTable {
    /// The categories of U+0000 to U+007F, which most text consists of.
    ascii: [Categories; 128],
    /// Where each run starts, in order, as 8 · first code point + category.
    runs: Vec<u32>,
}

impl CategoryTable {
    /// Unpacks the generated table.
    pub(super) fn new() -> CategoryTable {
        let mut runs = Vec::with_capacity(CATEGORY_RUNS.len());
        let (mut start, mut number, mut shift) = (0, 0, 0);
        for byte in CATEGORY_RUNS {
            number |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                runs.push(start << 3 | number & 7);
                start += number >> 3;
                (number, shift) = (0, 0);
            }
        }
        runs.push(start << 3);
        let mut table = CategoryTable { ascii: [0; 128], runs };
        table.ascii = core::array::from_fn(|c| table.search(c as u8 as char));
        table
    }

    /// The categories of a character.
    #[inline]
    pub(super) fn of(&self, c: char) -> Categories {
        match self.ascii.get(c as usize) {
            Some(&categories) => categories,
            None => self.search(c),
        }
    }

    fn search(&self, c: char) -> Categories {
        let after = self.runs.partition_point(|run| run >> 3 <= u32::from(c));
        // The first run starts at 0, so at least one starts at or before `c`.
        let category = 1 << (self.runs[after - 1] & 7);
        if c.is_whitespace() { category | SPACE } else { category }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Categories = 1;

    #[test]
    fn characters_of_every_category_are_known() {
        let table = CategoryTable::new();
        for (text, want) in [
            ("aZéßπЖ漢あ가ªʰǅ", LETTER),
            ("\u{301}\u{93f}\u{20dd}", MARK),
            ("09½²Ⅷ٣一".trim_end_matches('一'), NUMBER),
            ("!_-¡«»。〜", PUNCTUATION),
            ("$+<=>^`|~€°🦙\u{1f3fb}", SYMBOL),
            ("\0\u{7f}\u{200b}\u{200d}\u{e000}\u{fffff}\u{10ffff}\u{378}", OTHER),
            (" \t\n\u{b}\u{c}\r\u{85}\u{a0}\u{2009}\u{3000}", OTHER | SPACE),
        ] {
            for c in text.chars() {
                assert_eq!(table.of(c), want, "{c:?}");
            }
        }
    }

    #[test]
    fn the_table_agrees_with_the_standard_library() {
        let table = CategoryTable::new();
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let categories = table.of(c);
            assert_eq!((categories & !SPACE).count_ones(), 1, "{c:?} {categories:b}");
            assert_eq!(categories & SPACE != 0, c.is_whitespace(), "{c:?}");
            if c.is_ascii() {
                assert_eq!(categories == LETTER, c.is_ascii_alphabetic(), "{c:?}");
                assert_eq!(categories & (PUNCTUATION | SYMBOL) != 0, c.is_ascii_punctuation(), "{c:?}");
            }
        }
    }
}
