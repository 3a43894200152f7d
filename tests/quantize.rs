//! The search behind the K formats, against what ggml's leaves of the same values.

#[path = "common/made.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod made;

use made::noise;
use pagelm::quant::{FORMATS, Format};

/// The root mean square error of each format over [`values`] as `llama-quantize --pure` of llama.cpp (llama-cpp-python 0.3.36)
/// writes it.
const GGML: [(Format, f64); 7] = [
    (Format::Q2_K, 0.033_093_298),
    (Format::Q3_K, 0.016_803_951),
    (Format::Q4_K, 0.007_882_163),
    (Format::Q5_K, 0.003_998_777),
    (Format::Q6_K, 0.001_950_392),
    (Format::IQ4_NL, 0.008_458_347),
    (Format::IQ4_XS, 0.008_511_281),
];

/// 64 rows of 256, each value the sum of four numbers between −0.1 and 0.1: nearly normal.
fn values() -> Vec<f32> {
    noise(4 * 64 * 256, 0.1, 11).chunks_exact(4).map(|n| n[0] + n[1] + n[2] + n[3]).collect()
}

fn again(format: Format, values: &[f32], weights: Option<&[f32]>) -> Vec<f32> {
    let row = format.row();
    let mut bytes = vec![0xa5; values.len() / row.block_len * row.block_bytes];
    assert!(format.quantize(values, weights, &mut bytes));
    let mut again = vec![0.0; values.len()];
    format.dequantize(&bytes, &mut again);
    again
}

fn error(a: &[f32], b: &[f32], of: impl Fn(usize) -> bool) -> f64 {
    let squares = || a.iter().zip(b).enumerate().filter(|(i, _)| of(*i)).map(|(_, (a, b))| f64::from(a - b).powi(2));
    (squares().sum::<f64>() / squares().count() as f64).sqrt()
}

#[test]
fn the_error_is_at_most_ggmls() {
    let values = values();
    for (format, ggml) in GGML {
        let error = error(&values, &again(format, &values, None), |_| true);
        println!("{}: {:.4} of ggml's", format.name(), error / ggml);
        assert!(error <= ggml, "{}: {error} for {ggml}", format.name());
    }
}

#[test]
fn weights_move_the_error_to_where_it_does_not_matter() {
    let values = values();
    let matters = |i: usize| i.is_multiple_of(8);
    let weights: Vec<f32> = (0..values.len()).map(|i| if matters(i) { 100.0 } else { 1.0 }).collect();
    for (format, _) in GGML {
        let [plain, weighted] = [None, Some(&weights[..])].map(|weights| again(format, &values, weights));
        let [before, after] = [&plain, &weighted].map(|again| error(&values, again, matters));
        assert!(after < 0.97 * before, "{}: {after} for {before}", format.name());
        assert!(error(&values, &weighted, |_| true) > error(&values, &plain, |_| true), "{}", format.name());
    }
}

#[test]
fn whatever_the_values_blocks_are_sound() {
    let ramp: Vec<f32> = (0..256).map(|i| i as f32 / 256.0).collect();
    let cases: [Vec<f32>; 8] = [
        vec![0.0; 256],
        vec![1.0; 256],
        vec![-3.5; 256],
        ramp.clone(),
        ramp.iter().map(|x| -x).collect(),
        [vec![0.0; 255], vec![1000.0]].concat(),
        noise(256, 1e-7, 3),
        noise(256, 60_000.0, 4),
    ];
    for format in FORMATS.iter().map(|row| row.format).filter(|format| format.search().is_some()) {
        for (i, values) in cases.iter().enumerate() {
            let again = again(format, values, None);
            let largest = values.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            let worst = values.iter().zip(&again).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst <= 0.4 * largest + 1e-6, "{} case {i}: {worst} of {largest}", format.name());
        }
        assert_eq!(again(format, &cases[0], Some(&[0.0; 256])), cases[0], "{}", format.name());
    }
    assert!(!Format::IQ2_XXS.quantize(&ramp, None, &mut [0; 66]));
    let mut bytes = [0; 512];
    assert!(Format::F16.quantize(&ramp, Some(&ramp), &mut bytes));
}
