//! In a page a module holds one model, so there is no second one to guess. What is never made costs no code.

use super::Session;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::sampler::Sampler;
use std::sync::Arc;

/// Never made.
#[derive(Debug)]
pub(super) enum DraftModel {}

impl DraftModel {
    /// # Errors
    /// `Unsupported`, always.
    pub(super) fn new(_: Arc<Model>, _: &Session, _: &Sampler, _: &[u32]) -> Result<DraftModel> {
        Err(Error::Unsupported("a page holds one model: guess by lookup".into()))
    }

    pub(super) fn prefill(&mut self) {
        match *self {}
    }

    pub(super) fn propose(&mut self, _: &[u32], _: &Sampler, _: usize, _: &mut Vec<u32>) {
        match *self {}
    }
}
