//! What the page asks of a generation.

use super::{number, to_text};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::sampler::{DRY_BREAKERS, SamplerOptions};
use crate::session::{GenerateOptions, Overflow, Speculation};
use crate::tokenizer::{StopStrings, Tokenizer};
use js_sys::{Array, Float64Array, Reflect, Uint32Array};
use std::sync::Arc;
use wasm_bindgen::prelude::*;

/// How the page asks for a text. What is left out takes the default.
///
/// Read property by property: what reads any type from JS is as large as a kernel.
#[derive(Debug)]
pub(super) struct StartOptions {
    pub parse_special: bool,
    pub stops: StopStrings,
    pub generate: GenerateOptions,
}

impl StartOptions {
    /// # Errors
    /// `Argument` for a property of another type.
    pub fn read(options: &JsValue, tokenizer: &Tokenizer, draft: Option<&Arc<Model>>) -> Result<StartOptions> {
        let get = |name: &str| Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let mut sampler = SamplerOptions::default();
        let mut wrong = Ok(());
        let mut read = |name: &str, least: f64, set: &mut dyn FnMut(f64)| match number(options, name) {
            Ok(Some(x)) if least == 0.0 && f64::from(x as u32) != x => {
                wrong = Err(Error::Argument(format!("{name} must be a whole number below 2³²")));
            }
            Ok(Some(x)) => set(x),
            Ok(None) => {}
            Err(error) => wrong = Err(error),
        };
        sampler.fractions(&mut |name, value, _, _| read(name, -1.0, &mut |x| *value = x as f32));
        sampler.counts(&mut |name, value| read(name, 0.0, &mut |x| *value = x as u32));
        let (mut max_tokens, mut n_alternatives, mut n_keep) = (u32::MAX, 0, 0);
        for (name, value) in [("maxTokens", &mut max_tokens), ("logprobs", &mut n_alternatives), ("nKeep", &mut n_keep)]
        {
            read(name, 0.0, &mut |x| *value = x as u32);
        }
        wrong?;
        if get("seed").is_undefined() {
            let none = |_| Error::Unsupported("this browser gives no random numbers: name a seed".into());
            sampler.seed = getrandom::u32().map_err(none)?;
        }
        sampler.banned_tokens = Uint32Array::new(&get("bannedTokens")).to_vec();
        for pair in Float64Array::new(&get("logitBias")).to_vec().chunks_exact(2) {
            sampler.logit_bias.push((pair[0] as u32, pair[1] as f32));
        }
        if sampler.dry_multiplier > 0.0 {
            let default = || DRY_BREAKERS.map(String::from).to_vec();
            sampler.dry_breakers = tokenizer.tokens_with(&strings(&get("dryBreakers"))?.unwrap_or_else(default));
        }
        let speculative = get("speculative");
        let speculation = match draft {
            _ if !speculative.is_truthy() => Speculation::Off,
            _ if speculative != "draft" => Speculation::Lookup,
            Some(model) => Speculation::Draft(model.clone()),
            None => return Err(Error::Argument("no draft model was loaded with this model".into())),
        };
        let mut stop_tokens = tokenizer.ends().to_vec();
        stop_tokens.extend(Uint32Array::new(&get("stopTokens")).to_vec());
        Ok(StartOptions {
            parse_special: get("parseSpecial").is_truthy(),
            stops: StopStrings::new(strings(&get("stop"))?.unwrap_or_default()),
            generate: GenerateOptions {
                sampler,
                max_tokens: Some(max_tokens),
                stop_tokens,
                speculation,
                overflow: if get("overflow") == "shift" { Overflow::Shift(n_keep as usize) } else { Overflow::Stop },
                n_alternatives,
                edits_logits: get("editsLogits").is_truthy(),
            },
        })
    }
}

/// A list of strings; `None` where it is left out.
fn strings(list: &JsValue) -> Result<Option<Vec<String>>> {
    if list.is_undefined() {
        return Ok(None);
    }
    let (list, mut strings) = (Array::from(list), Vec::new());
    for i in 0..list.length() {
        strings.push(to_text(&list.get(i))?);
    }
    Ok(Some(strings))
}
