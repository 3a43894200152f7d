//! Strings that end a text, however they are cut into tokens.

use super::Tokenizer;

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
/// assert_eq!(stops.push("Yes.\n"), ("Yes.".into(), false));
/// assert_eq!(stops.push("Us"), ("\n".into(), false)); // the line break is none of them, "Us" may be
/// assert_eq!(stops.push("er: and"), (String::new(), true));
/// ```
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
}

impl StopStrings {
    /// For these strings; empty ones end nothing.
    pub fn new(mut stops: Vec<String>) -> StopStrings {
        stops.retain(|stop| !stop.is_empty());
        StopStrings { stops, held: String::new() }
    }

    /// Takes what comes next. Returns what now is certain to be text, up to the first of the strings, and whether there is
    /// one; nothing comes after that.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let (mut at, mut ends) = (0, false);
        // The first place from which on there is one of the strings, or may come to be.
        while at < self.held.len() && !ends {
            let rest = &self.held.as_bytes()[at..];
            ends = self.stops.iter().any(|stop| rest.starts_with(stop.as_bytes()));
            if ends || self.stops.iter().any(|stop| stop.as_bytes().starts_with(rest)) {
                break;
            }
            at += 1;
        }
        let rest = self.held.split_off(at);
        (core::mem::replace(&mut self.held, rest), ends)
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
        /// However a text is cut, what comes out is the text up to the first stop.
        #[test]
        fn no_part_of_a_stop_leaks(
            stops in prop::collection::vec("[abé]{0,4}", 0..4),
            pieces in prop::collection::vec("[abé]{0,3}", 0..20),
        ) {
            let text = pieces.concat();
            let first = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
            let mut watch = StopStrings::new(stops);
            let (mut out, mut ended) = (String::new(), false);
            for piece in &pieces {
                let (text, stop) = watch.push(piece);
                out += &text;
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
}
