//! candle's quantized llama and qwen2, as a page drives them: token ids in, the next token out.

use std::io::Cursor;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2};
use wasm_bindgen::prelude::*;

enum Weights {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
}

/// A loaded model with its cache.
#[wasm_bindgen]
pub struct Model {
    weights: Weights,
    n_past: usize,
}

#[wasm_bindgen]
impl Model {
    /// Reads a whole GGUF file.
    #[wasm_bindgen(constructor)]
    pub fn new(file: Vec<u8>) -> std::result::Result<Model, JsError> {
        load(file).map_err(|error| JsError::new(&error.to_string()))
    }

    /// The most likely token after `tokens`, which follow those of the calls before. `from_start` begins a new text.
    pub fn next(&mut self, tokens: &[u32], from_start: bool) -> std::result::Result<u32, JsError> {
        self.forward(tokens, from_start).map_err(|error| JsError::new(&error.to_string()))
    }
}

impl Model {
    fn forward(&mut self, tokens: &[u32], from_start: bool) -> Result<u32> {
        if from_start {
            self.n_past = 0;
        }
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match &mut self.weights {
            Weights::Llama(model) => model.forward(&input, self.n_past)?,
            Weights::Qwen2(model) => model.forward(&input, self.n_past)?,
        };
        self.n_past += tokens.len();
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        // The same greedy choice as everywhere: the first of the largest.
        let mut best = 0;
        for (token, &logit) in logits.iter().enumerate() {
            if logit > logits[best] {
                best = token;
            }
        }
        Ok(best as u32)
    }
}

fn load(file: Vec<u8>) -> Result<Model> {
    let mut reader = Cursor::new(file);
    let content = Content::read(&mut reader)?;
    let is_qwen2 = content
        .metadata
        .get("general.architecture")
        .is_some_and(|name| name.to_string().is_ok_and(|name| name == "qwen2"));
    let weights = if is_qwen2 {
        Weights::Qwen2(quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu)?)
    } else {
        Weights::Llama(quantized_llama::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu)?)
    };
    Ok(Model { weights, n_past: 0 })
}
