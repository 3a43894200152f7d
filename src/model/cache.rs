//! The keys and values of all positions so far, allocated once for the whole context.
//!
//! Positions lie in tiles of [`TILE`]; each head's tiles lie side by side, so that attention streams through them. Within
//! a tile keys are \[Dh × TILE\] and values \[TILE × Dh\].

mod moved;

use super::config::Config;
use crate::error::{Error, Result};
use crate::kernels::{self, Activation, TILE};
use crate::quant::float::f32_to_f16;
use crate::tensor::zeros;

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheType {
    /// As they are computed.
    #[default]
    F32,
    /// Rounded to f16, to nearest, ties to even; what is subnormal there stays so, and what is too large for it becomes
    /// NaN. Half the memory.
    F16,
    /// Rounded to 8 bits. Up to 32 values of a head share a scale d = max|x| / 127, kept as f32; each is x · (127 / max)
    /// rounded to nearest, ties to even. Heads of 32, 64, 96 … take 1.125 bytes a value.
    Q8_0,
}

impl CacheType {
    /// The type of this name: `f32`, `f16` or `q8_0`.
    ///
    /// # Errors
    /// `Argument` for any other name.
    pub fn from_name(name: &str) -> Result<CacheType> {
        match name {
            "f32" => Ok(CacheType::F32),
            "f16" => Ok(CacheType::F16),
            "q8_0" => Ok(CacheType::Q8_0),
            _ => Err(Error::Argument("keys and values are kept as f32, f16 or q8_0: choose one of these".into())),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            CacheType::F32 => "f32",
            CacheType::F16 => "f16",
            CacheType::Q8_0 => "q8_0",
        }
    }
}

/// Tiles in one of the types.
#[derive(Debug)]
enum Tiles {
    F32(Vec<f32>),
    F16(Vec<u16>),
    /// Quants, and their scales: a tile of keys has \[Dh/32 × TILE\] of them, a tile of values \[TILE × Dh/32\].
    Q8_0(Vec<i8>, Vec<f32>),
}

impl Tiles {
    /// Room for `n_rows` positions of a head (of all layers and heads together), `head_dim` wide.
    fn new(cache_type: CacheType, n_rows: usize, head_dim: usize) -> Result<Tiles> {
        let n = n_rows.saturating_mul(head_dim);
        Ok(match cache_type {
            CacheType::F32 => Tiles::F32(zeros(n)?),
            CacheType::F16 => Tiles::F16(zeros(n)?),
            CacheType::Q8_0 => Tiles::Q8_0(zeros(n)?, zeros(n_rows.saturating_mul(head_dim.div_ceil(32)))?),
        })
    }
}

/// Where the values of one position lie in its tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// \[Dh × TILE\]
    Keys,
    /// \[TILE × Dh\]
    Values,
}

impl Order {
    /// Index, within a tile `width` wide, of value `i` of position `p`.
    fn index(self, width: usize, p: usize, i: usize) -> usize {
        match self {
            Order::Keys => i * TILE + p,
            Order::Values => p * width + i,
        }
    }
}

/// Keys and values of every layer and head.
#[derive(Debug)]
pub struct KvCache {
    keys: Tiles,
    values: Tiles,
    cache_type: CacheType,
    n_ctx: usize,
    n_head_kv: usize,
    /// Of all layers.
    n_heads: usize,
    head_dim: usize,
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn new(config: &Config, n_ctx: usize, cache_type: CacheType) -> Result<KvCache> {
        let n_rows = n_rows(config, n_ctx).try_into().unwrap_or(usize::MAX);
        let tiles = || Tiles::new(cache_type, n_rows, config.head_dim);
        Ok(KvCache {
            keys: tiles()?,
            values: tiles()?,
            cache_type,
            n_ctx,
            n_head_kv: config.n_head_kv,
            n_heads: (config.n_layer * config.n_head_kv).max(1),
            head_dim: config.head_dim,
        })
    }

    /// Bytes that a cache takes: for each of 2 · layers · K heads, and for n_ctx positions rounded up to whole tiles, Dh
    /// values in their type.
    pub fn bytes_needed(config: &Config, n_ctx: usize, cache_type: CacheType) -> u64 {
        let dh = config.head_dim as u64;
        let row = match cache_type {
            CacheType::F32 => 4 * dh,
            CacheType::F16 => 2 * dh,
            CacheType::Q8_0 => dh + 4 * dh.div_ceil(32),
        };
        n_rows(config, n_ctx).saturating_mul(2 * row)
    }

