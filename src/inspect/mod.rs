//! What a [`Tap`] can record of a text: any named site, for chosen layers, heads and positions.
//!
//! Interventions stand in [`crate::model::Intervention`], and the logit lens in [`crate::session::Session::project`]: a residual
//! stream that was recorded here, through the last norm and the output head.

mod block;

pub use block::Block;

use crate::error::{Error, Result};
use crate::model::{Config, Model, Place, Site, Tap, Want};
use crate::session::Session;

/// The most values that one trace may record: 256 MB of them.
pub const MAX_TRACED: usize = 1 << 26;

/// What is to be recorded. Layers, heads and positions are given in the order in which they are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Which steps.
    pub sites: Vec<Site>,
    /// Of which layers; sites outside the layers are recorded once.
    pub layers: Vec<usize>,
    /// Of which query heads, at `Kq` and `KqSoftMax`; the other sites hold all heads side by side.
    pub heads: Vec<usize>,
    /// At which tokens of the text.
    pub positions: Vec<usize>,
}

/// How a site is recorded: \[layers, positions, width\], and \[layers, heads, positions, T\] at `Kq` and `KqSoftMax`, whose
/// rows are 0 behind their own position.
#[derive(Debug, Clone, Copy)]
struct Part {
    site: Site,
    /// `None`: a row is as long as the text.
    width: Option<usize>,
    n_values: usize,
}

/// What is recorded, on its way to where it is kept.
#[derive(Debug)]
pub enum Kept<'a> {
    /// Before anything is computed, for each of the selection's sites in turn: how many values its array will have.
    Size(usize),
    /// Values of the site with this index, and where in its array they begin. What is never told is 0.
    Values(usize, usize, &'a [f32]),
}

/// Runs `tokens` from an empty cache, with the interventions that the session has, and hands what is selected to `keep`.
/// The session's text is empty afterwards.
///
/// # Errors
/// As [`Session::prepare`]; `Argument` for a layer, head or position that is not there, `Unsupported` for a site that this
/// model does not pass, `Limit` for more than [`MAX_TRACED`] values.
pub fn trace(
    session: &mut Session,
    tokens: &[u32],
    selection: &Selection,
    keep: &mut dyn FnMut(Kept<'_>),
) -> Result<()> {
    let parts = selection.parts(session.model(), tokens.len())?;
    parts.iter().for_each(|part| keep(Kept::Size(part.n_values)));
    let outputs = |site| matches!(site, Site::ResultNorm | Site::ResultOutput);
    let want = if selection.sites.iter().copied().any(outputs) { Want::All } else { Want::Nothing };
    let mut recorder = Recorder { selection, parts, n_tokens: tokens.len(), keep };
    session.clear();
    session.prepare(tokens)?;
    while session.n_pending() > 0 {
        session.run(&[], want, Some(&mut recorder))?;
    }
    // No logits were computed: the last token's are to come anew.
    session.clear();
    Ok(())
}

impl Selection {
    fn parts(&self, model: &Model, n_tokens: usize) -> Result<Vec<Part>> {
        let Config { n_layer, n_head, .. } = *model.config();
        for (what, list, n) in
            [("layer", &self.layers, n_layer), ("head", &self.heads, n_head), ("position", &self.positions, n_tokens)]
        {
            if let Some(idx) = list.iter().find(|idx| **idx >= n) {
                return Err(Error::Argument(format!("there is no {what} {idx}: there are {n}, counted from 0")));
            }
        }
        let (mut parts, mut sum) = (Vec::new(), 0usize);
        for site in self.sites.iter().copied() {
            let width = site.width(model)?;
            let n_layers = if site.is_in_layers() { self.layers.len() } else { 1 };
            let n_heads = if width.is_none() { self.heads.len() } else { 1 };
            let axes = [n_layers, n_heads, self.positions.len(), width.unwrap_or(n_tokens)];
            let n_values = axes.into_iter().fold(1, usize::saturating_mul);
            parts.push(Part { site, width, n_values });
            sum = sum.saturating_add(n_values);
        }
        if sum > MAX_TRACED {
            return Err(Error::Limit(format!(
                "this would record {sum} values and at most {MAX_TRACED} are kept: choose fewer sites, layers or positions"
            )));
        }
        Ok(parts)
    }
}

struct Recorder<'a> {
    selection: &'a Selection,
    parts: Vec<Part>,
    n_tokens: usize,
    keep: &'a mut dyn FnMut(Kept<'_>),
}

impl Tap for Recorder<'_> {
    fn visit(&mut self, place: Place, data: &mut [f32]) {
        let Selection { layers, heads, positions, .. } = self.selection;
        let find = |list: &[usize], idx: usize| list.iter().position(|other| *other == idx);
        for (i, part) in self.parts.iter().enumerate().filter(|(_, part)| part.site == place.site) {
            let layer = if place.site.is_in_layers() { find(layers, place.layer) } else { Some(0) };
            let Some(layer) = layer else { continue };
            let Some(width) = part.width else {
                if let (Some(head), Some(at)) = (find(heads, place.head), find(positions, place.position)) {
                    let row = (layer * heads.len() + head) * positions.len() + at;
                    (self.keep)(Kept::Values(i, row * self.n_tokens, data));
                }
                continue;
            };
            for (t, row) in data.chunks_exact(width).enumerate() {
                if let Some(at) = find(positions, place.position + t) {
                    (self.keep)(Kept::Values(i, (layer * positions.len() + at) * width, row));
                }
            }
        }
    }
}
