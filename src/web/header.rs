//! What a file's first bytes tell, before the rest is downloaded.

use super::{JsResult, Value, object, to_cache_type, to_js_error};
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::model::{Config, Model};
use crate::session::{DEFAULT_N_CTX, Session};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

/// Takes a file's first bytes until its header is whole.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Header {
    bytes: Vec<u8>,
    gguf: Option<Gguf>,
}

#[wasm_bindgen]
impl Header {
    /// A header of which nothing is known yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Header {
        Header::default()
    }

    /// Takes more bytes; true once the header is whole. Faults of the file show as early as its bytes show them.
    pub fn push(&mut self, chunk: &Uint8Array) -> JsResult<bool> {
        self.bytes.extend_from_slice(&chunk.to_vec());
        self.gguf = Gguf::parse_prefix(&self.bytes).map_err(to_js_error)?;
        Ok(self.gguf.is_some())
    }

    /// What the file holds and takes. Of a model in several files, all but its first file: `is_more`, without a context.
    pub fn estimate(&self, n_ctx: Option<u32>, cache_type: &JsValue, is_more: bool) -> JsResult<JsValue> {
        self.told(n_ctx, cache_type, is_more).map_err(to_js_error)
    }
}

impl Header {
    fn told(&self, n_ctx: Option<u32>, cache_type: &JsValue, is_more: bool) -> Result<JsValue> {
        let cache_type = to_cache_type(cache_type)?;
        let gguf = self.gguf.as_ref().ok_or_else(|| Error::Format("the file ends within its header".into()))?;
        let n_files = gguf.metadata.u32("split.count")?.unwrap_or(1);
        let number = |n: u64| Value::Number(n as f64);
        let of_file = [
            ("fileBytes", number(gguf.file_bytes)),
            ("parameters", number(gguf.n_parameters())),
            ("weightBytes", number(Model::bytes_needed(gguf))),
        ];
        if is_more {
            return Ok(object(&of_file));
        }
        let config = if n_files > 1 { Config::from_gguf(gguf)? } else { Model::check(gguf)? };
        let n_ctx = n_ctx.map_or(config.n_ctx_train.min(DEFAULT_N_CTX), |n| n as usize);
        let [file, parameters, weights] = of_file;
        Ok(object(&[
            file,
            parameters,
            weights,
            ("nFiles", number(n_files.into())),
            ("nCtx", number(n_ctx as u64)),
            ("nCtxTrain", number(config.n_ctx_train as u64)),
            ("sessionBytes", number(Session::bytes_needed(&config, n_ctx, cache_type))),
            ("architecture", Value::Text(config.architecture)),
            ("name", Value::Text(gguf.metadata.str("general.name")?.unwrap_or(""))),
        ]))
    }
}
