//! Importance matrices: how much each column of a matrix matters, as llama.cpp's `imatrix` measures it.

use anyhow::{Context, Result, bail};
use pagelm::gguf::{Gguf, TensorInfo};
use pagelm::quant::Format;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// For each matrix the mean square of what its columns were multiplied by; of several matrices above each other, one row each.
#[derive(Debug)]
pub struct Imatrix(BTreeMap<String, Vec<f32>>);

impl Imatrix {
    /// Reads either of llama.cpp's formats.
    ///
    /// # Source
    /// `load_imatrix` and `load_legacy_imatrix` in llama.cpp's `tools/quantize/quantize.cpp`
    pub fn read(path: &Path) -> Result<Imatrix> {
        let name = || path.display().to_string();
        let bytes = fs::read(path).with_context(name)?;
        let entries = if bytes.starts_with(b"GGUF") { from_gguf(&bytes) } else { from_dat(&bytes) };
        let entries = entries.with_context(|| format!("{}: no importance matrix", name()))?;
        if entries.is_empty() {
            bail!("{}: no importance matrix", name());
        }
        Ok(Imatrix(entries))
    }

    /// The weights of a matrix's columns, none of them 0; `None` where it has none, or none that fit.
    pub fn of(&self, tensor: &TensorInfo) -> Option<Vec<f32>> {
        let weights = self.0.get(&tensor.name)?;
        let n_matrices = tensor.shape.get(2).copied().unwrap_or(1);
        let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / weights.len() as f64;
        let fits = weights.len() as u64 == tensor.shape[0] * n_matrices && mean > 0.0 && mean.is_finite();
        // What was never multiplied by anything still has a value to keep.
        let floor = (mean * 1e-6) as f32;
        fits.then(|| weights.iter().map(|w| w.max(floor)).collect())
    }
}

/// Tensors `NAME.in_sum2` and `NAME.counts`: sums of squares, and of how many.
fn from_gguf(file: &[u8]) -> Result<BTreeMap<String, Vec<f32>>> {
    let gguf = Gguf::parse(file)?;
    let floats = |name: String| {
        let tensor = gguf.tensor(&name).filter(|tensor| tensor.format == Format::F32)?;
        let mut values = vec![0.0; tensor.n_elements() as usize];
        Format::F32.dequantize(gguf.tensor_bytes(file, tensor)?, &mut values);
        Some(values)
    };
    let mut entries = BTreeMap::new();
    for tensor in &gguf.tensors {
        let Some(name) = tensor.name.strip_suffix(".in_sum2") else { continue };
        let (Some(mut sums), Some(counts)) = (floats(tensor.name.clone()), floats(format!("{name}.counts"))) else {
            bail!("{name} has sums without counts");
        };
        let columns = sums.len() / counts.len().max(1);
        for (sums, count) in sums.chunks_mut(columns.max(1)).zip(&counts) {
            sums.iter_mut().for_each(|sum| *sum /= count.max(1.0));
        }
        entries.insert(name.to_owned(), sums);
    }
    Ok(entries)
}

/// The older format, little-endian: how many entries; for each the length of its name, the name, how many calls, how many
/// values, and the values, to be divided by the calls.
fn from_dat(mut bytes: &[u8]) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut entries = BTreeMap::new();
    for _ in 0..count(&mut bytes)? {
        let length = count(&mut bytes)?;
        let name = String::from_utf8(take(&mut bytes, length)?.to_vec())?;
        let calls = count(&mut bytes)?.max(1);
        let n = count(&mut bytes)?;
        let values = take(&mut bytes, n.saturating_mul(4))?;
        let value = |raw: &[u8; 4]| f32::from_le_bytes(*raw) / calls as f32;
        entries.insert(name, values.as_chunks::<4>().0.iter().map(value).collect());
    }
    Ok(entries)
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(n).context("it ends too early")?;
    *bytes = rest;
    Ok(taken)
}

fn count(bytes: &mut &[u8]) -> Result<usize> {
    let raw = take(bytes, 4)?.first_chunk().context("it ends too early")?;
    usize::try_from(i32::from_le_bytes(*raw)).context("a count below 0")
}
