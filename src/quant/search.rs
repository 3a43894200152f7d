//! The search behind the formats that ggml does not round plainly: the scales for which the (weighted) square error is least.
//!
//! A value is approximated by `scale · q − min`, where a block's scales and minima are small integers times one f16 each.
//! Each sub-block is fitted alone first, by least squares for quants that a row of first guesses gives. Then the f16s are
//! chosen, each sub-block takes the integers near its own optimum that leave the least error, and the f16s are fitted again
//! for these, as long as that helps.

use super::float::{f16_to_f32, f32_to_f16};

/// What the quants of a format can be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Levels {
    /// All integers from the first to the second.
    Linear(i8, i8),
    /// A table's values: the nearest to y at 2y + 256.
    Table(&'static [f32; 512]),
}

impl Levels {
    /// The level nearest to `y`.
    #[inline(always)]
    fn nearest(self, y: f32) -> f32 {
        match self {
            Levels::Linear(least, largest) => whole(y.max(f32::from(least)).min(f32::from(largest))),
            Levels::Table(nearest) => nearest[(whole(2.0 * y.clamp(-127.0, 127.0)) + 256.0) as usize],
        }
    }

    fn ends(self) -> [f32; 2] {
        match self {
            Levels::Linear(least, largest) => [least, largest].map(f32::from),
            Levels::Table(nearest) => [nearest[0], nearest[511]],
        }
    }
}

/// For each half y from −128 to 127.5 the entry of an ascending table that is nearest to it.
pub(super) const fn nearest_of(table: &[i8; 16]) -> [f32; 512] {
    let mut nearest = [0.0; 512];
    let mut i = 0;
    while i < 512 {
        let (mut best, mut j) = (0, 1);
        while j < 16 {
            let (to_best, to_next) = (i as i32 - 256 - 2 * table[best] as i32, i as i32 - 256 - 2 * table[j] as i32);
            if to_next.abs() < to_best.abs() {
                best = j;
            }
            j += 1;
        }
        nearest[i] = table[best] as f32;
        i += 1;
    }
    nearest
}

/// Rounds to nearest, ties to even, as `round_ties_even` does, which not every processor has an instruction for: beyond 2²³
/// an f32 has no fraction. For |y| up to 2²².
#[inline(always)]
fn whole(y: f32) -> f32 {
    const BEYOND: f32 = 12_582_912.0;
    (y + BEYOND) - BEYOND
}

/// How a format's blocks of 256 are made up.
#[derive(Debug)]
pub(super) struct Layout {
    pub levels: Levels,
    /// Values in a sub-block.
    pub n: usize,
    /// What a sub-block's scale can be.
    pub scales: [i32; 2],
    /// The largest minimum; 0 for formats without.
    pub most_min: i32,
}

/// A block of 256 in integers.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub d: u16,
    pub dmin: u16,
    pub scales: [i32; 16],
    pub mins: [i32; 16],
    pub q: [i8; 256],
}

/// First guesses for a sub-block: more find little.
const STEPS: usize = 10;

/// Values and their weights.
#[derive(Clone, Copy)]
struct Values<'a> {
    x: &'a [f32],
    w: &'a [f32],
}

