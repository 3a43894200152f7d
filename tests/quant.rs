//! Weight formats against vectors that ggml made: the same floats from the same bytes, and the same bytes from the same
//! floats.
//!
//! The vectors are not part of this repository; where they are missing, a test is reported as ignored, by name. Two
//! things about them: the floats recorded for the formats with f16 scales are all zero (ggml converts f16 by a table
//! that was not filled yet), and the bytes recorded for Q4_0 come from ggml's search with importance weights, not from
//! its plain rounding, which is what this engine does. So gguf-py's conversions of the same vectors are the second
//! reference: its results are kept here as fingerprints.
//!
//! # Source
//! `gguf.quants` of <https://pypi.org/project/gguf/0.19.0/>

mod common;

use common::data::{floats, needs, read};
use libtest_mimic::{Arguments, Trial};
use pagelm::quant::{FORMATS, Format, FormatRow};
use std::process::ExitCode;

/// A format's name in the vectors, and the fingerprints of what gguf-py makes of them: the floats of the recorded bytes,
/// and the bytes of the recorded input. `None`: not written by this engine.
const REFERENCES: &[(Format, u64, Option<u64>)] = &[
    (Format::F16, 0x3d89_b7be_fd82_36e5, Some(0x4785_a245_a7ed_3dc1)),
    (Format::BF16, 0x7f96_d0c9_b0c7_3dcf, None),
    (Format::Q4_0, 0xcf6e_721c_b950_c3c2, Some(0x63b5_533d_b450_affe)),
    (Format::Q8_0, 0x0741_9449_eb23_61f4, Some(0xc293_1e4c_fdae_a58e)),
    (Format::Q4_1, 0xef84_f81a_663a_bf1e, None),
    (Format::Q5_0, 0x7695_732b_7089_5c8d, None),
    (Format::Q5_1, 0xabbc_0ffe_beac_14b2, None),
    // Q4_K [Errno 2] No such file or directory: '/work/shared/quant-vectors/q4_k.bin'
    // Q5_K [Errno 2] No such file or directory: '/work/shared/quant-vectors/q5_k.bin'
    // Q6_K [Errno 2] No such file or directory: '/work/shared/quant-vectors/q6_k.bin'
    // IQ4_NL [Errno 2] No such file or directory: '/work/shared/quant-vectors/iq4_nl.bin'
];

/// Formats without a recorded vector: where a block has its f16 scales, and the fingerprint of what gguf-py makes of
/// [`generated`] bytes.
const GENERATED: &[(Format, &[usize], u64)] = &[
    (Format::Q4_K, &[0, 2], 0x71b2_2d65_c973_df50),
    (Format::Q5_K, &[0, 2], 0xfc1f_78e4_927c_5774),
    (Format::Q6_K, &[208], 0x5db2_80f1_dd06_44cf),
    (Format::IQ4_NL, &[0], 0x4095_e45a_6d60_2b70),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (format, scales_at, floats) in GENERATED {
        let test = format!("generated_{}_becomes_the_same_floats", format.name().to_lowercase());
        trials.push(Trial::test(test, || {
            let row = format.row();
            let mut got = vec![f32::NAN; BLOCKS * row.block_len];
            row.dequantize.unwrap()(&generated(row, scales_at), &mut got);
            let bytes: Vec<u8> = got.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!(fingerprint(&bytes), *floats);
            Ok(())
        }));
    }
    for (format, floats, bytes) in REFERENCES {
        let name = format.name().to_lowercase();
        let [bin, dequant] = ["bin", "dequant.f32"].map(|end| format!("quant-vectors/{name}.{end}"));
        let test = format!("{name}_becomes_the_same_floats");
        trials.push(needs(&[&bin, &dequant], &test, || dequantizes(*format, *floats)));
        if let Some(bytes) = bytes {
            let test = format!("floats_become_the_same_{name}");
            trials.push(needs(&["quant-vectors/input.f32", &bin], &test, || quantizes(*format, *bytes)));
        }
    }
    trials.push(needs(&["quant-vectors/index.tsv"], "the_table_of_formats_is_that_of_ggml", table));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const BLOCKS: usize = 64;

/// Blocks of bytes from a small generator, the exponents of their scales short of infinity.
fn generated(row: &FormatRow, scales_at: &[usize]) -> Vec<u8> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..BLOCKS * row.block_bytes).map(|_| byte()).collect();
    for block in bytes.chunks_exact_mut(row.block_bytes) {
        scales_at.iter().for_each(|at| block[at + 1] &= 0xbb);
    }
    bytes
}

fn file(format: Format, end: &str) -> Vec<u8> {
    read(&format!("quant-vectors/{}.{end}", format.name().to_lowercase()))
}

/// FNV-1a in 64 bits.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn dequantizes(format: Format, reference: u64) {
    let recorded = floats(&file(format, "dequant.f32"));
    let mut got = vec![f32::NAN; recorded.len()];
    format.row().dequantize.unwrap()(&file(format, "bin"), &mut got);
    let bytes: Vec<u8> = got.iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(fingerprint(&bytes), reference);
    if recorded.iter().any(|x| *x != 0.0) {
        for (i, (got, want)) in got.iter().zip(&recorded).enumerate() {
            assert_eq!(got.to_bits(), want.to_bits(), "value {i}: {got} in place of {want}");
        }
    }
}

fn quantizes(format: Format, reference: u64) {
    let (input, recorded) = (floats(&read("quant-vectors/input.f32")), file(format, "bin"));
    let mut got = vec![0; recorded.len()];
    format.row().quantize.unwrap()(&input, &mut got);
    assert_eq!(fingerprint(&got), reference);
    if format != Format::Q4_0 {
        let block_bytes = format.row().block_bytes;
        for (i, (got, want)) in got.chunks(block_bytes).zip(recorded.chunks(block_bytes)).enumerate() {
            assert_eq!(got, want, "block {i}");
        }
    }
}

/// Ids and block sizes of all formats that the index lists.
fn table() {
    let index = String::from_utf8(read("quant-vectors/index.tsv")).unwrap();
    let mut n = 0;
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |i: usize| columns[i].parse::<usize>().unwrap();
        let row: &FormatRow =
            FORMATS.iter().find(|row| row.name.eq_ignore_ascii_case(columns[0])).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((row.format as usize, row.block_len, row.block_bytes), (number(1), number(2), number(3)), "{line}");
        n += 1;
    }
    assert!(n >= 20);
}
