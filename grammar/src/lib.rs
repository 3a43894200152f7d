//! Texts of a given form: which tokens a text may go on with so that it comes to be JSON of a schema, what a regular
//! expression describes, or a text of a grammar.
//!
//! A module of its own, since few pages need it and it is larger than the engine. It knows tokens and their bytes, and
//! nothing of models: the engine is told the tokens that may come, and chooses among them.
//!
//! ```
//! use pagelm_grammar::{Kind, Vocabulary};
//!
//! let tokens: Vec<Vec<u8>> = ["", "a", "b", "ab", "<end>"].map(|text| text.as_bytes().to_vec()).into();
//! let vocabulary = Vocabulary::new(&tokens, &[0, 4], &[4])?;
//! let mut constraint = vocabulary.constrain(Kind::Regex, "ab|b", &[])?;
//! let allowed = constraint.allowed()?;
//! assert_eq!(allowed[0], 1 << 1 | 1 << 2 | 1 << 3);
//! constraint.accept(3)?;
//! assert_eq!(constraint.allowed()?[0], 1 << 4, "nothing but the end");
//! # Ok::<(), pagelm_grammar::Error>(())
//! ```

mod closing;
mod schema;
#[cfg(target_arch = "wasm32")]
mod web;

use closing::Closing;
use core::fmt;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory, regex_to_lark};
use std::sync::Arc;

/// Why a grammar cannot be used, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

/// A result with that.
pub type Result<T> = core::result::Result<T, Error>;

/// What a grammar is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A JSON schema. What it describes is written on one line, with a space behind commas and colons.
    Json,
    /// A regular expression, which the whole text fits.
    Regex,
    /// A grammar in Lark's notation.
    Lark,
}

impl Kind {
    /// The kind of this name: `json`, `regex` or `lark`.
    pub fn from_name(name: &str) -> Option<Kind> {
        [Kind::Json, Kind::Regex, Kind::Lark].into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Json => "json",
            Kind::Regex => "regex",
            Kind::Lark => "lark",
        }
    }
}

/// The tokens of a model, prepared for looking up what fits.
pub struct Vocabulary {
    factory: ParserFactory,
    /// The bytes of each; none for those that stand for no text.
    words: Arc<[Vec<u8>]>,
    end_tokens: Vec<u32>,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("n_vocab", &self.words.len()).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// Prepares tokens, given by their bytes. Those in `control` stand for no text; those in `end_tokens` end one.
    ///
    /// # Errors
    /// Where no token ends a text: what is whole could not stop.
    pub fn new(tokens: &[Vec<u8>], control: &[u32], end_tokens: &[u32]) -> Result<Vocabulary> {
        let end_tokens: Vec<u32> = end_tokens.iter().copied().filter(|end| (*end as usize) < tokens.len()).collect();
        let Some(&end) = end_tokens.first() else {
            return Err(Error(
                "this model has no token that ends a text, so that none of a given form can stop".into(),
            ));
        };
        // No text leads to a token without bytes.
        let mut words = tokens.to_vec();
        for &token in control.iter().chain(&end_tokens) {
            if let Some(word) = words.get_mut(token as usize) {
                word.clear();
            }
        }
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words);
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&env).map_err(to_error)?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Vocabulary { factory, words: words.into(), end_tokens })
    }

    /// Reads a grammar, for one text. Tokens in `stop_tokens` end this text too, and so come only where it is whole.
    ///
    /// # Errors
    /// Where the grammar cannot be read, asks for what is not known, or describes no text.
    pub fn constrain(&self, kind: Kind, text: &str, stop_tokens: &[u32]) -> Result<Constraint> {
        let grammar = match kind {
            Kind::Json => TopLevelGrammar::from_json_schema(schema::read(text)?),
            Kind::Regex => TopLevelGrammar::from_lark(regex(text)?),
            Kind::Lark => TopLevelGrammar::from_lark(text.into()),
        };
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        if let Some(error) = matcher.get_error() {
            return Err(Error(error));
        }
        let n_vocab = self.words.len();
        let stops = stop_tokens.iter().copied().filter(|token| (*token as usize) < n_vocab);
        let end_tokens = self.end_tokens.iter().copied().chain(stops).collect();
        let closing = Closing::new(self.words.clone(), kind == Kind::Json);
        Ok(Constraint { matcher, end_tokens, closing, n_left: u32::MAX, reserve: 0, bits: Vec::new() })
    }
}

