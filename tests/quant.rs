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
use common::made::blocks::{scale_bits, set_scale};
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
];

/// The fingerprint of what gguf-py makes of [`generated`] bytes, as `tests/fixtures/formats.py` prints them.
const GENERATED: &[(Format, u64)] = &[
    (Format::Q4_0, 0x0129_1159_7a79_c4c6),
    (Format::Q4_1, 0xa6f3_cd7a_72a8_ebec),
    (Format::Q5_0, 0x2a56_59c4_d61b_75b9),
    (Format::Q5_1, 0x7edf_f4c3_4248_a77d),
    (Format::Q8_0, 0xdf90_f1de_d507_2c6e),
    (Format::Q2_K, 0x851b_7619_6287_cb83),
    (Format::Q3_K, 0xebf2_d607_d7f8_038e),
    (Format::Q4_K, 0xe7ce_ffc0_0037_c9ac),
    (Format::Q5_K, 0x6fdb_4440_d229_38f3),
    (Format::Q6_K, 0x5f6d_576f_f17b_910a),
    (Format::IQ2_XXS, 0x2a0b_224f_0b0b_89d0),
    (Format::IQ2_XS, 0x9e1d_ff48_3803_f355),
    (Format::IQ3_XXS, 0xaeb3_60bf_1c1d_bdea),
    (Format::IQ1_S, 0xce94_c8c2_308d_b490),
    (Format::IQ4_NL, 0x78d9_b086_bb60_bbf2),
    (Format::IQ3_S, 0x9ce6_97f7_7e4e_c910),
    (Format::IQ2_S, 0xea89_6f9e_4435_f599),
    (Format::IQ4_XS, 0xe7bf_499e_5963_409c),
    (Format::IQ1_M, 0xf448_9dde_d19c_4fd5),
    (Format::TQ1_0, 0x9480_5323_f2ab_dddd),
    (Format::TQ2_0, 0x75d4_9870_453a_a49e),
    (Format::MXFP4, 0xe500_925c_4d59_960c),
    (Format::NVFP4, 0x4025_d6a9_f767_0ffc),
    (Format::Q1_0, 0x0d36_fdd3_db8a_8da5),
    (Format::Q2_0, 0x5743_3a59_8dbe_2256),
];

/// The fingerprint of what gguf-py makes of [`values`], printed by the same script.
const QUANTIZED: &[(Format, u64)] = &[
    (Format::F16, 0x31e6_68c4_329e_9153),
    (Format::BF16, 0x88d9_2161_89cb_6495),
    (Format::Q4_0, 0xd0c4_0c18_fa76_1b62),
    (Format::Q4_1, 0x83ad_4e13_045d_9b2f),
    (Format::Q5_0, 0xab76_0640_2914_95c4),
    (Format::Q5_1, 0xf1f7_0e5b_2a1e_b273),
    (Format::Q8_0, 0x1aae_e1cd_56df_19d9),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (format, floats) in GENERATED {
        let test = format!("generated_{}_becomes_the_same_floats", format.name().to_lowercase());
        trials.push(Trial::test(test, || {
            let row = format.row();
            let mut got = vec![f32::NAN; BLOCKS * row.block_len];
            format.dequantize(&generated(row), &mut got);
            let bytes: Vec<u8> = got.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!(fingerprint(&bytes), *floats);
            Ok(())
        }));
    }
    for (format, bytes) in QUANTIZED {
        let test = format!("generated_floats_become_the_same_{}", format.name().to_lowercase());
        trials.push(Trial::test(test, || {
            let values = values();
            let mut got = vec![0; format.bytes_for(values.len() as u64).unwrap() as usize];
            format.quantizer().unwrap()(&values, &mut got);
            assert_eq!(fingerprint(&got), *bytes);
            Ok(())
        }));
    }
    trials.push(Trial::test("every_format_of_blocks_has_a_fingerprint", || {
        let blocks = FORMATS.iter().filter(|row| row.block_len > 1);
        assert!(blocks.map(|row| row.format).eq(GENERATED.iter().map(|row| row.0)));
        Ok(())
    }));
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

const BLOCKS: usize = 256;

/// Blocks of bytes from a small generator, none of their scales infinite, and the first ones extreme; of the formats whose
/// scales are a byte, every byte.
fn generated(row: &FormatRow) -> Vec<u8> {
    const EXTREMES: [u16; 8] = [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff];
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..BLOCKS * row.block_bytes).map(|_| byte()).collect();
    for (i, block) in bytes.chunks_exact_mut(row.block_bytes).enumerate() {
        match row.format {
            Format::MXFP4 => block[0] = i as u8,
            Format::NVFP4 => (0..4).for_each(|n| block[n] = (4 * i + n) as u8),
            _ => (0..2).for_each(|n| {
                let random = scale_bits(row.name, block, n);
                let finite = if random & 0x7c00 == 0x7c00 { random & 0xbfff } else { random };
                set_scale(row.name, block, n, EXTREMES.get(i + 3 * n).copied().unwrap_or(finite));
            }),
        }
    }
    bytes
}

/// Blocks of 32 floats from a small generator, of sizes that f16 can hold and of such that it cannot; the first block is
/// zeros, the second all the same.
fn values() -> Vec<f32> {
    let mut state = 1u32;
    let value = |i: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match i / 32 {
            0 => 0.0,
            1 => 1.5,
            block => ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * 2f32.powi(block as i32 % 21 - 14),
        }
    };
    (0..32 * BLOCKS).map(value).collect()
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
    format.dequantize(&file(format, "bin"), &mut got);
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
    format.quantizer().unwrap()(&input, &mut got);
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
