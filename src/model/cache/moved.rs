//! Rows of a cache on the way to other places: to a saved text and back, to another session, to earlier positions.

use super::{KvCache, Order, Tiles, store};
use crate::kernels::TILE;
use crate::quant::float::f16_to_f32;
use bytemuck::cast_slice_mut;

impl Tiles {
    /// The bytes of the values, and of their scales.
    fn bytes(&mut self) -> [&mut [u8]; 2] {
        match self {
            Tiles::F32(tiles) => [cast_slice_mut(tiles), &mut []],
            Tiles::F16(tiles) => [cast_slice_mut(tiles), &mut []],
            Tiles::Q8_0(tiles, scales) => [cast_slice_mut(tiles), cast_slice_mut(scales)],
        }
    }
}

impl KvCache {
    /// Tiles of one head.
    fn of_head(&self) -> usize {
        self.n_ctx.div_ceil(TILE)
    }

    /// Shows the bytes of the first `n` positions, rounded up to whole tiles, head by head: the same bytes in the same order
    /// whatever the length of the context.
    pub fn visit_bytes(&mut self, n: usize, visit: &mut dyn FnMut(&mut [u8])) {
        let (of_head, used, n_heads) = (self.of_head(), n.div_ceil(TILE), self.n_heads);
        for tiles in [&mut self.keys, &mut self.values] {
            for bytes in tiles.bytes() {
                let head = bytes.len() / n_heads;
                for i in 0..n_heads {
                    visit(&mut bytes[i * head..][..head / of_head * used]);
                }
            }
        }
    }

    /// Takes everything from another cache of the same shape.
    pub fn copy_from(&mut self, other: &mut KvCache) {
        for (to, from) in [(&mut self.keys, &mut other.keys), (&mut self.values, &mut other.values)] {
            for (to, from) in to.bytes().into_iter().zip(from.bytes()) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Moves `n` positions from `from` to `to`, which is less, in every layer and head. `turn` changes a key on the way, given
    /// its layer; `row` is room for one, \[Dh\]. What is rounded is rounded again.
    pub fn shift(&mut self, [from, to, n]: [usize; 3], row: &mut [f32], turn: &mut dyn FnMut(usize, &mut [f32])) {
        let of_head = self.of_head();
        for head in 0..self.n_heads {
            for i in 0..n {
                let place = |position: usize| (head * of_head + position / TILE, position % TILE);
                let ((old, old_p), (new, new_p)) = (place(from + i), place(to + i));
                load(&self.keys, Order::Keys, old, old_p, row);
                turn(head / self.n_head_kv, row);
                store(&mut self.keys, Order::Keys, new, new_p, row);
                load(&self.values, Order::Values, old, old_p, row);
                store(&mut self.values, Order::Values, new, new_p, row);
            }
        }
    }
}

/// The floats of one position.
fn load(tiles: &Tiles, order: Order, tile: usize, p: usize, out: &mut [f32]) {
    let dh = out.len();
    let start = tile * TILE * dh;
    for (i, out) in out.iter_mut().enumerate() {
        let at = start + order.index(dh, p, i);
        *out = match tiles {
            Tiles::F32(tiles) => tiles[at],
            Tiles::F16(tiles) => f16_to_f32(tiles[at]),
            Tiles::Q8_0(tiles, scales) => {
                let n_blocks = dh.div_ceil(32);
                f32::from(tiles[at]) * scales[tile * TILE * n_blocks + order.index(n_blocks, p, i / 32)]
            }
        };
    }
}