    /// How many positions it holds.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// How it keeps them.
    pub fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    /// Stores one token's keys and values, each \[K × Dh\]. `position` < n_ctx.
    pub(super) fn store(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let dh = self.head_dim;
        for head in 0..self.n_head_kv {
            let tile = self.tile_index(layer, head, position / TILE);
            let of = head * dh..(head + 1) * dh;
            let p = position % TILE;
            store(&mut self.keys, Order::Keys, tile, p, &keys[of.clone()]);
            store(&mut self.values, Order::Values, tile, p, &values[of]);
        }
    }

    fn tile_index(&self, layer: usize, head: usize, tile: usize) -> usize {
        (layer * self.n_head_kv + head) * self.n_ctx.div_ceil(TILE) + tile
    }

    /// A tile of one head's keys, \[Dh × TILE\]; `room` (as large) is used where they have to be widened.
    pub(super) fn keys<'a>(&'a self, layer: usize, head: usize, tile: usize, room: &'a mut [f32]) -> &'a [f32] {
        widen(&self.keys, Order::Keys, self.tile_index(layer, head, tile), self.head_dim, room)
    }

    /// A tile of one head's values, \[TILE × Dh\]; `room` as for [`keys`](Self::keys).
    pub(super) fn values<'a>(&'a self, layer: usize, head: usize, tile: usize, room: &'a mut [f32]) -> &'a [f32] {
        widen(&self.values, Order::Values, self.tile_index(layer, head, tile), self.head_dim, room)
    }
}

/// Positions of all layers and heads together, in whole tiles.
fn n_rows(config: &Config, n_ctx: usize) -> u64 {
    let heads = config.n_layer as u64 * config.n_head_kv as u64;
    heads.saturating_mul((n_ctx as u64).next_multiple_of(TILE as u64))
}

fn store(tiles: &mut Tiles, order: Order, tile: usize, p: usize, x: &[f32]) {
    let dh = x.len();
    let start = tile * TILE * dh;
    match tiles {
        Tiles::F32(tiles) => {
            let tile = &mut tiles[start..start + TILE * dh];
            x.iter().enumerate().for_each(|(i, x)| tile[order.index(dh, p, i)] = *x);
        }
        Tiles::F16(tiles) => {
            let tile = &mut tiles[start..start + TILE * dh];
            x.iter().enumerate().for_each(|(i, x)| tile[order.index(dh, p, i)] = f32_to_f16(*x));
        }
        Tiles::Q8_0(tiles, scales) => {
            let n_blocks = dh.div_ceil(32);
            let scales = &mut scales[tile * TILE * n_blocks..][..TILE * n_blocks];
            let tile = &mut tiles[start..start + TILE * dh];
            for (b, x) in x.chunks(32).enumerate() {
                let (mut whole, mut block) = ([0.0; 32], Activation::ZERO);
                whole[..x.len()].copy_from_slice(x);
                kernels::quantize_activations(&whole, core::slice::from_mut(&mut block));
                scales[order.index(n_blocks, p, b)] = block.d;
                for (i, q) in block.q[..x.len()].iter().enumerate() {
                    tile[order.index(dh, p, 32 * b + i)] = *q;
                }
            }
        }
    }
}

fn widen<'a>(tiles: &'a Tiles, order: Order, tile: usize, dh: usize, room: &'a mut [f32]) -> &'a [f32] {
    let n = TILE * dh;
    let of = tile * n..(tile + 1) * n;
    match tiles {
        Tiles::F32(tiles) => return &tiles[of],
        Tiles::F16(tiles) => kernels::widen_f16(&mut room[..n], &tiles[of]),
        Tiles::Q8_0(tiles, scales) => {
            let n_scales = TILE * dh.div_ceil(32);
            let scales = &scales[tile * n_scales..(tile + 1) * n_scales];
            match order {
                Order::Keys => kernels::widen_q8_keys(&mut room[..n], &tiles[of], scales),
                Order::Values => kernels::widen_q8_values(&mut room[..n], &tiles[of], scales),
            }
        }
    }
    &room[..n]
}
