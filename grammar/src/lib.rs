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
//! let mut constraint = vocabulary.constrain(Kind::Regex, "ab|b")?;
//! let allowed = constraint.allowed()?;
//! assert_eq!(allowed[0], 1 << 1 | 1 << 2 | 1 << 3);
//! constraint.accept(3)?;
//! assert_eq!(constraint.allowed()?[0], 1 << 4, "nothing but the end");
//! # Ok::<(), pagelm_grammar::Error>(())
//! ```

#[cfg(target_arch = "wasm32")]
mod web;

use core::fmt;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::{Map, Value};
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

/// The tokens of a model, prepared for looking up what fits.
pub struct Vocabulary {
    factory: ParserFactory,
    n_vocab: usize,
    end_tokens: Vec<u32>,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("n_vocab", &self.n_vocab).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// Prepares tokens, given by their bytes. Those in `control` stand for no text; those in `end_tokens` end one.
    ///
    /// # Errors
    /// Where no token ends a text: what is whole could not stop.
    pub fn new(tokens: &[Vec<u8>], control: &[u32], end_tokens: &[u32]) -> Result<Vocabulary> {
        let ends: Vec<u32> = end_tokens.iter().copied().filter(|end| (*end as usize) < tokens.len()).collect();
        let Some(&end) = ends.first() else {
            return Err(Error(
                "this model has no token that ends a text, so that none of a given form can stop".into(),
            ));
        };
        // No text leads to a token without bytes.
        let mut words = tokens.to_vec();
        for &token in control.iter().chain(&ends) {
            if let Some(word) = words.get_mut(token as usize) {
                word.clear();
            }
        }
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words);
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&env).map_err(to_error)?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Vocabulary { factory, n_vocab: words.len(), end_tokens: ends })
    }

    /// Reads a grammar, for one text.
    ///
    /// # Errors
    /// Where it cannot be read, asks for what is not known, or describes no text.
    pub fn constrain(&self, kind: Kind, text: &str) -> Result<Constraint> {
        let grammar = match kind {
            Kind::Json => json(text)?,
            Kind::Regex => TopLevelGrammar::from_regex(text),
            Kind::Lark => TopLevelGrammar::from_lark(text.into()),
        };
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        match matcher.get_error() {
            Some(error) => Err(Error(error)),
            None => Ok(Constraint { matcher, end_tokens: self.end_tokens.clone(), bits: Vec::new() }),
        }
    }
}

fn json(schema: &str) -> Result<TopLevelGrammar> {
    let mut schema = match serde_json::from_str(schema) {
        Ok(Value::Bool(true)) => Value::Object(Map::new()),
        Ok(schema @ Value::Object(_)) => schema,
        Ok(_) => return Err(Error("a schema is an object, or true".into())),
        Err(error) => return Err(Error(format!("the schema is no JSON: {error}"))),
    };
    // White space between the parts would be a way to write on without end.
    let options = JsonCompileOptions {
        item_separator: ", ".into(),
        key_separator: ": ".into(),
        whitespace_flexible: false,
        ..JsonCompileOptions::default()
    };
    options.apply_to(&mut schema);
    Ok(TopLevelGrammar::from_json_schema(schema))
}

fn to_error(error: impl fmt::Display) -> Error {
    Error(error.to_string())
}

/// What one text has to be like, and how far it is.
pub struct Constraint {
    matcher: Matcher,
    end_tokens: Vec<u32>,
    bits: Vec<u32>,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

impl Constraint {
    /// Which tokens may come next: a bit for each, from the lowest on. The tokens that end a text are among them exactly where
    /// it is whole.
    ///
    /// # Errors
    /// Where the grammar takes more memory or time than is allowed.
    pub fn allowed(&mut self) -> Result<&[u32]> {
        let mask = self.matcher.compute_mask_or_eos().map_err(to_error)?;
        self.bits.clear();
        self.bits.extend_from_slice(mask.as_slice());
        let is_set = |bits: &[u32], token: u32| bits[token as usize / 32] >> (token % 32) & 1 == 1;
        if is_set(&self.bits, self.end_tokens[0]) {
            self.end_tokens.iter().for_each(|token| self.bits[*token as usize / 32] |= 1 << (token % 32));
        }
        Ok(&self.bits)
    }

    /// Takes the token that came.
    ///
    /// # Errors
    /// Where it was not among those allowed.
    pub fn accept(&mut self, token: u32) -> Result<()> {
        self.matcher.consume_token(token).map_err(to_error)
    }

    /// Whether the text could end here.
    ///
    /// # Errors
    /// As [`allowed`](Self::allowed).
    pub fn is_whole(&mut self) -> Result<bool> {
        self.matcher.is_accepting().map_err(to_error)
    }
}
