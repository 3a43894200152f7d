//! Orders in which functions that resemble each other stand side by side.

/// Between how much is the same (0) and which share of both that is (0.5): none is best for every module, so all are tried.
pub const EXPONENTS: [f64; 7] = [0.3, 0.34, 0.38, 0.4, 0.42, 0.46, 0.5];

/// How much functions have in common.
pub struct Likeness {
    /// Of how many different pieces each consists: four bytes at a time, about two instructions.
    n_pieces: Vec<usize>,
    /// How many of them each pair that has some has in common.
    n_common: Vec<(usize, usize, usize)>,
}

impl Likeness {
    /// Counts it, each function with each.
    pub fn of(bodies: &[&[u8]]) -> Likeness {
        let pieces = bodies.iter().map(|body| {
            let mut pieces: Vec<u32> =
                body.windows(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
            pieces.sort_unstable();
            pieces.dedup();
            pieces
        });
        let pieces: Vec<Vec<u32>> = pieces.collect();
        let pairs = (0..pieces.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        let n_common = pairs.map(|(a, b)| (n_common(&pieces[a], &pieces[b]), a, b)).filter(|pair| pair.0 > 0).collect();
        Likeness { n_pieces: pieces.iter().map(Vec::len).collect(), n_common }
    }

    /// An order in which each has its like beside it: pairs are joined to chains, the most alike first.
    pub fn order(&self, exponent: f64) -> Vec<usize> {
        let of_all = self.n_pieces.iter().map(|n| (*n as f64).powf(exponent));
        let of_all: Vec<f64> = of_all.collect();
        let pairs = self.n_common.iter().map(|(n, a, b)| (*n as f64 / (of_all[*a] * of_all[*b]), *a, *b));
        let mut pairs: Vec<(f64, usize, usize)> = pairs.collect();
        // Where two are equally alike, their places decide, so that equal modules stay equal.
        pairs.sort_unstable_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        let mut chains = Chains::new(self.n_pieces.len());
        pairs.into_iter().for_each(|(_, a, b)| chains.join(a, b));
        chains.in_order()
    }
}

/// How many entries two sorted lists have in common.
fn n_common<T: Ord>(a: &[T], b: &[T]) -> usize {
    let (mut i, mut j, mut n) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, n) = (i + 1, j + 1, n + 1),
        }
    }
    n
}

/// Items that are being joined, end to end.
struct Chains {
    /// Whom each item stands beside: nobody, one or two others.
    beside: Vec<Vec<usize>>,
    /// The other end of the chain of each item that is an end itself.
    other_end: Vec<usize>,
}

impl Chains {
    fn new(n: usize) -> Chains {
        Chains { beside: vec![Vec::new(); n], other_end: (0..n).collect() }
    }

    /// Joins two chains at these items, if both are ends, and not of one chain.
    fn join(&mut self, a: usize, b: usize) {
        if self.beside[a].len() == 2 || self.beside[b].len() == 2 || self.other_end[a] == b {
            return;
        }
        self.beside[a].push(b);
        self.beside[b].push(a);
        let (end_a, end_b) = (self.other_end[a], self.other_end[b]);
        (self.other_end[end_a], self.other_end[end_b]) = (end_b, end_a);
    }

    /// The items, chain by chain.
    fn in_order(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.beside.len()];
        for start in 0..self.beside.len() {
            if seen[start] || self.beside[start].len() == 2 {
                continue;
            }
            let mut next = Some(start);
            while let Some(item) = next {
                seen[item] = true;
                order.push(item);
                next = self.beside[item].iter().copied().find(|other| !seen[*other]);
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_side_by_side() {
        let bodies: [&[u8]; 5] = [b"abcdefghij", b"0123456789", b"unlike all", b"xbcdefghij", b"012345678z"];
        let order = Likeness::of(&bodies).order(0.4);
        let at = |i: usize| order.iter().position(|other| *other == i).unwrap();
        assert_eq!(at(0).abs_diff(at(3)), 1);
        assert_eq!(at(1).abs_diff(at(4)), 1);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
