//! wasm-bindgen: types cross here, and nothing is decided here.

use crate::{Constraint, Error, Kind, Vocabulary};
use wasm_bindgen::prelude::*;

type JsResult<T> = core::result::Result<T, JsValue>;

fn to_js(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    // Setting a property on a fresh object does not fail.
    let _ = js_sys::Reflect::set(&js, &"code".into(), &"argument".into());
    js.into()
}

/// The tokens of a model.
#[wasm_bindgen(js_name = Vocabulary)]
#[derive(Debug)]
pub struct JsVocabulary(Vocabulary);

#[wasm_bindgen(js_class = Vocabulary)]
impl JsVocabulary {
    /// Tokens by their bytes, one behind the other, and where each of them ends.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8], ends: &[u32], control: &[u32], end_tokens: &[u32]) -> JsResult<JsVocabulary> {
        let mut start = 0;
        let token = |end: &u32| {
            let range = core::mem::replace(&mut start, *end as usize)..*end as usize;
            bytes.get(range).unwrap_or_default().to_vec()
        };
        let tokens: Vec<Vec<u8>> = ends.iter().map(token).collect();
        Ok(JsVocabulary(Vocabulary::new(&tokens, control, end_tokens).map_err(to_js)?))
    }

    /// Reads a grammar of a [`Kind`] by name, for a text that `stop_tokens` end too.
    pub fn constrain(&self, kind: &str, text: &str, stop_tokens: &[u32]) -> JsResult<JsConstraint> {
        let kind = Kind::from_name(kind).ok_or_else(|| to_js(Error(format!("there is no grammar of kind {kind}"))))?;
        self.0.constrain(kind, text, stop_tokens).map(JsConstraint).map_err(to_js)
    }
}

/// What one text has to be like.
#[wasm_bindgen(js_name = Constraint)]
#[derive(Debug)]
pub struct JsConstraint(Constraint);

#[wasm_bindgen(js_class = Constraint)]
impl JsConstraint {
    /// Says how many tokens may come.
    pub fn limit(&mut self, max_tokens: u32) {
        self.0.limit(max_tokens);
    }

    /// Which tokens may come next, a bit for each.
    pub fn allowed(&mut self) -> JsResult<Vec<u32>> {
        self.0.allowed().map(<[u32]>::to_vec).map_err(to_js)
    }

    /// Takes the token that came.
    pub fn accept(&mut self, token: u32) -> JsResult<()> {
        self.0.accept(token).map_err(to_js)
    }
}
