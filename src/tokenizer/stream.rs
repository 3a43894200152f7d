//! Text as it grows: tokens in, whole characters out.

use super::Tokenizer;
use crate::error::Result;

/// Turns tokens into text one by one and keeps back what is not yet a whole character.
///
/// All that it gives out, taken together, is `String::from_utf8_lossy` of all the bytes, however they were cut into
/// tokens: an emoji split over four tokens appears once, whole, with the fourth.
///
/// ```
/// use pagelm::gguf::{Array, Metadata, Value};
/// use pagelm::tokenizer::{TextStream, Tokenizer};
///
/// let strings = |list: &[&str]| Value::Array(Array::Str(list.iter().collect()));
/// let tokenizer = Tokenizer::from_metadata(&Metadata::new(vec![
///     ("tokenizer.ggml.model".into(), Value::Str("gpt2".into())),
///     ("tokenizer.ggml.tokens".into(), strings(&["Hi", "Ã", "©"])), // the two bytes of é
///     ("tokenizer.ggml.merges".into(), strings(&[])),
/// ]))?;
/// let mut stream = TextStream::new();
/// assert_eq!(stream.push(&tokenizer, 0)?, "Hi");
/// assert_eq!(stream.push(&tokenizer, 1)?, "");
/// assert_eq!(stream.push(&tokenizer, 2)?, "é");
/// assert_eq!(stream.finish(), "");
/// # Ok::<(), pagelm::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// The beginning of a character: at most three bytes between calls.
    pending: Vec<u8>,
    at_start: bool,
}

impl TextStream {
    /// A stream that continues a text, as generation continues a prompt: a leading space stays.
    pub fn new() -> TextStream {
        TextStream::default()
    }

    /// A stream that begins a text: the space that encoding puts before a text is taken away, as
    /// [`Tokenizer::decode`] does.
    pub fn at_start() -> TextStream {
        TextStream { at_start: true, ..TextStream::default() }
    }

    /// Takes a token and returns what is now certain: no, one or more characters.
    ///
    /// # Errors
    /// `Argument` for an id outside the vocabulary; the stream is then as before.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Result<String> {
        let piece = tokenizer.piece(token)?;
        let prefixed = self.at_start && tokenizer.may_start_with_prefix(token) && piece.first() == Some(&b' ');
        self.at_start &= !tokenizer.is_shown(token);
        Ok(self.push_bytes(&piece[usize::from(prefixed)..]))
    }

    /// Ends the text: what is still kept back is no character and shows as U+FFFD. The stream is then as new.
    pub fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&self.pending).into_owned();
        *self = TextStream::new();
        rest
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut at = 0;
        loop {
            let (valid, broken) = match core::str::from_utf8(&self.pending[at..]) {
                Ok(rest) => (rest.len(), None),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            // What was found valid is borrowed unchanged.
            text.push_str(&String::from_utf8_lossy(&self.pending[at..at + valid]));
            at += valid;
            let Some(n) = broken else { break };
            text.push(char::REPLACEMENT_CHARACTER);
            at += n;
        }
        self.pending.drain(..at);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes among which whole, broken and overlong sequences are all common.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let unit = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            any::<u8>().prop_map(|b| vec![b]),
            prop::sample::select(vec![0xc0, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4, 0xf5, 0x80, 0x9f, 0xbf])
                .prop_map(|b| vec![b]),
        ];
        prop::collection::vec(unit, 0..12).prop_map(|units| units.concat())
    }

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_text_is_that_of_the_whole(
            bytes in bytes(),
            cuts in prop::collection::vec(0_usize..40, 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort();
            let mut stream = TextStream::new();
            let mut text = String::new();
            for pair in cuts.windows(2) {
                text.push_str(&stream.push_bytes(&bytes[pair[0]..pair[1]]));
                prop_assert!(stream.pending.len() < 4);
            }
            text.push_str(&stream.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_character_appears_with_its_last_byte() {
        let mut stream = TextStream::new();
        let pieces: Vec<String> = "🦙".bytes().map(|byte| stream.push_bytes(&[byte])).collect();
        assert_eq!(pieces, ["", "", "", "🦙"]);
        assert_eq!(stream.push_bytes(b"\xe2\x82x"), "\u{fffd}x");
        assert_eq!(stream.push_bytes(b"\xf0\x9f"), "");
        assert_eq!(stream.finish(), "\u{fffd}");
        assert_eq!(stream.finish(), "");
    }
}