impl Values<'_> {
    /// Σ w (x − (scale · q − min))², with the nearest levels for q.
    fn error(&self, levels: Levels, scale: f32, min: f32) -> f32 {
        let inverse = inverse(scale);
        self.x.iter().zip(self.w).fold(0.0, |sum, (x, w)| {
            let rest = x + min - scale * levels.nearest((x + min) * inverse);
            sum + w * rest * rest
        })
    }

    /// The scale and minimum (at least 0; exactly 0 if there are none) of least square error for the levels that are nearest
    /// with the given ones.
    fn refit(&self, levels: Levels, scale: f32, min: f32, has_min: bool) -> (f32, f32) {
        let inverse = inverse(scale);
        let [mut w1, mut wq, mut wqq, mut wx, mut wxq] = [0.0_f32; 5];
        for (x, w) in self.x.iter().zip(self.w) {
            let q = levels.nearest((x + min) * inverse);
            (w1, wq, wqq, wx, wxq) = (w1 + w, wq + w * q, wqq + w * q * q, wx + w * x, wxq + w * x * q);
        }
        let determinant = w1 * wqq - wq * wq;
        if has_min && determinant > 0.0 {
            let (scale, min) = ((w1 * wxq - wq * wx) / determinant, (wq * wxq - wqq * wx) / determinant);
            if min >= 0.0 && scale > 0.0 {
                return (scale, min);
            }
        }
        (if wqq > 0.0 { wxq / wqq } else { 0.0 }, 0.0)
    }

    /// The best scale and minimum as floats.
    fn fit(&self, levels: Levels, has_min: bool) -> (f32, f32) {
        let least = self.x.iter().copied().fold(0.0, f32::min);
        let largest = self.x.iter().copied().fold(0.0, f32::max);
        let [low, high] = levels.ends();
        let mut best = (0.0, 0.0, self.error(levels, 0.0, 0.0));
        let mut consider = |scale: f32, min: f32| {
            let (mut scale, mut min) = (scale, min);
            for _ in 0..2 {
                (scale, min) = self.refit(levels, scale, min, has_min);
                let error = self.error(levels, scale, min);
                if error < best.2 {
                    best = (scale, min, error);
                }
            }
        };
        for step in 0..STEPS {
            // from a little beyond the outermost level to well within
            let share = 0.7 + step as f32 * (0.6 / STEPS as f32);
            if has_min {
                consider((largest - least) / (high * share), -least);
                consider(largest / (high * share), 0.0);
                consider((largest - least * share) / high, -least * share);
            } else {
                let extreme = if -least > largest { least } else { largest };
                consider(extreme / (low * share), 0.0);
                consider(extreme / (high * share), 0.0);
            }
        }
        (best.0, best.1)
    }
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

fn half(x: f32) -> f32 {
    f16_to_f32(f32_to_f16(x.clamp(-65504.0, 65504.0)))
}

/// One scale for all of `x`, and its quants: for formats without sub-blocks.
pub(super) fn fit_one(x: &[f32], w: &[f32], levels: Levels) -> (u16, [i8; 32]) {
    let values = Values { x, w };
    let fitted = values.fit(levels, false).0;
    let d = half(fitted);
    let mut q = [0; 32];
    q.iter_mut().zip(x).for_each(|(q, x)| *q = levels.nearest(x * inverse(d)) as i8);
    (f32_to_f16(d), q)
}

/// The best block for 256 values.
pub(super) fn fit(x: &[f32], w: &[f32], layout: &Layout) -> Fit {
    let (n_sub, has_min) = (256 / layout.n, layout.most_min > 0);
    let sub = |j: usize| Values { x: &x[j * layout.n..][..layout.n], w: &w[j * layout.n..][..layout.n] };
    let mut ideal = [(0.0_f32, 0.0_f32); 16];
    ideal.iter_mut().take(n_sub).enumerate().for_each(|(j, ideal)| *ideal = sub(j).fit(layout.levels, has_min));
    let extreme = ideal.iter().fold(0.0_f32, |m, s| if s.0.abs() > m.abs() { s.0 } else { m });
    let most = ideal.iter().fold(0.0_f32, |m, s| m.max(s.1));
    // The largest scale takes the end that reaches further.
    let end = if -layout.scales[0] > layout.scales[1] { layout.scales[0] } else { layout.scales[1] } as f32;
    let mut best: Option<(f32, Choice)> = None;
    for share in [1.0, 0.95, 0.9] {
        let mut d = half(extreme / (end * share));
        let mut dmin = if has_min { half(most / (layout.most_min as f32 * share)) } else { 0.0 };
        for _ in 0..3 {
            let mut choice = Choice { d, dmin, scales: [0; 16], mins: [0; 16] };
            let mut error = 0.0;
            for (j, ideal) in ideal.iter().enumerate().take(n_sub) {
                error += choice.choose(j, sub(j), *ideal, layout);
            }
            let (next_d, next_dmin) = choice.refit(sub, n_sub, layout);
            if best.as_ref().is_none_or(|best| error < best.0) {
                best = Some((error, choice));
            }
            if (next_d, next_dmin) == (d, dmin) {
                break;
            }
            (d, dmin) = (next_d, next_dmin);
        }
    }
    let Some((_, choice)) = best else {
        return Fit { d: 0, dmin: 0, scales: [0; 16], mins: [0; 16], q: [0; 256] };
    };
    let mut fit = Fit {
        d: f32_to_f16(choice.d),
        dmin: f32_to_f16(choice.dmin),
        scales: choice.scales,
        mins: choice.mins,
        q: [0; 256],
    };
    for (i, (q, x)) in fit.q.iter_mut().zip(x).enumerate() {
        let (scale, min) = choice.of(i / layout.n);
        *q = layout.levels.nearest((x + min) * inverse(scale)) as i8;
    }
    fit
}