/// A regular expression as a grammar. `\d` and `\w` mean what they mean in JavaScript and in schemas: ASCII.
fn regex(text: &str) -> Result<String> {
    // The whole text is meant in any case.
    let text = text.strip_prefix('^').unwrap_or(text);
    let n_escapes = |text: &str| text.chars().rev().take_while(|c| *c == '\\').count();
    let text = text.strip_suffix('$').filter(|text| n_escapes(text).is_multiple_of(2)).unwrap_or(text);
    if text.is_empty() || !n_escapes(text).is_multiple_of(2) {
        return Err(Error("the regular expression is empty, or ends in the middle of an escape".into()));
    }
    Ok(format!("start: /{}/", regex_to_lark(text, "dw")))
}

fn to_error(error: impl fmt::Display) -> Error {
    Error(error.to_string())
}

/// What one text has to be like, and how far it is.
pub struct Constraint {
    matcher: Matcher,
    end_tokens: Vec<u32>,
    closing: Closing,
    /// How many tokens may still come, and from how many on the text is led to its end.
    n_left: u32,
    reserve: u32,
    bits: Vec<u32>,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").field("n_left", &self.n_left).finish_non_exhaustive()
    }
}

/// The most tokens that are kept for bringing a text to its end.
const MAX_RESERVE: u32 = 128;

impl Constraint {
    /// Says how many tokens may come, those that end the text not counted. The last quarter of them, at most 128, are kept for
    /// bringing the text to its end: what is open is closed then, and nothing is begun that need not be.
    pub fn limit(&mut self, max_tokens: u32) {
        (self.n_left, self.reserve) = (max_tokens, (max_tokens / 4).min(MAX_RESERVE));
    }

    /// Whether the text is being brought to its end.
    pub fn is_closing(&self) -> bool {
        self.n_left <= self.reserve
    }

    /// Which tokens may come next: a bit for each, from the lowest on. The tokens that end the text are among them exactly
    /// where it is whole; near the [limit](Self::limit) nothing but these, and where it is not whole, only those of the others
    /// that come first on the way to its end.
    ///
    /// # Errors
    /// Where the grammar takes more memory or time than is allowed, or nothing but a token that would end the text too early
    /// leads on.
    pub fn allowed(&mut self) -> Result<&[u32]> {
        let mask = self.matcher.compute_mask_or_eos().map_err(to_error)?;
        self.bits.clear();
        self.bits.extend_from_slice(mask.as_slice());
        let end = self.end_tokens[0];
        let is_whole = self.bits[end as usize / 32] >> (end % 32) & 1 == 1;
        if is_whole && self.is_closing() {
            self.bits.fill(0);
        }
        for &token in &self.end_tokens {
            let (bits, bit) = (&mut self.bits[token as usize / 32], 1 << (token % 32));
            *bits = if is_whole { *bits | bit } else { *bits & !bit };
        }
        if self.bits.iter().all(|bits| *bits == 0) {
            return Err(Error("the form cannot be kept to: only tokens that would end the text lead on".into()));
        }
        if !is_whole && self.is_closing() {
            self.closing.narrow(&mut self.bits, self.n_left);
        }
        Ok(&self.bits)
    }

    /// Takes the token that came.
    ///
    /// # Errors
    /// Where it was not among those allowed.
    pub fn accept(&mut self, token: u32) -> Result<()> {
        self.n_left = self.n_left.saturating_sub(1);
        self.closing.accept(token);
        self.matcher.consume_token(token).map_err(to_error)
    }
}
