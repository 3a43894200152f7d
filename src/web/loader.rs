//! Bytes from JS into the loader, without a stop in between.

use super::threads::pool;
use super::{Engine, JsResult, to_cache_type, to_js_error};
use crate::error::{Error, Result};
use crate::model::{self, Model};
use crate::session::Session;
use crate::tokenizer::Tokenizer;
use js_sys::Uint8Array;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

/// The most that weights may take: WebAssembly's 4 GB, less what a short context takes at least.
const MOST_BYTES: u64 = (4 << 30) - (64 << 20);

/// Takes a file's bytes in the order in which they arrive, and becomes an [`Engine`].
#[wasm_bindgen]
#[derive(Debug)]
pub struct Loader {
    inner: model::Loader,
    tokenizer: Option<Tokenizer>,
}

#[wasm_bindgen]
impl Loader {
    /// `fileBytes`: the file's length, where it is known for certain.
    #[wasm_bindgen(constructor)]
    pub fn new(file_bytes: Option<f64>) -> Loader {
        Loader { inner: model::Loader::new(file_bytes.map(|n| n as u64)), tokenizer: None }
    }

    /// Copies the bytes to where they stay. Faults of the file show as early as its bytes show them.
    pub fn push(&mut self, chunk: &Uint8Array) -> JsResult<()> {
        let mut taken = 0;
        while taken < chunk.length() {
            let room = self.inner.room().map_err(to_js_error)?;
            let n = room.len().min((chunk.length() - taken) as usize);
            chunk.subarray(taken, taken + n as u32).copy_to(&mut room[..n]);
            self.inner.advance(n).map_err(to_js_error)?;
            taken += n as u32;
        }
        self.read_tokenizer().map_err(to_js_error)
    }

    /// How many files the model is in, once the first one's header has been read.
    #[wasm_bindgen(getter, js_name = nFiles)]
    pub fn n_files(&self) -> Option<u32> {
        self.inner.n_files()
    }

    /// Says that this file is at its end and the model's next one follows.
    #[wasm_bindgen(js_name = nextPart)]
    pub fn next_part(&mut self, file_bytes: Option<f64>) -> JsResult<()> {
        self.inner.next_part(file_bytes.map(|n| n as u64)).map_err(to_js_error)
    }

    /// The file's length by its own header, once that has been read.
    #[wasm_bindgen(getter, js_name = totalBytes)]
    pub fn total_bytes(&self) -> Option<f64> {
        self.inner.total_bytes().map(|n| n as f64)
    }

    /// How many bytes have been taken.
    #[wasm_bindgen(getter, js_name = receivedBytes)]
    pub fn received_bytes(&self) -> f64 {
        self.inner.received_bytes() as f64
    }

    /// The engine, once every byte is there. `nCtx`: how many tokens a text may have; `cacheType`: `f32`, `f16` or `q8_0`.
    pub fn finish(mut self, n_ctx: Option<u32>, cache_type: &JsValue) -> JsResult<Engine> {
        let cache_type = to_cache_type(cache_type).map_err(to_js_error)?;
        self.read_tokenizer().map_err(to_js_error)?;
        let (model, gguf) = self.inner.finish().map_err(to_js_error)?;
        let tokenizer = match self.tokenizer {
            Some(tokenizer) => tokenizer,
            None => Tokenizer::from_metadata(&gguf.metadata).map_err(to_js_error)?,
        };
        if tokenizer.n_vocab() != model.config().n_vocab {
            return Err(to_js_error(Error::Format("the file has no vocabulary of the embedding's size".into())));
        }
        let session = Session::with_pool(Arc::new(model), n_ctx, cache_type, pool()).map_err(to_js_error)?;
        Ok(Engine::new(session, tokenizer, &gguf))
    }
}

impl Loader {
    /// Reads the tokenizer as soon as the header is there, so that a file whose text cannot be read is refused before
    /// its weights are downloaded.
    fn read_tokenizer(&mut self) -> Result<()> {
        if let (None, Some(header)) = (&self.tokenizer, self.inner.header()) {
            let needed = Model::bytes_needed(header);
            if needed > MOST_BYTES {
                let [needed, most] = [needed, MOST_BYTES].map(|bytes| bytes / 1_000_000);
                return Err(Error::Limit(format!(
                    "this model's weights take {needed} MB of memory, and a page has {most} MB for them: choose a smaller one"
                )));
            }
            self.tokenizer = Some(Tokenizer::from_metadata(&header.metadata)?);
        }
        Ok(())
    }
}
