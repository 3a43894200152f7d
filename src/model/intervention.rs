//! A hand in the forward pass: at a named site, some of what flows through it is changed.

use super::tap::{Place, Site, Tap};
use super::weights::Model;
use crate::error::{Error, Result};
use core::ops::Range;

/// What is done to the values that an [`Intervention`] names.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Multiplied; by 0, switched off.
    Scale(f32),
    /// These are added to them: a steering vector, one value for each column.
    Add(Vec<f32>),
    /// These stand in their place: a patch, one value for each column.
    Set(Vec<f32>),
    /// Of the logits, only this token's stays possible.
    Force(u32),
}

/// A change at one [`Site`]: what is left open is everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Intervention {
    /// At which step.
    pub site: Site,
    /// In one layer only.
    pub layer: Option<usize>,
    /// Of one query head only, at `Kq` and `KqSoftMax`. At `KqvOut` head h has the columns h·Dh to (h + 1)·Dh.
    pub head: Option<usize>,
    /// At these positions.
    pub positions: Range<usize>,
    /// These values of each row.
    pub columns: Range<usize>,
    /// What is done.
    pub action: Action,
}

impl Intervention {
    /// Whether it can be done to this model.
    ///
    /// # Errors
    /// `Unsupported` for a site that this model does not pass; `Argument` for a layer, a head, columns or a token that it does
    /// not have, for as many values as there are not columns, and for values that are not finite.
    pub fn check(&self, model: &Model) -> Result<()> {
        let config = model.config();
        let width = self.site.width(model)?.unwrap_or(usize::MAX);
        let inside = self.layer.is_none_or(|layer| layer < config.n_layer)
            && self.head.is_none_or(|head| head < config.n_head)
            && self.columns.start < self.columns.end
            && (self.columns.end <= width || self.columns.end == usize::MAX);
        let n = self.columns.end.min(width).saturating_sub(self.columns.start);
        let fits = match &self.action {
            Action::Scale(factor) => factor.is_finite(),
            Action::Add(values) | Action::Set(values) => values.len() == n && values.iter().all(|x| x.is_finite()),
            Action::Force(token) => self.site == Site::ResultOutput && (*token as usize) < config.n_vocab,
        };
        match inside && fits {
            true => Ok(()),
            false => Err(Error::Argument(format!("this model has no such place or value at {}", self.site.name()))),
        }
    }

    fn apply(&self, width: Option<usize>, place: Place, data: &mut [f32]) {
        if self.site != place.site || self.layer.is_some_and(|layer| layer != place.layer) {
            return;
        }
        if width.is_none() && self.head.is_some_and(|head| head != place.head) {
            return;
        }
        let width = width.unwrap_or(data.len()).max(1);
        for (i, row) in data.chunks_exact_mut(width).enumerate() {
            if self.positions.contains(&(place.position + i)) {
                let (start, end) = (self.columns.start.min(width), self.columns.end.min(width));
                self.action.apply(&mut row[start..end]);
            }
        }
    }
}

impl Action {
    fn apply(&self, values: &mut [f32]) {
        match self {
            Action::Scale(factor) => values.iter_mut().for_each(|x| *x *= factor),
            Action::Add(others) => values.iter_mut().zip(others).for_each(|(x, other)| *x += other),
            Action::Set(others) => values.iter_mut().zip(others).for_each(|(x, other)| *x = *other),
            Action::Force(token) => {
                values.fill(f32::NEG_INFINITY);
                values.get_mut(*token as usize).into_iter().for_each(|x| *x = 0.0);
            }
        }
    }
}

/// Interventions as a tap, before another that then sees what they made.
pub(crate) struct Interfering<'a, 't> {
    pub model: &'a Model,
    pub list: &'a [Intervention],
    pub then: Option<&'a mut (dyn Tap + 't)>,
}

impl Interfering<'_, '_> {
    /// What the pass is to call, if anything: without interventions, the other tap itself.
    pub fn tap(&mut self) -> Option<&mut dyn Tap> {
        if self.list.is_empty() {
            return self.then.as_mut().map(|tap| &mut **tap as &mut dyn Tap);
        }
        Some(self)
    }
}

impl Tap for Interfering<'_, '_> {
    fn visit(&mut self, place: Place, data: &mut [f32]) {
        if let Ok(width) = place.site.width(self.model) {
            self.list.iter().for_each(|intervention| intervention.apply(width, place, data));
        }
        if let Some(tap) = &mut self.then {
            tap.visit(place, data);
        }
    }
}
