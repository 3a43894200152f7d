//! Weight formats: how a block of numbers is stored in a file, and what floats it stands for.
//!
//! [`FORMATS`] is the one table of formats. All of them can be read; some can be written. Nothing here is fast and nothing
//! here knows what the numbers are for: it is the plain meaning of the bytes, and the oracle of everything that packs or
//! multiplies them.

mod codes;
pub mod float;
mod grids;
mod q4_0;
mod q6_k;
mod q8_0;
mod runs;
mod search;
mod write;
mod write_k;

pub use codes::Codebook;
pub use q4_0::BlockQ4_0;
pub use q6_k::BlockQ6K;
pub use q8_0::BlockQ8_0;
pub use runs::{run_of, value};
pub use write_k::Search;

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
    NVFP4 = 40,
    Q1_0 = 41,
    Q2_0 = 42,
}

/// Floats to blocks: `block_len × n` floats in, `block_bytes × n` bytes out.
pub type Quantize = fn(&[f32], &mut [u8]);

/// One row of [`FORMATS`]: the shape of a block.
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
}

const fn row(format: Format, name: &'static str, block_len: usize, block_bytes: usize) -> FormatRow {
    FormatRow { format, name, block_len, block_bytes }
}

/// Every format that weights may have in a GGUF file, in the order of their ids.
pub static FORMATS: &[FormatRow] = &[
    row(Format::F32, "F32", 1, 4),
    row(Format::F16, "F16", 1, 2),
    row(Format::Q4_0, "Q4_0", 32, 18),
    row(Format::Q4_1, "Q4_1", 32, 20),
    row(Format::Q5_0, "Q5_0", 32, 22),
    row(Format::Q5_1, "Q5_1", 32, 24),
    row(Format::Q8_0, "Q8_0", 32, 34),
    row(Format::Q2_K, "Q2_K", 256, 84),
    row(Format::Q3_K, "Q3_K", 256, 110),
    row(Format::Q4_K, "Q4_K", 256, 144),
    row(Format::Q5_K, "Q5_K", 256, 176),
    row(Format::Q6_K, "Q6_K", 256, 210),
    row(Format::IQ2_XXS, "IQ2_XXS", 256, 66),
    row(Format::IQ2_XS, "IQ2_XS", 256, 74),
    row(Format::IQ3_XXS, "IQ3_XXS", 256, 98),
    row(Format::IQ1_S, "IQ1_S", 256, 50),
    row(Format::IQ4_NL, "IQ4_NL", 32, 18),
    row(Format::IQ3_S, "IQ3_S", 256, 110),
    row(Format::IQ2_S, "IQ2_S", 256, 82),
    row(Format::IQ4_XS, "IQ4_XS", 256, 136),
    row(Format::IQ1_M, "IQ1_M", 256, 56),
    row(Format::BF16, "BF16", 1, 2),
    row(Format::TQ1_0, "TQ1_0", 256, 54),
    row(Format::TQ2_0, "TQ2_0", 256, 66),
    row(Format::MXFP4, "MXFP4", 32, 17),
    row(Format::NVFP4, "NVFP4", 64, 36),
    row(Format::Q1_0, "Q1_0", 128, 18),
    row(Format::Q2_0, "Q2_0", 64, 18),
];

impl Format {
    /// The format with this ggml type id, if there is one.
    pub fn from_id(id: u32) -> Option<Format> {
        FORMATS.iter().find(|row| row.format as u32 == id).map(|row| row.format)
    }

    /// The name of a ggml type that has an id and a size and is no format of weights: of activations, or of plain numbers.
    pub fn other_name(id: u32) -> Option<&'static str> {
        const OTHERS: [(u32, &str); 7] =
            [(9, "Q8_1"), (15, "Q8_K"), (24, "I8"), (25, "I16"), (26, "I32"), (27, "I64"), (28, "F64")];
        OTHERS.iter().find(|other| other.0 == id).map(|other| other.1)
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

    /// Turns blocks to floats: `block_bytes × n` bytes in, `block_len × n` floats out.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Format::F32 => float::dequantize_f32(bytes, out),
            Format::F16 => float::dequantize_f16(bytes, out),
            Format::BF16 => float::dequantize_bf16(bytes, out),
            Format::Q4_0 => q4_0::dequantize(bytes, out),
            Format::Q8_0 => q8_0::dequantize(bytes, out),
            _ => runs::dequantize(self, bytes, out),
        }
    }

    /// What turns floats to blocks of this format; `None`: this engine cannot write it. Not in the table, so that a
    /// build that writes nothing leaves it out.
    pub fn quantizer(self) -> Option<Quantize> {
        match self {
            Format::F32 => Some(float::quantize_f32),
            Format::F16 => Some(float::quantize_f16),
            Format::BF16 => Some(float::quantize_bf16),
            Format::Q4_0 => Some(q4_0::quantize),
            Format::Q4_1 => Some(write::q4_1),
            Format::Q5_0 => Some(write::q5_0),
            Format::Q5_1 => Some(write::q5_1),
            Format::Q8_0 => Some(q8_0::quantize),
            _ => None,
        }
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
