//! The feed-forward network, or the experts in its place.

use super::architecture::Activation;
use super::config::Experts;
use super::forward::{Pass, by_rows, finish, linear, visit};
use super::tap::Site;
use super::weights::Layer;
use crate::kernels;
use crate::tensor::{Product, matmul_all};

/// gate = act(gate) · up
fn act_mul(activation: Activation, gate: &mut [f32], up: &[f32]) {
    match activation {
        Activation::Silu => kernels::silu_mul(gate, up),
        Activation::Gelu => kernels::gelu_mul(gate, up),
    }
}

impl Pass<'_, '_> {
    /// Adds what the network makes of `s.norm` to the residual stream.
    pub fn feed_forward(&mut self, i: usize, layer: &Layer) {
        match &self.config.experts {
            Some(experts) => self.mixture(experts, layer),
            None => self.network(i, layer),
        }
        self.post_norm(layer.ffn_post_norm.as_deref());
        self.add_branch(Site::FfnOut, Site::LOut, i);
    }

    fn network(&mut self, i: usize, layer: &Layer) {
        let (d, n_ff, act) = (self.n_tokens * self.config.n_embd, self.config.n_ff, self.config.activation);
        let (f, fused) = (self.n_tokens * n_ff, self.config.fused_gate);
        let [at_gate, at_up, at_act] = [Site::FfnGate, Site::FfnUp, Site::FfnAct].map(|site| self.place(site, i));
        let s = &mut *self.s;
        let (x, gate, up) = (&s.norm[..d], &mut s.gate[..f], &mut s.up[..f << u32::from(fused)]);
        match &layer.ffn_gate {
            Some(weights) => {
                let mut both =
                    [Product::of_all(&layer.ffn_up.weight, &mut *up), Product::of_all(&weights.weight, &mut *gate)];
                matmul_all(&mut both, x, &mut s.inputs, self.pool);
                finish(&layer.ffn_up, up, x, &mut s.inputs, self.pool);
                finish(weights, gate, x, &mut s.inputs, self.pool);
                visit(&mut self.tap, at_gate, gate);
            }
            None => linear(&layer.ffn_up, up, x, &mut s.inputs, self.pool),
        }
        visit(&mut self.tap, at_up, up);
        let work = 16 * n_ff;
        let hidden = if fused {
            by_rows(self.pool, gate, n_ff, work, &|t, gate| {
                let both = &up[2 * t * n_ff..][..2 * n_ff];
                gate.copy_from_slice(&both[..n_ff]);
                act_mul(act, gate, &both[n_ff..]);
            });
            gate
        } else if layer.ffn_gate.is_some() {
            by_rows(self.pool, gate, n_ff, work, &|t, gate| act_mul(act, gate, &up[t * n_ff..(t + 1) * n_ff]));
            gate
        } else {
            by_rows(self.pool, up, n_ff, work, &|_, up| match act {
                Activation::Silu => kernels::silu_in_place(up),
                Activation::Gelu => kernels::gelu_in_place(up),
            });
            up
        };
        visit(&mut self.tap, at_act, hidden);
        s.inputs.changed();
        linear(&layer.ffn_down, &mut s.branch[..d], hidden, &mut s.inputs, self.pool);
    }

    /// Each token goes through the experts that its router chooses:
    ///
    /// ```text
    /// for each expert:  gather the tokens that chose it, run its network on them, add what comes out, weighted
    /// ```
    ///
    /// A token's sum is in the order of the experts, whatever else is in its batch.
    fn mixture(&mut self, experts: &Experts, layer: &Layer) {
        let (Some(router), Some(gates)) = (&layer.ffn_gate_inp, &layer.ffn_gate) else { return };
        let (d, f, e) = (self.config.n_embd, experts.n_ff, experts.n);
        let (n_tokens, act, s) = (self.n_tokens, self.config.activation, &mut *self.s);
        linear(router, &mut s.router[..n_tokens * e], &s.norm[..n_tokens * d], &mut s.inputs, self.pool);
        s.router.chunks_exact_mut(e).take(n_tokens).for_each(|row| choose(experts, row));
        s.branch[..n_tokens * d].fill(0.0);
        let [x, out] = &mut s.expert;
        for expert in 0..e {
            let chosen = |t: &usize| s.router[t * e + expert] != 0.0;
            let mut n = 0;
            for t in (0..n_tokens).filter(chosen) {
                x[n * d..(n + 1) * d].copy_from_slice(&s.norm[t * d..(t + 1) * d]);
                n += 1;
            }
            if n == 0 {
                continue;
            }
            let (x, gate, up, out) = (&x[..n * d], &mut s.gate[..n * f], &mut s.up[..n * f], &mut out[..n * d]);
            s.inputs.changed();
            let (ups, downs) = (&layer.ffn_up, &layer.ffn_down);
            let mut both = [
                Product::of_one(&ups.weight, expert, f, &mut *up),
                Product::of_one(&gates.weight, expert, f, &mut *gate),
            ];
            matmul_all(&mut both, x, &mut s.inputs, self.pool);
            ups.rescale(up, expert);
            gates.rescale(gate, expert);
            act_mul(act, gate, up);
            s.inputs.changed();
            matmul_all(&mut [Product::of_one(&downs.weight, expert, d, out)], gate, &mut s.inputs, self.pool);
            downs.rescale(out, expert);
            for (t, out) in (0..n_tokens).filter(chosen).zip(out.chunks_exact_mut(d)) {
                kernels::scale(out, s.router[t * e + expert]);
                kernels::add(&mut s.branch[t * d..(t + 1) * d], out);
            }
        }
    }
}

/// Turns a router's scores into what the token takes of each expert: 0 of most. Of equally probable ones the first is taken.
fn choose(experts: &Experts, row: &mut [f32]) {
    kernels::softmax(row);
    // Those that are taken are marked by a minus.
    for _ in 0..experts.n_used {
        let best = (0..row.len()).reduce(|best, i| if row[i] > row[best] { i } else { best }).unwrap_or(0);
        row[best] = -row[best].abs();
    }
    row.iter_mut().for_each(|p| *p *= if *p < 0.0 { -1.0 } else { 0.0 });
    let sum: f32 = row.iter().sum();
    kernels::scale(row, if experts.normalised { experts.scale / sum } else { experts.scale });
}
