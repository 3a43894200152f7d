//! The loop that both tokenizers share: of all neighbours that may be joined, join the best, until none are left.
//!
//! A text of n symbols takes O(n log n) time, for every join takes one pair out of a heap and puts at most two in.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// The id of a symbol that is no token.
pub(super) const NO_TOKEN: u32 = u32::MAX;
/// The index before the first symbol and after the last.
const NONE: u32 = u32::MAX;

/// A stretch of the text that is, so far, one unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    /// Its token, or [`NO_TOKEN`].
    pub(super) id: u32,
    /// Where it starts in the text, in bytes.
    pub(super) start: u32,
    /// Its length in bytes; 0 once it has become part of the symbol to its left.
    pub(super) len: u32,
    prev: u32,
    next: u32,
}

/// What joining two neighbours would give. The fields stand in the order in which candidates are compared: the lowest
/// `order` first, and of equal ones the leftmost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    order: u32,
    left: u32,
    right: u32,
    /// Length of both together. Symbols only grow, so another length means that one of them is no longer what it was.
    len: u32,
    id: u32,
}

/// What two neighbours may become: how early (lower is earlier), and which token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Join {
    pub(super) order: u32,
    pub(super) id: u32,
}

/// Symbols in a row and the heap of their possible joins; kept from word to word, so that nothing is allocated anew.
#[derive(Debug, Default)]
pub(super) struct Merger {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
}

impl Merger {
    /// Forgets the text of before.
    pub(super) fn clear(&mut self) {
        self.symbols.clear();
        self.queue.clear();
    }

    /// Appends a symbol of `len` ≥ 1 bytes behind the last one.
    pub(super) fn push(&mut self, id: u32, len: usize) {
        let i = self.symbols.len() as u32;
        let (prev, start) = match self.symbols.last_mut() {
            None => (NONE, 0),
            Some(last) => {
                last.next = i;
                (i - 1, last.start + last.len)
            }
        };
        self.symbols.push(Symbol { id, start, len: len as u32, prev, next: NONE });
    }

    /// Joins neighbours for as long as `join` has an answer for any two, then hands over what is left, in order.
    pub(super) fn run(&mut self, join: &dyn Fn(&Symbol, &Symbol) -> Option<Join>, done: &mut dyn FnMut(&Symbol)) {
        for left in 1..self.symbols.len() as u32 {
            self.consider(left - 1, left, join);
        }
        while let Some(Reverse(best)) = self.queue.pop() {
            let (left, right) = (self.symbols[best.left as usize], self.symbols[best.right as usize]);
            if left.len == 0 || right.len == 0 || left.len + right.len != best.len {
                continue;
            }
            self.symbols[best.left as usize] = Symbol { id: best.id, len: best.len, next: right.next, ..left };
            self.symbols[best.right as usize].len = 0;
            if right.next != NONE {
                self.symbols[right.next as usize].prev = best.left;
            }
            self.consider(left.prev, best.left, join);
            self.consider(best.left, right.next, join);
        }
        self.symbols.iter().filter(|symbol| symbol.len > 0).for_each(done);
    }

    fn consider(&mut self, left: u32, right: u32, join: &dyn Fn(&Symbol, &Symbol) -> Option<Join>) {
        if left == NONE || right == NONE {
            return;
        }
        let (l, r) = (&self.symbols[left as usize], &self.symbols[right as usize]);
        if let Some(Join { order, id }) = join(l, r) {
            self.queue.push(Reverse(Candidate { order, left, right, len: l.len + r.len, id }));
        }
    }
}
