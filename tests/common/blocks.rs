//! Where the blocks of each format have their scales, for random blocks that are to be tame, or extreme on purpose.

/// A format's name; where its blocks hold f16 bits, and by what the first is multiplied to be those, so that values lie
/// around zero; and the largest value of a block whose first scale is 1, about.
type Row = (&'static str, &'static [(usize, f32)], f32);

const SCALES: &[Row] = &[
    ("Q4_0", &[(0, 1.0)], 8.0),
    ("Q4_1", &[(0, 1.0), (2, -7.5)], 7.5),
    ("Q5_0", &[(0, 1.0)], 16.0),
    ("Q5_1", &[(0, 1.0), (2, -15.5)], 15.5),
    ("Q8_0", &[(0, 1.0)], 128.0),
    ("Q2_K", &[(80, 1.0), (82, 1.5)], 23.0),
    ("Q3_K", &[(108, 1.0)], 128.0),
    ("Q4_K", &[(0, 1.0), (2, 7.5)], 470.0),
    ("Q5_K", &[(0, 1.0), (2, 15.5)], 970.0),
    ("Q6_K", &[(208, 1.0)], 4096.0),
    ("IQ2_XXS", &[(0, 1.0)], 167.0),
    ("IQ2_XS", &[(0, 1.0)], 167.0),
    ("IQ3_XXS", &[(0, 1.0)], 480.0),
    ("IQ1_S", &[(0, 1.0)], 17.0),
    ("IQ4_NL", &[(0, 1.0)], 127.0),
    ("IQ3_S", &[(0, 1.0)], 465.0),
    ("IQ2_S", &[(0, 1.0)], 167.0),
    ("IQ4_XS", &[(0, 1.0)], 4064.0),
    ("IQ1_M", &[], 17.0),
    ("TQ1_0", &[(52, 1.0)], 1.0),
    ("TQ2_0", &[(64, 1.0)], 2.0),
    ("MXFP4", &[], 12.0),
    ("NVFP4", &[], 12.0),
    ("Q1_0", &[(0, 1.0)], 1.0),
    ("Q2_0", &[(0, 1.0)], 2.0),
];

fn row(format: &str) -> &'static Row {
    SCALES.iter().find(|row| row.0 == format).unwrap_or_else(|| panic!("no scales are known of {format}"))
}

/// The bits at the place of scale number `i`; of IQ1_M, whose scale is in four parts, those of its first two bytes.
pub fn scale_bits(format: &str, block: &[u8], i: usize) -> u16 {
    let at = row(format).1.get(i).map_or(0, |(at, _)| *at);
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// Sets scale number `i` (of f16 bits) of a block, if its format has that many: true.
pub fn set_scale(format: &str, block: &mut [u8], i: usize, bits: u16) -> bool {
    if (format, i) == ("IQ1_M", 0) {
        for part in 0..4 {
            let byte = &mut block[49 + 2 * part];
            *byte = *byte & 15 | ((bits >> (4 * part) & 15) << 4) as u8;
        }
        return true;
    }
    let Some((at, _)) = row(format).1.get(i) else { return false };
    block[*at..at + 2].copy_from_slice(&bits.to_le_bytes());
    true
}

/// Sets the scales of a random block so that its largest values are about `size`. `to_f16` rounds to f16 bits.
pub fn tame(format: &str, block: &mut [u8], size: f32, to_f16: fn(f32) -> u16) {
    let (_, scales, largest) = row(format);
    let d = size / largest;
    // The exponent of d: of MXFP4 a scale is nothing else, and of NVFP4 the upper part.
    let exponent = (d.to_bits() >> 23) as i32 - 127;
    match format {
        "IQ1_M" => _ = set_scale(format, block, 0, to_f16(d)),
        "MXFP4" => block[0] = (exponent + 128) as u8,
        "NVFP4" => block[..4].iter_mut().for_each(|b| *b = *b & 7 | ((exponent + 8).clamp(0, 14) as u8) << 3),
        _ => scales.iter().enumerate().for_each(|(i, (_, factor))| _ = set_scale(format, block, i, to_f16(d * factor))),
    }
}
