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
///
/// Its buffers are kept from token to token: only one longer than [`ROOM`](TextStream::ROOM) bytes enlarges them.
#[derive(Debug, Clone)]
pub struct TextStream {
    /// The beginning of a character: at most three bytes between calls.
    pending: Vec<u8>,
    /// What the last call has given out.
    text: String,
    at_start: bool,
}

impl Default for TextStream {
    fn default() -> TextStream {
        TextStream::new()
    }
}

impl TextStream {
    /// The bytes of a token for which there is room from the beginning: more than those of real vocabularies have.
    pub const ROOM: usize = 256;

    /// A stream that continues a text, as generation continues a prompt: a leading space stays.
    pub fn new() -> TextStream {
        // Each byte may become a U+FFFD, and three bytes may be kept back.
        let most = TextStream::ROOM + 3;
        TextStream {
            pending: Vec::with_capacity(most),
            text: String::with_capacity(char::REPLACEMENT_CHARACTER.len_utf8() * most),
            at_start: false,
        }
    }

    /// A stream that begins a text: the space that encoding puts before a text is taken away, as
    /// [`Tokenizer::decode`] does.
    pub fn at_start() -> TextStream {
        TextStream { at_start: true, ..TextStream::new() }
    }

    /// Takes a token and returns what is now certain: no, one or more characters.
    ///
    /// # Errors
    /// `Argument` for an id outside the vocabulary; the stream is then as before.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> Result<&str> {
        let start = self.pending.len();
        tokenizer.add_piece(token, &mut self.pending)?;
        if self.at_start && tokenizer.may_start_with_prefix(token) && self.pending.get(start) == Some(&b' ') {
            self.pending.remove(start);
        }
        self.at_start &= !tokenizer.is_shown(token);
        Ok(self.give_out())
    }

    /// Ends the text: what is still kept back is no character and shows as U+FFFD. The stream is then as new.
    pub fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&self.pending).into_owned();
        *self = TextStream::new();
        rest
    }

    /// All but the beginning of a character.
    fn give_out(&mut self) -> &str {
        self.text.clear();
        let mut at = 0;
        loop {
            let (valid, broken) = match core::str::from_utf8(&self.pending[at..]) {
                Ok(rest) => (rest.len(), None),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            // What was found valid is borrowed unchanged.
            self.text.push_str(&String::from_utf8_lossy(&self.pending[at..at + valid]));
            at += valid;
            let Some(n) = broken else { break };
            self.text.push(char::REPLACEMENT_CHARACTER);
            at += n;
        }
        self.pending.drain(..at);
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push_bytes<'a>(stream: &'a mut TextStream, bytes: &[u8]) -> &'a str {
        stream.pending.extend_from_slice(bytes);
        stream.give_out()
    }

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
                text.push_str(push_bytes(&mut stream, &bytes[pair[0]..pair[1]]));
                prop_assert!(stream.pending.len() < 4);
            }
            text.push_str(&stream.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_character_appears_with_its_last_byte() {
        let mut stream = TextStream::new();
        let pieces: Vec<String> = "🦙".bytes().map(|byte| push_bytes(&mut stream, &[byte]).to_owned()).collect();
        assert_eq!(pieces, ["", "", "", "🦙"]);
        assert_eq!(push_bytes(&mut stream, b"\xe2\x82x"), "\u{fffd}x");
        assert_eq!(push_bytes(&mut stream, b"\xf0\x9f"), "");
        assert_eq!(stream.finish(), "\u{fffd}");
        assert_eq!(stream.finish(), "");
    }
}
