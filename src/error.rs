//! What can go wrong, and whose turn it is to mend it.

use core::fmt;

/// The engine's one error type: four kinds, each with a text that names the thing and the way out.
///
/// The kind says who can act: the maker of the file, nobody yet, the caller, or the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not what they claim to be. Another copy of the file is needed.
    Format(String),
    /// The file is sound, but this engine does not know how to run it.
    Unsupported(String),
    /// The call is at fault. The text says which argument and what would be accepted.
    Argument(String),
    /// A bound was reached: memory, context length or a named limit.
    Limit(String),
}

impl Error {
    /// A stable word for the kind: `format`, `unsupported`, `argument` or `limit`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Format(_) => "format",
            Error::Unsupported(_) => "unsupported",
            Error::Argument(_) => "argument",
            Error::Limit(_) => "limit",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Format(text) | Error::Unsupported(text) | Error::Argument(text) | Error::Limit(text)) = self;
        f.write_str(text)
    }
}

impl core::error::Error for Error {}

/// A name out of a file, fit to stand in an error's text: on one line, with nothing invisible in it, and no longer than a
/// name has to be.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown = String::new();
    for c in name.chars().take(LONGEST) {
        match c {
            // Marks that turn the direction of writing, joiners, variation selectors and tags.
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'.. => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() || matches!(c, '"' | '\\') => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Words as an error's text lists them. The standard library's `join` is a kilobyte for each type of word.
pub(crate) fn listed<'a>(words: &mut dyn Iterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for word in words {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(word);
    }
    list
}

/// A number as an error's text shows it, with up to six decimals. The standard library's way of writing floats is several
/// kilobytes of every page, for texts that hardly anybody sees.
pub(crate) fn number(x: f32) -> String {
    let (sign, x) = (if x < 0.0 { "-" } else { "" }, f64::from(x.abs()));
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return format!("{sign}inf");
    }
    if x >= 1e12 {
        return format!("{sign}more than a million millions");
    }
    let millionths = (x * 1e6).round_ties_even() as u64;
    let decimals = format!(".{:06}", millionths % 1_000_000);
    format!("{sign}{}{}", millionths / 1_000_000, decimals.trim_end_matches('0').trim_end_matches('.'))
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (x, text) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (0.8, "0.8"),
            (100.25, "100.25"),
            (1e-7, "0"),
            (123_456.0, "123456"),
            (f32::NAN, "NaN"),
            (f32::NEG_INFINITY, "-inf"),
            (1e30, "more than a million millions"),
        ] {
            assert_eq!(number(x), text);
        }
    }

    #[test]
    fn names_are_shown_on_one_line_without_what_cannot_be_seen() {
        assert_eq!(shown("a\n\u{202e}b\"中\u{7f}"), "a\\n\\u{202e}b\\\"中\\u{7f}");
        assert_eq!(shown(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
    }
}
