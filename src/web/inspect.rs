//! What the page's worker asks of the pass beside texts: recordings, the logit lens, interventions.

use super::{Engine, JsResult, to_js_error, to_text};
use crate::error::{Error, Result};
use crate::inspect::{Block, Kept, MAX_TRACED, Selection, trace};
use crate::model::{Action, Intervention, Site};
use js_sys::{Array, Float32Array, Uint32Array};
use wasm_bindgen::prelude::*;

/// A site by its index in [`Site::ALL`], which JS has as a list of names.
fn site(idx: u32) -> Result<Site> {
    Site::ALL.get(idx as usize).copied().ok_or_else(|| Error::Argument(format!("there is no site {idx}")))
}

/// `u32::MAX`: no bound.
fn open(n: u32) -> usize {
    if n == u32::MAX { usize::MAX } else { n as usize }
}

fn some(n: u32) -> Option<usize> {
    (n != u32::MAX).then_some(n as usize)
}

fn read(place: &[u32], values: Vec<f32>) -> Result<Intervention> {
    let [at, layer, head, first, end, left, right, action] = *place else {
        return Err(Error::Argument("an intervention is given by 8 numbers".into()));
    };
    let first_value = values.first().copied().unwrap_or(f32::NAN);
    Ok(Intervention {
        site: site(at)?,
        layer: some(layer),
        head: some(head),
        positions: first as usize..open(end),
        columns: left as usize..open(right),
        action: match action {
            0 => Action::Scale(first_value),
            1 => Action::Add(values),
            2 => Action::Set(values),
            _ => Action::Force(first_value as u32),
        },
    })
}

#[wasm_bindgen]
impl Engine {
    /// Records `sites` of a text, each into an array of its own: see [`crate::inspect`] for their shapes. The values are
    /// copied once, from where they are computed.
    pub fn trace(
        &mut self,
        tokens: &Uint32Array,
        sites: &Uint32Array,
        layers: &Uint32Array,
        heads: &Uint32Array,
        positions: &Uint32Array,
    ) -> JsResult<Array> {
        let list = |list: &Uint32Array| list.to_vec().into_iter().map(|n| n as usize).collect();
        let mut arrays: Vec<Float32Array> = Vec::new();
        let mut keep = |kept: Kept<'_>| match kept {
            Kept::Size(n) => arrays.push(Float32Array::new_with_length(n as u32)),
            Kept::Values(i, at, values) => {
                if let Some(array) = arrays.get(i) {
                    array.subarray(at as u32, (at + values.len()) as u32).copy_from(values);
                }
            }
        };
        let mut work = || -> Result<()> {
            let sites: Result<Vec<Site>> = sites.to_vec().into_iter().map(site).collect();
            let selection =
                Selection { sites: sites?, layers: list(layers), heads: list(heads), positions: list(positions) };
            trace(self.session()?, &tokens.to_vec(), &selection, &mut keep)
        };
        work().map_err(to_js_error)?;
        Ok(arrays.into_iter().collect())
    }

    /// The logits that the last norm and the output head make of residual streams: n × nEmbd to n × nVocab.
    pub fn project(&mut self, x: &Float32Array) -> JsResult<Float32Array> {
        let mut work = || -> Result<Float32Array> { Ok(Float32Array::from(self.session()?.project(&x.to_vec())?)) };
        work().map_err(to_js_error)
    }

    /// The floats that a matrix stands for, row after row, by its name in the file. They are copied once.
    pub fn tensor(&mut self, name: &JsValue) -> JsResult<Float32Array> {
        let mut work = || -> Result<Float32Array> {
            let (name, model) = (to_text(name)?, self.session()?.model());
            let none = || Error::Argument(format!("this model has no matrix {name}"));
            let tensor = model.tensor(&name).ok_or_else(none)?;
            let (n, columns) = (tensor.rows() * tensor.columns(), tensor.columns());
            if n > MAX_TRACED {
                return Err(Error::Limit(format!("{name} has {n} values, and {MAX_TRACED} are given at a time")));
            }
            let (all, mut row) = (Float32Array::new_with_length(n as u32), vec![0.0; columns]);
            for i in 0..tensor.rows() {
                tensor.row(i, &mut row);
                all.subarray((i * columns) as u32, ((i + 1) * columns) as u32).copy_from(&row);
            }
            Ok(all)
        };
        work().map_err(to_js_error)
    }

    /// Puts these in place of the interventions that there are. Each is a pair of 8 numbers (site, layer, head, first and end
    /// position, first and end column, action: scale, add, set, force) and the action's values; 2³² − 1 leaves open.
    pub fn intervene(&mut self, list: &Array) -> JsResult<()> {
        let mut work = || -> Result<()> {
            let pairs = list.to_vec();
            let pairs = pairs.as_chunks::<2>().0.iter();
            let read = |[place, values]: &[JsValue; 2]| {
                read(&Uint32Array::new(place).to_vec(), Float32Array::new(values).to_vec())
            };
            let list: Result<Vec<Intervention>> = pairs.map(read).collect();
            self.session()?.set_interventions(list?)
        };
        work().map_err(to_js_error)
    }

    /// Every step of a textbook's block, one after the other: see [`Block`]. It has nothing of this model. `shape` is tokens,
    /// columns, heads, columns of the feed-forward network, and 1 where a token sees those before it alone; `values` are the
    /// scale, the input and the weights.
    #[wasm_bindgen(js_name = textbookBlock)]
    pub fn textbook_block(&self, shape: &Uint32Array, values: &Float32Array) -> JsResult<Float32Array> {
        let work = || -> Result<Float32Array> {
            let (shape, values) = (shape.to_vec(), values.to_vec());
            let ([t, d, h, f, causal], Some((scale, values))) = (&shape[..], values.split_first()) else {
                return Err(Error::Argument("a block is given by 5 numbers and its values".into()));
            };
            let [n_tokens, n_embd, n_head, n_ff] = [t, d, h, f].map(|n| *n as usize);
            let block = Block { n_tokens, n_embd, n_head, n_ff, causal: *causal == 1, scale: *scale, values };
            Ok(Float32Array::from(&block.steps()?[..]))
        };
        work().map_err(to_js_error)
    }
}
