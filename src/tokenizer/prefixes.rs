//! Which tokens a text begins with.

use super::vocab::Vocab;
use std::collections::BinaryHeap;

/// Tokens in the order of their spellings' bytes: those with a common beginning stand together.
#[derive(Debug)]
pub(super) struct Prefixes(Vec<u32>);

impl Prefixes {
    /// Of these tokens. One whose spelling is empty, or that of a token with a lower id, is never found.
    pub(super) fn new(vocab: &Vocab, ids: &mut dyn Iterator<Item = u32>) -> Prefixes {
        let found = |id: &u32| vocab.find(vocab.text(*id)) == Some(*id);
        // Sorted by a heap, which is a tenth of the code of the standard sort.
        let by_text: BinaryHeap<(&[u8], u32)> = ids.filter(found).map(|id| (vocab.text(id), id)).collect();
        Prefixes(by_text.into_sorted_vec().into_iter().map(|(_, id)| id).collect())
    }

    /// Hands over each token that `bytes` begin with, the shortest first.
    pub(super) fn of(&self, vocab: &Vocab, bytes: &[u8], found: &mut dyn FnMut(u32)) {
        // tokens that agree with all bytes so far
        let mut alike = &self.0[..];
        for (depth, byte) in bytes.iter().enumerate() {
            #[cfg(test)]
            STEPS.set(STEPS.get() + 1);
            let agrees = |id: &u32| vocab.text(*id)[depth] == *byte;
            // where the first and the last agree, so do all between them
            if !(alike.first().is_some_and(agrees) && alike.last().is_some_and(agrees)) {
                alike = &alike[alike.partition_point(|id| vocab.text(*id)[depth] < *byte)..];
                alike = &alike[..alike.partition_point(agrees)];
            }
            let Some((first, longer)) = alike.split_first() else { break };
            if vocab.text(*first).len() == depth + 1 {
                found(*first);
                alike = longer;
            }
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many bytes of texts were compared.
    pub(super) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