/// The numbers of a block but its quants.
struct Choice {
    d: f32,
    dmin: f32,
    scales: [i32; 16],
    mins: [i32; 16],
}

impl Choice {
    /// Scale and minimum of a sub-block.
    fn of(&self, j: usize) -> (f32, f32) {
        (self.d * self.scales[j] as f32, self.dmin * self.mins[j] as f32)
    }

    /// Chooses the integers of a sub-block, near its own optimum; returns the error that is left.
    fn choose(&mut self, j: usize, values: Values<'_>, ideal: (f32, f32), layout: &Layout) -> f32 {
        let near = |y: f32, around: i32, ends: [i32; 2]| {
            let y = y.round_ties_even() as i32;
            ((y - around).max(ends[0]).min(ends[1]), (y + around).min(ends[1]).max(ends[0]))
        };
        let (first, last) = near(ideal.0 * inverse(self.d), 1, layout.scales);
        let (first_min, last_min) = near(ideal.1 * inverse(self.dmin), 1, [0, layout.most_min]);
        let mut best = (f32::INFINITY, 0, 0);
        for scale in first..=last {
            for min in first_min..=last_min {
                let error = values.error(layout.levels, self.d * scale as f32, self.dmin * min as f32);
                if error < best.0 {
                    best = (error, scale, min);
                }
            }
        }
        (self.scales[j], self.mins[j]) = (best.1, best.2);
        if best.0.is_finite() { best.0 } else { 0.0 }
    }

    /// The f16s of least square error for these integers and the quants that go with them.
    fn refit<'a>(&self, sub: impl Fn(usize) -> Values<'a>, n_sub: usize, layout: &Layout) -> (f32, f32) {
        let [mut aa, mut ab, mut bb, mut ax, mut bx] = [0.0_f64; 5];
        for j in 0..n_sub {
            let ((scale, min), values) = (self.of(j), sub(j));
            for (x, w) in values.x.iter().zip(values.w) {
                let q = layout.levels.nearest((x + min) * inverse(scale));
                let (a, b) = (f64::from(self.scales[j]) * f64::from(q), -f64::from(self.mins[j]));
                let (x, w) = (f64::from(*x), f64::from(*w));
                (aa, ab, bb, ax, bx) = (aa + w * a * a, ab + w * a * b, bb + w * b * b, ax + w * a * x, bx + w * b * x);
            }
        }
        let determinant = aa * bb - ab * ab;
        if determinant > 1e-9 * aa * bb {
            return (
                half(((ax * bb - bx * ab) / determinant) as f32),
                half(((bx * aa - ax * ab) / determinant) as f32),
            );
        }
        (if aa > 0.0 { half((ax / aa) as f32) } else { self.d }, self.dmin)
    }
}
