//! Weight formats: how a block of numbers is stored in a file, and what floats it stands for.
//!
//! [`FORMATS`] is the one table of formats. A format that can be run has a `dequantize`; one that can be written has a
//! `quantize`. Nothing here is fast and nothing here knows what the numbers are for: it is the plain meaning of the
//! bytes, and the oracle of everything that packs or multiplies them.

pub mod float;
mod q4_0;
mod q6_k;
mod q8_0;
mod runs;

pub use q4_0::BlockQ4_0;
pub use q6_k::BlockQ6K;
pub use q8_0::BlockQ8_0;
pub use runs::{run_of, value};

/// A tensor's element format, named as ggml names it. The discriminant is ggml's type id, as stored in GGUF files.
///
/// # Source
/// `enum ggml_type`, <https://github.com/ggml-org/ggml/blob/master/include/ggml.h>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[allow(missing_docs, non_camel_case_types, reason = "the names are ggml's own")]
pub enum Format {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
}

/// Blocks to floats: `block_bytes × n` bytes in, `block_len × n` floats out.
pub type Dequantize = fn(&[u8], &mut [f32]);
/// Floats to blocks, the reverse.
pub type Quantize = fn(&[f32], &mut [u8]);

/// One row of [`FORMATS`]: the shape of a block and how to read and write it.
#[derive(Debug)]
pub struct FormatRow {
    /// Which format this row describes.
    pub format: Format,
    /// ggml's name, as file names and reports spell it.
    pub name: &'static str,
    /// Values in one block.
    pub block_len: usize,
    /// Bytes of one block.
    pub block_bytes: usize,
    /// How it is read; `None`: not supported yet.
    pub dequantize: Option<Dequantize>,
    /// How it is written; `None`: this engine cannot write it.
    pub quantize: Option<Quantize>,
}

const fn row(format: Format, name: &'static str, block_len: usize, block_bytes: usize) -> FormatRow {
    FormatRow { format, name, block_len, block_bytes, dequantize: None, quantize: None }
}

impl FormatRow {
    const fn reads(mut self, dequantize: Dequantize) -> Self {
        self.dequantize = Some(dequantize);
        self
    }

    const fn writes(mut self, quantize: Quantize) -> Self {
        self.quantize = Some(quantize);
        self
    }
}

/// Every format that a GGUF file may name, in the order of their ids.
pub static FORMATS: &[FormatRow] = &[
    row(Format::F32, "F32", 1, 4).reads(float::dequantize_f32).writes(float::quantize_f32),
    row(Format::F16, "F16", 1, 2).reads(float::dequantize_f16).writes(float::quantize_f16),
    row(Format::Q4_0, "Q4_0", 32, 18).reads(q4_0::dequantize).writes(q4_0::quantize),
    row(Format::Q4_1, "Q4_1", 32, 20).reads(|bytes, out| runs::dequantize(Format::Q4_1, bytes, out)),
    row(Format::Q5_0, "Q5_0", 32, 22).reads(|bytes, out| runs::dequantize(Format::Q5_0, bytes, out)),
    row(Format::Q5_1, "Q5_1", 32, 24).reads(|bytes, out| runs::dequantize(Format::Q5_1, bytes, out)),
    row(Format::Q8_0, "Q8_0", 32, 34).reads(q8_0::dequantize).writes(q8_0::quantize),
    row(Format::Q2_K, "Q2_K", 256, 84),
    row(Format::Q3_K, "Q3_K", 256, 110),
    row(Format::Q4_K, "Q4_K", 256, 144).reads(|bytes, out| runs::dequantize(Format::Q4_K, bytes, out)),
    row(Format::Q5_K, "Q5_K", 256, 176).reads(|bytes, out| runs::dequantize(Format::Q5_K, bytes, out)),
    row(Format::Q6_K, "Q6_K", 256, 210).reads(|bytes, out| runs::dequantize(Format::Q6_K, bytes, out)),
    row(Format::IQ2_XXS, "IQ2_XXS", 256, 66),
    row(Format::IQ2_XS, "IQ2_XS", 256, 74),
    row(Format::IQ3_XXS, "IQ3_XXS", 256, 98),
    row(Format::IQ1_S, "IQ1_S", 256, 50),
    row(Format::IQ4_NL, "IQ4_NL", 32, 18).reads(|bytes, out| runs::dequantize(Format::IQ4_NL, bytes, out)),
    row(Format::IQ3_S, "IQ3_S", 256, 110),
    row(Format::IQ2_S, "IQ2_S", 256, 82),
    row(Format::IQ4_XS, "IQ4_XS", 256, 136),
    row(Format::IQ1_M, "IQ1_M", 256, 56),
    row(Format::BF16, "BF16", 1, 2).reads(float::dequantize_bf16),
    row(Format::TQ1_0, "TQ1_0", 256, 54),
    row(Format::TQ2_0, "TQ2_0", 256, 66),
    row(Format::MXFP4, "MXFP4", 32, 17),
];

impl Format {
    /// The format with this ggml type id, if there is one.
    pub fn from_id(id: u32) -> Option<Format> {
        FORMATS.iter().find(|row| row.format as u32 == id).map(|row| row.format)
    }

    /// This format's row of the table.
    pub fn row(self) -> &'static FormatRow {
        match FORMATS.iter().find(|row| row.format == self) {
            Some(row) => row,
            None => &FORMATS[0], // not reached: a test holds that every format has its row
        }
    }

    /// ggml's name for it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Bytes that `n` values take, or `None` where `n` is no whole number of blocks or the product overflows.
    pub fn bytes_for(self, n: u64) -> Option<u64> {
        let row = self.row();
        let block_len = row.block_len as u64;
        if !n.is_multiple_of(block_len) {
            return None;
        }
        (n / block_len).checked_mul(row.block_bytes as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_row_and_ids_ascend() {
        for pair in FORMATS.windows(2) {
            assert!((pair[0].format as u32) < pair[1].format as u32);
        }
        for row in FORMATS {
            assert_eq!(row.format.row().name, row.name);
            assert_eq!(Format::from_id(row.format as u32), Some(row.format));
        }
    }
}
