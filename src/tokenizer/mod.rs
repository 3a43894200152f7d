//! Text to token ids and back, as the model's own file defines it.
//!
//! A GGUF file carries its tokenizer in its metadata: the spelling of every token and, by the style of
//! `tokenizer.ggml.model`, scores or merges. Three styles are known: SentencePiece-style (`llama`, in `spm.rs`), BPE
//! (`gpt2` and `gemma4`, in `bpe.rs`) and unigram (`t5`, in `unigram.rs`). All first cut out special tokens
//! (`special.rs`). The first two then join neighbours by one shared loop (`merge.rs`); BPE splits words before that by a
//! table of rules (`pre.rs`, `rules.rs`, `split.rs`).
//!
//! No style for a decoder normalizes Unicode or lowers case, as llama.cpp does not; `t5` replaces what its file says.
//!
//! The other way is a concatenation of bytes. Characters may be split over tokens, so [`TextStream`] gives out only
//! whole ones.

mod bpe;
mod categories;
mod merge;
mod pre;
mod prefixes;
mod rules;
mod special;
mod spelled;
mod split;
mod spm;
mod stop;
mod stream;
mod unicode_table;
mod unigram;
mod vocab;

pub use stop::StopStrings;
pub use stream::TextStream;

use crate::error::{Error, Result, shown};
use crate::gguf::Metadata;
use bpe::Bpe;
use core::ops::Range;
use merge::Merger;
use pre::{PRE_TOKENIZERS, Whole};
use special::{Defaults, Fragment, Partition, Special};
use spelled::{SPACE, Tokens};
use spm::Spm;
use std::borrow::Cow;
use unigram::Unigram;
use vocab::{Kind, Vocab, missing, parse_byte};

/// Longest text that is encoded in one call, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 << 20;

const MODEL: &str = "tokenizer.ggml.model";
/// What `tokenizer.ggml.model` may be.
const KNOWN_MODELS: &str = "llama, gpt2, gemma4, t5";
const PRE: &str = "tokenizer.ggml.pre";

/// What to do about special tokens when encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Put BOS first and EOS last where the file asks for them.
    pub add_special: bool,
    /// Take control tokens spelled in the text, such as `<|im_end|>`, for the tokens; else they are plain text.
    /// User-defined tokens are found in any case.
    pub parse_special: bool,
}

/// The tokenizer of one model: immutable, and the same answer to the same question everywhere.
#[derive(Debug)]
pub struct Tokenizer {
    vocab: Vocab,
    special: Special,
    partition: Partition,
    style: Style,
}

#[derive(Debug)]
enum Style {
    Spm(Spm),
    Bpe(Bpe),
    Unigram(Unigram),
}

impl Tokenizer {
    /// Reads the tokenizer out of a file's metadata.
    ///
    /// Where `tokenizer.ggml.pre` is missing, a `gpt2` tokenizer splits by llama.cpp's `default` rules, as llama.cpp
    /// does; such files are old, and their models were often trained with other rules.
    ///
    /// # Errors
    /// `Unsupported` for a tokenizer or pre-tokenizer that is not known, by name; `Format` where a key is missing, has
    /// the wrong type or length, or names a token outside the vocabulary.
    ///
    /// # Source
    /// Meaning and defaults of the keys: `llama_vocab::impl::load` in llama.cpp's `src/llama-vocab.cpp`
    pub fn from_metadata(metadata: &Metadata) -> Result<Tokenizer> {
        match metadata.str(MODEL)? {
            Some("llama") => Tokenizer::spm(metadata),
            Some("gpt2") => Tokenizer::bpe(metadata, metadata.str(PRE)?.unwrap_or_default()),
            Some("gemma4") => Tokenizer::bpe(metadata, "gemma4"),
            Some("t5") => Tokenizer::unigram(metadata),
            Some(other) => Err(unsupported(MODEL, other, KNOWN_MODELS)),
            None => Err(missing(MODEL)),
        }
    }

    fn spm(metadata: &Metadata) -> Result<Tokenizer> {
        let defaults = Defaults { bos: Some(1), eos: Some(2), unk: Some(0), add_bos: true, add_eos: false };
        Tokenizer::new(metadata, defaults, &|vocab, unk| Ok(Style::Spm(Spm::from_metadata(metadata, vocab, unk)?)))
    }

