//! Low-rank adapters: what a model learned after it was made, apart from its weights.
//!
//! A matrix W of a model acts as W + scale · (alpha / r) · B · A, with A \[r × columns\] and B \[rows × r\] of the adapter.
//! Nothing is merged: the products are computed one after the other, so that the weights stay what they are, adapters can be
//! had at any scale and in any number, and without them every bit is as before.
//!
//! # Source
//! E. Hu et al., *LoRA*, <https://arxiv.org/abs/2106.09685>; `build_lora_mm` and `llama_adapter_lora_init_impl` in llama.cpp

use super::weights::Model;
use crate::error::{Error, Result, shown};
use crate::gguf::{Gguf, TensorInfo, hash};
use crate::kernels;
use crate::pool::Pool;
use crate::tensor::{self, Buffer, Tensor, zeros};
use core::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A LoRA, as a GGUF file holds it. Immutable; any number of sessions may share one.
#[derive(Debug)]
pub struct Adapter {
    model: u64,
    hash: u64,
    parts: Vec<Part>,
}

/// What is added to one matrix.
#[derive(Debug)]
struct Part {
    /// As [`name_of`] gives it.
    matrix: u64,
    a: Tensor,
    b: Tensor,
    /// alpha / r, or 1 without an alpha.
    factor: f32,
}

/// What a matrix is found by: the hash of its tensor's name.
pub(super) fn name_of(tensor: &str) -> u64 {
    hash(0, tensor.as_bytes())
}

fn read(file: &[u8], gguf: &Gguf, info: &TensorInfo) -> Result<Tensor> {
    let (columns, rows) = (info.shape[0] as usize, info.shape[1..].iter().product::<u64>() as usize);
    let mut buffer = Buffer::new(info.format, rows, columns)?;
    let bytes = gguf.tensor_bytes(file, info).unwrap_or_default();
    buffer.bytes_mut().copy_from_slice(bytes);
    buffer.pack()
}

impl Adapter {
    /// Reads an adapter for a model: tensors `NAME.lora_a` and `NAME.lora_b` for matrices of layers, and the output.
    ///
    /// # Errors
    /// `Format` where the bytes are no sound GGUF file or no adapter, or one of its shapes does not fit; `Unsupported` for
    /// adapters of anything but a single matrix that the model has; `Limit` where memory does not suffice.
    pub fn load(model: &Model, file: &[u8]) -> Result<Adapter> {
        let gguf = Gguf::parse(file)?;
        if gguf.metadata.str("adapter.type")? != Some("lora") || gguf.tensors.is_empty() {
            return Err(Error::Format("this is no LoRA adapter: its adapter.type is another, or it is empty".into()));
        }
        let alpha = gguf.metadata.f32("adapter.lora.alpha")?.unwrap_or(0.0);
        let mut parts = Vec::new();
        for a in &gguf.tensors {
            let Some(name) = a.name.strip_suffix(".lora_a") else {
                if a.name.strip_suffix(".lora_b").is_some_and(|name| gguf.tensor(&format!("{name}.lora_a")).is_some()) {
                    continue;
                }
                return Err(Error::Unsupported(format!("an adapter cannot have the tensor {}", shown(&a.name))));
            };
            let matrix = model.linear(name_of(name)).filter(|_| !name.ends_with("_exps.weight"));
            let Some([columns, rows]) = matrix.map(|m| [m.weight.columns() as u64, m.weight.rows() as u64]) else {
                return Err(Error::Unsupported(format!("{} is no matrix that adapters can change here", shown(name))));
            };
            let rank = a.shape.get(1).copied().unwrap_or(0);
            let b = gguf.tensor(&format!("{name}.lora_b"));
            match b {
                Some(b) if a.shape == [columns, rank] && b.shape == [rank, rows] => {
                    let factor = if alpha == 0.0 { 1.0 } else { alpha / rank as f32 };
                    let (a, b) = (read(file, &gguf, a)?, read(file, &gguf, b)?);
                    parts.push(Part { matrix: name_of(name), a, b, factor });
                }
                _ => {
                    return Err(Error::Format(format!(
                        "the adapter does not fit {}, or lacks its second half",
                        shown(name)
                    )));
                }
            }
        }
        Ok(Adapter { model: model.hash, hash: hash(0, file), parts })
    }
}

/// The inputs of matrices, and the adapters that see them.
#[derive(Debug)]
pub struct Inputs {
    quantized: tensor::Inputs,
    pub(super) adapters: Vec<(Arc<Adapter>, f32)>,
    /// A · x, and room for its quants.
    low: (Vec<f32>, Option<tensor::Inputs>),
    /// B · A · x.
    change: Vec<f32>,
}

impl Deref for Inputs {
    type Target = tensor::Inputs;

    fn deref(&self) -> &tensor::Inputs {
        &self.quantized
    }
}

impl DerefMut for Inputs {
    fn deref_mut(&mut self) -> &mut tensor::Inputs {
        &mut self.quantized
    }
}

impl Inputs {
    /// For up to `n` values, without adapters.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub(super) fn new(n: usize) -> Result<Inputs> {
        Ok(Inputs {
            quantized: tensor::Inputs::new(n)?,
            adapters: Vec::new(),
            low: (Vec::new(), None),
            change: Vec::new(),
        })
    }

    /// Puts adapters, each with its scale, in place of those there were. Makes room for batches of `n_batch` tokens.
    ///
    /// # Errors
    /// `Argument` for an adapter of another model or a scale that is no number; `Limit` where memory does not suffice. Those
    /// that were there then stay.
    pub(super) fn adapt(&mut self, model: &Model, n_batch: usize, adapters: Vec<(Arc<Adapter>, f32)>) -> Result<()> {
        let (mut most_low, mut most_rows) = (0, 0);
        for (adapter, scale) in &adapters {
            if adapter.model != model.hash || !scale.is_finite() {
                return Err(Error::Argument("an adapter is of another model, or its scale is no number".into()));
            }
            for part in &adapter.parts {
                most_low = part.a.rows().max(most_low);
                most_rows = part.b.rows().max(most_rows);
            }
        }
        let low = zeros(n_batch * most_low)?;
        self.low.1 = Some(tensor::Inputs::new(low.len())?);
        self.change = zeros(n_batch * most_rows)?;
        (self.low.0, self.adapters) = (low, adapters);
        Ok(())
    }

    /// Adds to the products of a matrix with `x` what the adapters make of them, one after the other.
    pub(super) fn add_changes(&mut self, matrix: u64, out: &mut [f32], x: &[f32], pool: &Pool) {
        let Inputs { quantized, adapters, low: (low, Some(low_inputs)), change } = self else { return };
        for (adapter, scale) in adapters {
            for part in adapter.parts.iter().filter(|part| part.matrix == matrix) {
                let low = &mut low[..x.len() / part.a.columns() * part.a.rows()];
                let change = &mut change[..out.len()];
                part.a.matmul(low, x, quantized, pool);
                low_inputs.changed();
                part.b.matmul(change, low, low_inputs, pool);
                kernels::add_scaled(out, *scale * part.factor, change);
            }
        }
    }

    /// A number that tells these adapters and their scales from others; `state` where there are none.
    pub(super) fn hash(&self, state: u64) -> u64 {
        self.adapters
            .iter()
            .fold(state, |state, (adapter, scale)| hash(state ^ adapter.hash, &scale.to_bits().to_le_bytes()))
    }
}
