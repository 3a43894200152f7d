//! The stages that a choice goes through, each one a formula over the candidates that are left.
//!
//! Write lᵢ for a candidate's logit, l₀ for the largest, and wᵢ = exp(lᵢ − l₀) for its weight, so that its probability
//! is wᵢ / Σ w. Every sum is taken in f64 over the list's order at that time: by id until a stage has sorted it, by
//! falling logit from then on.

use super::ln;
use crate::error::{Error, Result};
use crate::kernels::exp;
use core::f64::consts::LN_2;

/// A token that may still be chosen: id and logit packed into one integer, so that comparing integers compares
/// candidates. The larger logit is less, and of equal logits (0 and −0 are equal) the lower id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate(u64);

impl Candidate {
    fn new(id: u32, logit: f32) -> Candidate {
        let bits = (logit + 0.0).to_bits();
        let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        Candidate(u64::from(!ascending) << 32 | u64::from(id))
    }

    fn id(self) -> u32 {
        self.0 as u32
    }

    fn logit(self) -> f32 {
        let ascending = !((self.0 >> 32) as u32);
        f32::from_bits(if ascending >> 31 == 1 { ascending ^ 1 << 31 } else { !ascending })
    }
}

/// The tokens that may still be chosen. Never empty after [`fill`](Self::fill); reused from call to call.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    /// Whether the best one stands first, the second best next, and so on; else they stand by id.
    sorted: bool,
}

impl Candidates {
    /// Room for a vocabulary.
    pub(super) fn new(n_vocab: usize) -> Candidates {
        Candidates { list: Vec::with_capacity(n_vocab), sorted: false }
    }

    /// Starts anew with every token, by id.
    pub(super) fn fill(&mut self, logits: &[f32]) {
        self.list.clear();
        self.list.extend(logits.iter().enumerate().map(|(id, &logit)| Candidate::new(id as u32, logit)));
        self.sorted = false;
    }

    /// Replaces the logit of a token by `f` of it. Only before any other stage, while the list is by id.
    ///
    /// A finite logit stays finite, so that the weights are defined whatever the penalties.
    pub(super) fn change(&mut self, id: u32, f: impl Fn(f32) -> f32) {
        let candidate = &mut self.list[id as usize];
        let old = candidate.logit();
        let new = if old.is_finite() { f(old).clamp(f32::MIN, f32::MAX) } else { old };
        *candidate = Candidate::new(id, new);
    }

    /// Bars a token, under the same condition.
    pub(super) fn bar(&mut self, id: u32) {
        self.list[id as usize] = Candidate::new(id, f32::NEG_INFINITY);
    }

    /// Leaves out the candidates for which `keep` says no.
    fn retain(&mut self, keep: &mut dyn FnMut(Candidate) -> bool) {
        self.list.retain(|c| keep(*c));
    }

    /// The candidate with the largest logit.
    fn best(&self) -> Candidate {
        match self.list.first() {
            Some(first) if self.sorted => *first,
            _ => self.list.iter().copied().min().unwrap_or(Candidate(0)),
        }
    }

    /// Greedy: the token with the largest logit.
    ///
    /// # Errors
    /// `Argument` where every token is barred.
    pub(super) fn greedy(&self) -> Result<u32> {
        match self.best() {
            best if best.logit() == f32::NEG_INFINITY => Err(Error::Argument("every token is barred".into())),
            best => Ok(best.id()),
        }
    }

    /// Z = Σ w and Σ w · x / Z, the mean of x = (l − l₀) / temperature under the candidates' probabilities w / Z. A
    /// candidate's surprise is ln Z − x, and the entropy ln Z − that mean.
    fn moments(&self, temperature: f32) -> (f64, f64) {
        let best = self.best().logit();
        let (mut z, mut sum) = (0.0, 0.0);
        for candidate in &self.list {
            let (w, x) = (weight(*candidate, best, temperature), f64::from((candidate.logit() - best) / temperature));
            z += w;
            sum += if w > 0.0 { w * x } else { 0.0 };
        }
        (z, sum / z)
    }

    /// Keeps the best candidates, in order, up to the one at which `enough` says so; all where it never does.
    ///
    /// The list becomes a heap and gives up its best one by one, in place: O(n + k log n) for the best k of n. (Of all
    /// ways that do not sort everything this takes the least code: `select_nth_unstable` and `sort_unstable` are 5 KB.)
    fn keep_best(&mut self, enough: &mut dyn FnMut(Candidate) -> bool) {
        let n = self.list.len();
        if self.sorted {
            let kept = self.list.iter().position(|c| enough(*c)).map_or(n, |last| last + 1);
            return self.list.truncate(kept);
        }
        (0..n / 2).rev().for_each(|root| sift_down(&mut self.list, root));
        // list[..heap] is the heap, list[heap..] what it gave up, the best one last
        let mut heap = n;
        while heap > 0 {
            heap -= 1;
            self.list.swap(0, heap);
            sift_down(&mut self.list[..heap], 0);
            if enough(self.list[heap]) {
                break;
            }
        }
        self.list.drain(..heap);
        self.list.reverse();
        self.sorted = true;
    }

