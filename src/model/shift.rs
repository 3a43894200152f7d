//! A text that loses its middle.

use super::architecture::Pairing;
use super::attention::turns;
use super::cache::KvCache;
use super::config::Config;
use super::scratch::Scratch;
use crate::error::{Error, Result};

impl Scratch {
    /// Moves the keys and values of positions `from` to `end` to positions from `to` on, and turns the keys back by as much:
    /// a key at position p stands rotated by p · θ.
    pub fn shift(&mut self, config: &Config, cache: &mut KvCache, from: usize, end: usize, to: usize) {
        let (row, ropes) = (&mut self.q[..config.head_dim], &self.rope);
        cache.shift([from, to, end.saturating_sub(from)], row, &mut |layer, key| {
            let Some((rope, table)) = turns(config, ropes, layer) else { return };
            let angles = table.at(from - to);
            let (step, other) = match rope.pairing {
                Pairing::Adjacent => (2, 1),
                Pairing::Halves => (1, angles.len()),
            };
            for (i, turn) in angles.iter().enumerate() {
                // The table's angles are as long as the factor that keys have been multiplied by already.
                let [cos, sin] = turn.map(|x| x / rope.attn_factor);
                let (x, y) = (key[step * i], key[step * i + other]);
                key[step * i] = x * cos + y * sin;
                key[step * i + other] = y * cos - x * sin;
            }
        });
    }
}

/// Whether the positions of a model's texts can be shifted: they are where attention is told how far away a key is, not where
/// it is.
///
/// # Errors
/// `Unsupported` for learned positions.
pub fn can_shift(config: &Config) -> Result<()> {
    match config.rope.is_some() || config.max_alibi_bias.is_some() {
        true => Ok(()),
        false => Err(Error::Unsupported(
            "this model has learned positions, which cannot be shifted: a text ends where the context is full".into(),
        )),
    }
}
