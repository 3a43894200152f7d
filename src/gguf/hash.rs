//! A number that tells files apart.

/// Goes on from `state` over `bytes`, eight at a time, little-endian, the last ones filled up with zeros:
/// h ← (h ⊕ word) · odd, then h ← h ⊕ h / 2³²; at last the length, as a word.
///
/// Damage within one word is always seen, other damage but once in 2⁶⁴. It keeps files apart and does not defend against
/// who wants two of them to look alike.
pub fn hash(state: u64, bytes: &[u8]) -> u64 {
    let step = |state: u64, word: u64| {
        let h = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^ h >> 32
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words.iter().fold(state, |state, word| step(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(step(state, u64::from_le_bytes(last)), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn it_is_for_all_times_and_sees_every_changed_bit() {
        let bytes: Vec<u8> = (0..21).collect();
        let want = hash(0, &bytes);
        assert_eq!(want, 7_065_149_838_076_528_718);
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(0, &changed), want, "{bit}");
        }
        assert_ne!(hash(0, &bytes[..20]), hash(0, &[&bytes[..20], &[0]].concat()));
    }
}