    /// Keeps the `k` largest logits. 0 keeps all.
    ///
    /// # Source
    /// A. Fan, M. Lewis, Y. Dauphin, *Hierarchical neural story generation*, <https://arxiv.org/abs/1805.04833>
    pub(super) fn top_k(&mut self, k: usize) {
        if k > 0 && k < self.list.len() {
            let mut left = k;
            self.keep_best(&mut |_| {
                left -= 1;
                left == 0
            });
        }
    }

    /// Keeps the fewest candidates, the most probable first, whose probabilities sum to at least `p`; at least one.
    ///
    /// # Source
    /// A. Holtzman et al., *The curious case of neural text degeneration*, <https://arxiv.org/abs/1904.09751>
    pub(super) fn top_p(&mut self, p: f32) {
        if p >= 1.0 {
            return;
        }
        let best = self.best().logit();
        let enough = f64::from(p) * self.moments(1.0).0;
        let mut sum = 0.0;
        self.keep_best(&mut |c| {
            sum += weight(c, best, 1.0);
            sum >= enough
        });
    }

    /// Keeps the candidates at least `p` times as probable as the best one: wᵢ ≥ p. 0 keeps all.
    ///
    /// # Source
    /// M. Nguyen et al., *Turning up the heat: min-p sampling*, <https://arxiv.org/abs/2407.01082>
    pub(super) fn min_p(&mut self, p: f32) {
        if p <= 0.0 {
            return;
        }
        let best = self.best().logit();
        self.retain(&mut |c| weight(c, best, 1.0) >= f64::from(p));
    }

    /// Keeps the candidates with l ≥ l₀ − n · σ, where σ is the standard deviation of all finite logits. 0 keeps all.
    ///
    /// # Source
    /// C. Tang et al., *Top-nσ: not all logits are you need*, <https://arxiv.org/abs/2411.07641>
    pub(super) fn top_n_sigma(&mut self, n: f32) {
        if n <= 0.0 {
            return;
        }
        let (mut mean, mut variance) = (0.0, 0.0);
        for _ in 0..2 {
            // The first turn finds the mean, the second the variance around it.
            let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
            for l in self.list.iter().map(|c| f64::from(c.logit())).filter(|l| l.is_finite()) {
                count += 1.0;
                sum += l;
                squares += (l - mean) * (l - mean);
            }
            (mean, variance) = (sum / count, squares / count);
        }
        let least = f64::from(self.best().logit()) - f64::from(n) * f64::sqrt(variance);
        self.retain(&mut |c| f64::from(c.logit()) >= least);
    }

    /// Keeps the fewest candidates, those first whose surprise is nearest to the entropy, whose probabilities sum to more
    /// than `p`. 1 keeps all.
    ///
    /// # Source
    /// C. Meister et al., *Locally typical sampling*, <https://arxiv.org/abs/2202.00666>
    pub(super) fn typical(&mut self, p: f32, ranks: &mut Candidates) {
        if p >= 1.0 {
            return;
        }
        let best = self.best().logit();
        let (z, mean) = self.moments(1.0);
        // How far the surprise ln Z − x is from the entropy ln Z − mean; nearer ones rank higher.
        let nearness = |c: Candidate| -(f64::from(c.logit() - best) - mean).abs() as f32;
        let ranked = |i: usize, c: Candidate| Candidate::new(i as u32, nearness(c));
        ranks.list.clear();
        ranks.list.extend(self.list.iter().enumerate().map(|(i, c)| ranked(i, *c)));
        ranks.sorted = false;
        let mut sum = 0.0;
        ranks.keep_best(&mut |c| {
            sum += weight(self.list[c.id() as usize], best, 1.0);
            sum > f64::from(p) * z
        });
        if let Some(last) = ranks.list.last() {
            let mut i = 0;
            self.retain(&mut |c| {
                i += 1;
                ranked(i - 1, c) <= *last
            });
        }
    }

    /// Leaves out the candidates of at least this probability, but for the least probable of them.
    ///
    /// # Source
    /// p-e-w, *Exclude top choices*, <https://github.com/oobabooga/text-generation-webui/pull/6335>
    pub(super) fn xtc(&mut self, threshold: f32) {
        let best = self.best().logit();
        let enough = f64::from(threshold) * self.moments(1.0).0;
        let mut last = Candidate(0);
        for c in self.list.iter().filter(|c| weight(**c, best, 1.0) >= enough) {
            last = last.max(*c);
        }
        if threshold <= 0.5 {
            self.retain(&mut |c| c >= last || weight(c, best, 1.0) < enough);
        }
    }

