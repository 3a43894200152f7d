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

/// A name out of a file, fit to stand in an error's text: on one line, and no longer than a name has to be.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown = String::new();
    for c in name.chars().take(LONGEST) {
        match c {
            ' '..='~' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;
