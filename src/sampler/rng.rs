//! The generator behind every draw: small, seeded by a u32, and the same numbers everywhere.

/// SplitMix64: a counter that steps by an odd constant, and a function that scrambles it.
///
/// Its whole state is one number, so that a generation can be saved and go on with the same draws.
///
/// # Source
/// G. Steele, D. Lea, C. Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014;
/// <https://prng.di.unimi.it/splitmix64.c>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator for a seed.
    pub fn new(seed: u32) -> Rng {
        Rng { state: u64::from(seed) }
    }

    /// The generator that stood at this [`state`](Self::state).
    pub fn from_state(state: u64) -> Rng {
        Rng { state }
    }

    /// All there is to save.
    pub fn state(&self) -> u64 {
        self.state
    }

    /// The next number, uniform over u64.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// The next number, uniform over the multiples of 2⁻⁵³ in [0, 1).
    pub fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // the first outputs of splitmix64.c from the state 1234567
        let mut rng = Rng::new(1_234_567);
        let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| rng.next_u64()), first);
    }

    #[test]
    fn a_saved_state_goes_on() {
        let mut rng = Rng::new(7);
        rng.next_unit();
        let mut restored = Rng::from_state(rng.state());
        assert_eq!(rng.next_u64(), restored.next_u64());
    }

    #[test]
    fn units_fill_the_interval_evenly() {
        let mut rng = Rng::new(0);
        let mut bins = [0; 10];
        for _ in 0..100_000 {
            let unit = rng.next_unit();
            assert!((0.0..1.0).contains(&unit));
            bins[(unit * 10.0) as usize] += 1;
        }
        assert!(bins.iter().all(|n| (9_600..10_400).contains(n)), "{bins:?}");
    }
}
