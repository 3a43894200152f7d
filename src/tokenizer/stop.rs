//! Strings that end a text, however they are cut into tokens.

use super::{TextStream, Tokenizer};

impl Tokenizer {
    /// The tokens whose text has one of these strings in it.
    pub fn tokens_with(&self, strings: &[String]) -> Vec<u32> {
        let mut tokens = Vec::new();
        for token in 0..self.n_vocab() as u32 {
            let piece = self.piece(token).unwrap_or_default();
            let has = |string: &String| (0..piece.len()).any(|at| piece[at..].starts_with(string.as_bytes()));
            if strings.iter().any(has) {
                tokens.push(token);
            }
        }
        tokens
    }
}

/// Watches a text as it grows, and keeps back what may be the beginning of a string that ends it.
///
/// ```
/// use pagelm::tokenizer::StopStrings;
///
/// let mut stops = StopStrings::new(vec!["\n\n".into(), "User:".into()]);
/// assert_eq!(stops.push("Yes.\n"), ("Yes.", false));
/// assert_eq!(stops.push("Us"), ("\n", false)); // the line break is none of them, "Us" may be
/// assert_eq!(stops.push("er: and"), ("", true));
/// ```
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    /// What the last call has given out.
    given: String,
}

impl StopStrings {
    /// For these strings; empty ones end nothing.
    pub fn new(mut stops: Vec<String>) -> StopStrings {
        stops.retain(|stop| !stop.is_empty());
        // What is kept back is shorter than the longest of them.
        let most = stops.iter().map(String::len).max().unwrap_or(0) + TextStream::ROOM;
        StopStrings { stops, held: String::with_capacity(most), given: String::with_capacity(most) }
    }

    /// Takes what comes next. Returns what now is certain to be text, up to the string that is complete first (of several that
    /// end together the longest), and whether there is one; nothing comes after that.
    ///
    /// Its buffers are kept: only a piece longer than [`TextStream::ROOM`] bytes enlarges them.
    pub fn push(&mut self, text: &str) -> (&str, bool) {
        self.held.push_str(text);
        let held = self.held.as_bytes();
        let start_of = |stop: &String, end: usize| held[..end].ends_with(stop.as_bytes()).then(|| end - stop.len());
        let ended = |end| self.stops.iter().filter_map(|stop| start_of(stop, end)).min();
        let ends = (1..=held.len()).find_map(ended);
        // The first place from which on there may come to be one of the strings.
        let may_begin = |at: &usize| self.stops.iter().any(|stop| stop.as_bytes().starts_with(&held[*at..]));
        let at = ends.unwrap_or_else(|| (0..held.len()).find(may_begin).unwrap_or(held.len()));
        self.given.clear();
        self.given.push_str(&self.held[at..]);
        self.held.truncate(at);
        core::mem::swap(&mut self.held, &mut self.given);
        (&self.given, ends.is_some())
    }

    /// Ends the text: what was kept back is text.
    pub fn finish(&mut self) -> String {
        core::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::StopStrings;
    use proptest::prelude::*;

    proptest! {
        /// However a text is cut, what comes out is the text up to the stop that ends first.
        #[test]
        fn no_part_of_a_stop_leaks(
            stops in prop::collection::vec("[abé]{0,4}", 0..4),
            pieces in prop::collection::vec("[abé]{0,3}", 0..20),
        ) {
            let text = pieces.concat();
            let ends = |stop: &String| text.find(stop.as_str()).map(|start| (start + stop.len(), start));
            let first = stops.iter().filter(|stop| !stop.is_empty()).filter_map(ends).min().map(|(_, start)| start);
            let mut watch = StopStrings::new(stops);
            let (mut out, mut ended) = (String::new(), false);
            for piece in &pieces {
                let (text, stop) = watch.push(piece);
                out += text;
                if stop {
                    ended = true;
                    break;
                }
            }
            if !ended {
                out += &watch.finish();
            }
            prop_assert_eq!(ended, first.is_some());
            prop_assert_eq!(out, &text[..first.unwrap_or(text.len())]);
        }
    }

    #[test]
    fn a_stop_within_what_may_become_a_longer_one_ends_the_text() {
        let mut watch = StopStrings::new(vec!["ééaé".into(), "a".into()]);
        assert_eq!(watch.push("éé"), ("", false));
        assert_eq!(watch.push("a"), ("éé", true));
    }
}