    fn unigram(metadata: &Metadata) -> Result<Tokenizer> {
        let defaults = Defaults { bos: None, eos: Some(1), unk: Some(2), add_bos: false, add_eos: true };
        Tokenizer::new(metadata, defaults, &|vocab, unk| {
            Ok(Style::Unigram(Unigram::from_metadata(metadata, vocab, unk)?))
        })
    }

    fn bpe(metadata: &Metadata, pre: &str) -> Result<Tokenizer> {
        let pre = match pre {
            "" => &PRE_TOKENIZERS[0],
            // There are too many for an error's text.
            name => pre::find(name).ok_or_else(|| unsupported(PRE, name, "those in docs/conformance.md"))?,
        };
        let defaults = Defaults { bos: None, eos: None, unk: None, add_bos: pre.add_bos, add_eos: false };
        let mut tokenizer =
            Tokenizer::new(metadata, defaults, &|vocab, _| Ok(Style::Bpe(Bpe::from_metadata(metadata, vocab, pre)?)))?;
        // Files of Gemma 4 say that it does not want BOS, and it does.
        tokenizer.special.add_bos |= pre.whole == Whole::Newlines;
        Ok(tokenizer)
    }

    fn new(
        metadata: &Metadata,
        defaults: Defaults,
        style: &dyn Fn(&Vocab, Option<u32>) -> Result<Style>,
    ) -> Result<Tokenizer> {
        let mut vocab = Vocab::from_metadata(metadata)?;
        let special = Special::from_metadata(metadata, &mut vocab, defaults)?;
        let style = style(&vocab, special.unk)?;
        Ok(Tokenizer { partition: Partition::new(metadata, &vocab)?, vocab, special, style })
    }

