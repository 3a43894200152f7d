//! A text that loses its middle.

use super::cache::KvCache;
use super::config::{Config, Pairing};
use super::forward::Scratch;
use crate::error::{Error, Result};

impl Scratch {
    /// Moves the keys and values of positions `from` to `end` to positions from `to` on, and turns the keys back by as much:
    /// a key at position p stands rotated by p · θ.
    pub fn shift(&mut self, config: &Config, cache: &mut KvCache, from: usize, end: usize, to: usize) {
        let (Some(rope), Some(table)) = (&config.rope, &self.rope) else { return };
        let (row, angles) = (&mut self.q[..config.head_dim], table.at(from - to));
        let (step, other) = match rope.pairing {
            Pairing::Adjacent => (2, 1),
            Pairing::Halves => (1, angles.len()),
        };
        cache.shift([from, to, end.saturating_sub(from)], row, &mut |_, key| {
            for (i, [cos, sin]) in angles.iter().enumerate() {
                let (x, y) = (key[step * i], key[step * i + other]);
                key[step * i] = x * cos + y * sin;
                key[step * i + other] = y * cos - x * sin;
            }
        });
    }
}

/// Whether the positions of a model's texts can be shifted: they are where a key says how far away it is, not where it is.
///
/// # Errors
/// `Unsupported` for learned positions.
pub fn can_shift(config: &Config) -> Result<()> {
    match config.rope {
        Some(_) => Ok(()),
        None => Err(Error::Unsupported(
            "this model has learned positions, which cannot be shifted: a text ends where the context is full".into(),
        )),
    }
}