    /// The temperature between `temperature` − `range` (at least 0) and `temperature` + `range` at which the entropy stands:
    /// least + (most − least) · (H / ln n)^exponent, for n candidates with entropy H.
    ///
    /// # Source
    /// kalomaze, *Dynamic temperature sampling*, <https://github.com/ggml-org/llama.cpp/pull/4972>
    pub(super) fn moved(&self, temperature: f32, range: f32, exponent: f32) -> f32 {
        if self.list.len() < 2 {
            return temperature;
        }
        let (z, mean) = self.moments(1.0);
        let (least, most) = ((temperature - range).max(0.0), temperature + range);
        let share = (ln(z) - mean) / ln(self.list.len() as f64);
        // ln of 0 is −∞, which `ln` does not give
        let power = if share > 0.0 {
            exp(exponent * ln(share) as f32)
        } else if exponent > 0.0 {
            0.0
        } else {
            1.0
        };
        least + (most - least) * power
    }

    /// Keeps the candidates whose surprise is at most `mu` bits, and the best one.
    ///
    /// # Source
    /// S. Basu et al., *Mirostat*, <https://arxiv.org/abs/2007.14966>; `llama_sampler_mirostat_v2_apply` in llama.cpp
    pub(super) fn mirostat(&mut self, temperature: f32, mu: f32) {
        let best = self.best();
        let ln_z = ln(self.moments(temperature).0);
        let surprise = |c: Candidate| ln_z - f64::from((c.logit() - best.logit()) / temperature);
        self.retain(&mut |c| c == best || surprise(c) <= f64::from(mu) * LN_2);
    }

    /// Draws a candidate with probability wᵢ / Σ w, where wᵢ = exp((lᵢ − l₀) / temperature): the first in the list at
    /// which the running sum of weights exceeds `unit` · Σ w. Returns it with its surprise, −log₂ of that probability.
    ///
    /// `unit` is in [0, 1).
    pub(super) fn draw(&self, temperature: f32, unit: f64) -> (u32, f64) {
        let best = self.best();
        let (mut drawn, best) = (best.id(), best.logit());
        let temperature = temperature.max(f32::MIN_POSITIVE);
        let z = self.moments(temperature).0;
        let (mut sum, mut w) = (0.0, 1.0);
        for candidate in &self.list {
            w = weight(*candidate, best, temperature);
            sum += w;
            if sum > unit * z {
                drawn = candidate.id();
                break;
            }
        }
        (drawn, (ln(z) - ln(w)) / LN_2)
    }
}