    /// The style, as `tokenizer.ggml.model` names it: `llama`, `gpt2` (`gemma4` too) or `t5`.
    pub fn model(&self) -> &'static str {
        match self.style {
            Style::Spm(_) => "llama",
            Style::Bpe(_) => "gpt2",
            Style::Unigram(_) => "t5",
        }
    }

    /// The first name of the pre-tokenizer in use; `None` for a style without one.
    pub fn pre(&self) -> Option<&'static str> {
        match &self.style {
            Style::Bpe(bpe) => Some(bpe.pre.names[0]),
            _ => None,
        }
    }

    /// Number of tokens; ids count from 0.
    pub fn n_vocab(&self) -> usize {
        self.vocab.len()
    }

    /// Whether both spell every token alike, so that one model's tokens mean the same to the other.
    pub fn has_vocabulary_of(&self, other: &Tokenizer) -> bool {
        self.vocab.is_spelled_as(&other.vocab)
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }

    /// The token that ends a turn of a conversation.
    pub fn eot(&self) -> Option<u32> {
        self.special.eot
    }

    /// The token for what the vocabulary cannot spell.
    pub fn unk(&self) -> Option<u32> {
        self.special.unk
    }

    /// Whether `add_special` puts BOS first.
    pub fn adds_bos(&self) -> bool {
        self.special.add_bos && self.special.bos.is_some()
    }

    /// Whether `add_special` puts EOS last.
    pub fn adds_eos(&self) -> bool {
        self.special.add_eos && self.special.eos.is_some()
    }

    /// Whether generation ends at this token: EOS, EOT, EOM, or another end that llama.cpp knows by its spelling.
    pub fn is_end(&self, token: u32) -> bool {
        self.special.ends.contains(&token)
    }

    /// Every token that [`is_end`](Self::is_end); one may be listed more than once.
    pub fn ends(&self) -> &[u32] {
        &self.special.ends
    }

    /// Whether this token steers the model and is no text.
    pub fn is_control(&self, token: u32) -> bool {
        self.vocab.kind(token) == Kind::Control
    }

    /// What a control token is spelled like, which in a text that is written comes out as nothing.
    pub fn spelling(&self, token: u32) -> &[u8] {
        self.vocab.text(token)
    }

    /// The token ids of a text, equal to llama.cpp's. Takes O(n log n) time at worst.
    ///
    /// # Errors
    /// `Limit` for a text above [`MAX_TEXT_BYTES`]; `Format` for a character that the vocabulary of the file cannot
    /// spell in any way, which only a damaged or very small `llama` vocabulary has.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>> {
        Ok(self.tokens(text, options, &[])?.ids)
    }

    /// The token ids of a text, each with the bytes of the text that it stands for.
    ///
    /// The ranges follow one upon the other and cover the text. Those of BOS and EOS are empty, as are those of tokens
    /// that are there for a space put before the text, and of bytes that spell a space. Part of a character, where it is
    /// spelled by its bytes, is one byte; what a tokenizer leaves out (the second of two spaces, where the file asks for
    /// it) goes to the token behind it, or to the last.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_ranges(&self, text: &str, options: EncodeOptions) -> Result<Vec<(u32, Range<usize>)>> {
        let (ids, ends) = self.encode_with_ends(text, options)?;
        let mut start = 0;
        let ranges = ends.iter().map(|end| core::mem::replace(&mut start, *end as usize)..*end as usize);
        Ok(ids.into_iter().zip(ranges).collect())
    }

    /// The token ids of a text, and where in the text each of them ends: what
    /// [`encode_with_ranges`](Self::encode_with_ranges) says, in two lists.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_ends(&self, text: &str, options: EncodeOptions) -> Result<(Vec<u32>, Vec<u32>)> {
        self.encode_with_plain(text, options, &[])
    }

    /// As [`encode_with_ends`](Self::encode_with_ends), where no control token begins at one of the bytes `plain`: what is
    /// spelled there is text, whatever the options say. So a text can be made of what is to be trusted and what is not.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_plain(&self, text: &str, options: EncodeOptions, plain: &[u32]) -> Result<(Vec<u32>, Vec<u32>)> {
        let Tokens { ids, ends } = self.tokens(text, options, plain)?;
        Ok((ids, ends))
    }

    fn tokens(&self, text: &str, options: EncodeOptions, plain: &[u32]) -> Result<Tokens> {
        let mut out = Tokens::default();
        self.special.bos.iter().filter(|_| options.add_special && self.special.add_bos).for_each(|&id| out.push(id, 0));
        self.append_tokens(text, options.parse_special, plain, &mut out)?;
        let eos = self.special.eos.iter().filter(|_| options.add_special && self.special.add_eos);
        eos.for_each(|&id| out.push(id, text.len()));
        Ok(out)
    }

    /// The words that a text falls into before any of it is merged, for people who look into a tokenizer; together they
    /// are the text. `None` for a
    /// style without words.
    pub fn words<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        match &self.style {
            Style::Bpe(bpe) => Some(bpe.words(text)),
            _ => None,
        }
    }

    /// The token ids that a generation starts from: the text behind BOS, where the file asks for it, and never EOS,
    /// which would end what is to be continued. An empty text starts from BOS whatever the file asks for.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); `Argument` for an empty text where there is no BOS.
    pub fn encode_prompt(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        let mut out = Tokens::default();
        self.special.bos.iter().filter(|_| self.special.add_bos).for_each(|&id| out.push(id, 0));
        self.append_tokens(text, parse_special, &[], &mut out)?;
        let mut out = out.ids;
        if out.is_empty() {
            out.push(self.special.bos.ok_or_else(|| {
                Error::Argument(
                    "the prompt is empty and this model has no token to begin a text with: write a beginning".into(),
                )
            })?);
        }
        Ok(out)
    }

    fn append_tokens(&self, text: &str, parse_special: bool, plain: &[u32], out: &mut Tokens) -> Result<()> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::Limit(format!(
                "the text is {} bytes long; at most {MAX_TEXT_BYTES} can be tokenized at once",
                text.len()
            )));
        }
        let mut merger = Merger::default();
        let mut after_special = true;
        for (fragment, end) in self.partition.split(&self.vocab, text, parse_special, plain) {
            match fragment {
                Fragment::Token(id) => out.push(id, end),
                Fragment::Text(text) => {
                    let start = end - text.len();
                    match &self.style {
                        Style::Spm(spm) => {
                            spm.encode(&self.vocab, (text, start), after_special, &mut merger, out)?;
                        }
                        Style::Bpe(bpe) => bpe.encode(&self.vocab, text, start, &mut merger, out),
                        Style::Unigram(unigram) => unigram.encode(&self.vocab, text, start, out),
                    }
                }
            }
            after_special = matches!(fragment, Fragment::Token(_));
        }
        out.ends.last_mut().into_iter().for_each(|end| *end = text.len() as u32);
        Ok(())
    }

    /// The text of some tokens, from the beginning of a text.
    ///
    /// The inverse of [`encode`](Self::encode): the space that a `llama` tokenizer put before the text is taken away
    /// again, control and unknown tokens render as nothing, and bytes that are no UTF-8 as U+FFFD. What does not come
    /// back: `▁` (U+2581), which a `llama` vocabulary means as a space; a space is put behind special tokens within
    /// the text; bytes that a `gpt2` vocabulary cannot spell.
    ///
    /// # Errors
    /// `Argument` for an id outside the vocabulary.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        let mut stream = TextStream::at_start();
        let mut text = String::new();
        for &token in tokens {
            text.push_str(stream.push(self, token)?);
        }
        text.push_str(&stream.finish());
        Ok(text)
    }

    /// The bytes that a token adds to a text, spaces as spaces: perhaps part of a character, and nothing for control,
    /// unknown and unused tokens.
    ///
    /// # Errors
    /// `Argument` for an id outside the vocabulary.
    pub fn piece(&self, token: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.add_piece(token, &mut bytes)?;
        Ok(bytes)
    }

    /// Adds a token's [`piece`](Self::piece) to `out`, which stays as it is where there is an error.
    fn add_piece(&self, token: u32, out: &mut Vec<u8>) -> Result<()> {
        let text = self.token_bytes(token)?;
        match (self.vocab.kind(token), &self.style) {
            // A spelling with characters that stand for no byte stands for itself.
            (Kind::Normal, Style::Bpe(bpe)) if !bpe.pre.spells_chars => match core::str::from_utf8(text) {
                Ok(spelled) => {
                    let start = out.len();
                    for c in spelled.chars() {
                        let Some(byte) = bpe::char_byte(c) else {
                            out.truncate(start);
                            out.extend_from_slice(text);
                            break;
                        };
                        out.push(byte);
                    }
                }
                Err(_) => out.extend_from_slice(text),
            },
            (Kind::Normal, _) => match core::str::from_utf8(text) {
                Ok(spelled) => {
                    for c in spelled.chars() {
                        let c = if c == SPACE { ' ' } else { c };
                        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                Err(_) => out.extend_from_slice(text),
            },
            (Kind::Byte, _) => match parse_byte(text) {
                Some(byte) => out.push(byte),
                None => out.extend_from_slice(text),
            },
            (Kind::UserDefined, _) => out.extend_from_slice(text),
            (Kind::Unknown | Kind::Control | Kind::Unused, _) => {}
        }
        Ok(())
    }

    /// A token as the vocabulary spells it, for people who look into a model: `▁Once`, `Ġonce`, `<0x0A>`, `</s>`. Bytes
    /// that are no UTF-8 show as U+FFFD.
    ///
    /// # Errors
    /// `Argument` for an id outside the vocabulary.
    pub fn token_text(&self, token: u32) -> Result<Cow<'_, str>> {
        Ok(String::from_utf8_lossy(self.token_bytes(token)?))
    }

    fn token_bytes(&self, token: u32) -> Result<&[u8]> {
        if (token as usize) < self.n_vocab() {
            return Ok(self.vocab.text(token));
        }
        Err(Error::Argument(format!("token {token} is not in the vocabulary; its ids are 0 to {}", self.n_vocab() - 1)))
    }

    /// Whether this token begins with the space that `encode` puts before a text.
    fn may_start_with_prefix(&self, token: u32) -> bool {
        let prefixes = match &self.style {
            Style::Spm(spm) => spm.add_space_prefix,
            Style::Unigram(unigram) => unigram.add_space_prefix,
            Style::Bpe(_) => false,
        };
        prefixes && matches!(self.vocab.kind(token), Kind::Normal | Kind::Byte)
    }

    /// Whether this token shows in a text at all.
    fn is_shown(&self, token: u32) -> bool {
        matches!(self.vocab.kind(token), Kind::Normal | Kind::Byte | Kind::UserDefined)
    }
}

fn unsupported(key: &str, name: &str, known: &str) -> Error {
    let name = shown(name);
    Error::Unsupported(format!("{key} is \"{name}\", which this engine does not know; it knows {known}"))
}