/// Moves the candidate at `root` down until neither of its children is better; they already are heaps.
fn sift_down(heap: &mut [Candidate], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child + 1 < heap.len() && heap[child + 1] < heap[child] {
            child += 1;
        }
        if child >= heap.len() || heap[root] <= heap[child] {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

/// exp((l − l₀) / temperature): 1 for the best candidate, whatever the temperature, and 0 for a logit of −∞.
fn weight(candidate: Candidate, best: f32, temperature: f32) -> f64 {
    f64::from(exp((candidate.logit() - best) / temperature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Candidates with these probabilities, in their order.
    fn of(probs: &[f32]) -> Candidates {
        let logits: Vec<f32> = probs.iter().map(|p| p.ln()).collect();
        let mut candidates = Candidates::new(logits.len());
        candidates.fill(&logits);
        candidates
    }

    fn ids(candidates: &Candidates) -> Vec<u32> {
        let mut ids: Vec<u32> = candidates.list.iter().map(|c| c.id()).collect();
        ids.sort();
        ids
    }

    fn drawn(candidates: &Candidates, temperature: f32, unit: f64) -> u32 {
        candidates.draw(temperature, unit).0
    }

    const PROBS: [f32; 5] = [0.1, 0.4, 0.05, 0.25, 0.2];

    #[test]
    fn top_k_keeps_the_largest() {
        for (k, want) in [(0, &[0, 1, 2, 3, 4][..]), (1, &[1]), (2, &[1, 3]), (4, &[0, 1, 3, 4]), (9, &[0, 1, 2, 3, 4])]
        {
            let mut candidates = of(&PROBS);
            candidates.top_k(k);
            assert_eq!(ids(&candidates), want, "k = {k}");
        }
    }

    #[test]
    fn top_p_keeps_the_fewest_that_sum_to_p() {
        for (p, want) in [
            (0.0, &[1][..]),
            (0.39, &[1]),
            (0.41, &[1, 3]),
            (0.64, &[1, 3]),
            (0.7, &[1, 3, 4]),
            (0.94, &[0, 1, 3, 4]),
            (0.96, &[0, 1, 2, 3, 4]),
            (1.0, &[0, 1, 2, 3, 4]),
        ] {
            let mut candidates = of(&PROBS);
            candidates.top_p(p);
            assert_eq!(ids(&candidates), want, "p = {p}");
            // after top_k, probabilities are those of what top_k left
            let mut candidates = of(&PROBS);
            candidates.top_k(2);
            candidates.top_p(p);
            assert_eq!(ids(&candidates).len(), if p <= 0.4 / 0.65 { 1 } else { 2 }, "p = {p} after k = 2");
        }
    }

    #[test]
    fn min_p_keeps_what_is_p_times_as_probable_as_the_best() {
        for (p, want) in [
            (0.0, &[0, 1, 2, 3, 4][..]),
            (0.12, &[0, 1, 2, 3, 4]),
            (0.13, &[0, 1, 3, 4]),
            (0.51, &[1, 3]),
            (0.63, &[1]),
            (1.0, &[1]),
        ] {
            let mut candidates = of(&PROBS);
            candidates.min_p(p);
            assert_eq!(ids(&candidates), want, "p = {p}");
        }
    }

    #[test]
    fn draw_maps_the_unit_interval_to_probabilities() {
        // Listed by id, the running sums are 0.1, 0.5, 0.55, 0.8 and 1.
        let candidates = of(&PROBS);
        for (unit, want) in [(0.0, 0), (0.09, 0), (0.11, 1), (0.49, 1), (0.51, 2), (0.56, 3), (0.81, 4), (0.999_999, 4)]
        {
            assert_eq!(drawn(&candidates, 1.0, unit), want, "{unit}");
        }
        // At temperature ½ probabilities are squared: 0.01, 0.16, 0.0025, 0.0625, 0.04 of 0.275.
        for (unit, want) in [(0.035, 0), (0.038, 1), (0.61, 1), (0.62, 2), (0.63, 3), (0.86, 4)] {
            assert_eq!(drawn(&candidates, 0.5, unit), want, "{unit} at temperature 0.5");
        }
        // Near zero the best one is all there is.
        for unit in [0.0, 0.5, 0.999_999] {
            assert_eq!(drawn(&candidates, f32::from_bits(1), unit), 1);
        }
    }

    #[test]
    fn tokens_without_probability_are_never_drawn() {
        let mut candidates = Candidates::new(4);
        candidates.fill(&[f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY, 1.0]);
        assert_eq!((drawn(&candidates, 1.0, 0.0), drawn(&candidates, 1.0, 0.999_999)), (1, 3));
    }

    #[test]
    fn equal_logits_prefer_the_lower_id() {
        let mut candidates = Candidates::new(6);
        candidates.fill(&[-0.0, -1.0, 0.0, -0.0, -1.0, 0.0]);
        assert_eq!(candidates.greedy(), Ok(0));
        candidates.top_k(3);
        assert_eq!(candidates.list.iter().map(|c| c.id()).collect::<Vec<_>>(), [0, 2, 3]);
        candidates.top_p(0.1);
        assert_eq!(ids(&candidates), [0]);
    }

    proptest! {
        #[test]
        fn candidates_keep_their_logits_and_compare_by_them(a in any::<f32>(), b in any::<f32>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let (x, y) = (Candidate::new(1, a), Candidate::new(2, b));
            prop_assert_eq!((x.id(), x.logit()), (1, a));
            prop_assert_eq!(x < y, a >= b);
        }

        #[test]
        fn the_best_are_kept_in_order(logits in prop::collection::vec(-4_i8..4, 1..300), k in 0_usize..300, p in 0.0_f32..1.1) {
            let logits: Vec<f32> = logits.into_iter().map(|l| f32::from(l) / 2.0).collect();
            let mut candidates = Candidates::new(logits.len());
            candidates.fill(&logits);
            let by_id = candidates.list.clone();
            let mut sorted = by_id.clone();
            sorted.sort();
            candidates.top_k(k);
            let n = if k == 0 { logits.len() } else { k.min(logits.len()) };
            prop_assert_eq!(&candidates.list[..], if n < logits.len() { &sorted[..n] } else { &by_id });
            candidates.top_p(p);
            let n = candidates.list.len();
            prop_assert_eq!(&candidates.list[..], if candidates.sorted { &sorted[..n] } else { &by_id });
            prop_assert_eq!(candidates.sorted, p < 1.0 || (1..logits.len()).contains(&k));
        }
    }
}
