//! wasm-bindgen: types cross here, and nothing is decided here.
//!
//! The page sees a [`Loader`] that takes bytes and an [`Engine`] that takes prompts and is pulled, one step a call.
//! Every throw is a JS `Error` with a string property `code`, as [`crate::Error::code`] gives it.

mod engine;
mod header;
mod inspect;
mod loader;
mod options;
mod threads;

pub use engine::Engine;
pub use header::Header;
pub use loader::Loader;
#[cfg(target_feature = "atomics")]
pub use threads::{help, n_threads, set_threads, share};

use crate::error::{Error, Result};
use crate::model::CacheType;
use js_sys::{Array, Float32Array, JsString, Object, Reflect, Uint8Array, Uint32Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

/// Whether this build computes the right bits in this browser. Where it does not, another build has to be taken.
#[wasm_bindgen(js_name = selfTest)]
pub fn self_test() -> bool {
    crate::kernels::self_test()
}

/// What a binding returns: the error side is a JS `Error`.
type JsResult<T> = core::result::Result<T, JsValue>;

fn to_js_error(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    // Setting a property on a fresh object does not fail.
    let _ = Reflect::set(&js, &"code".into(), &error.code().into());
    js.into()
}

/// What a property holds on its way to JS.
enum Value<'a> {
    Number(f64),
    Text(&'a str),
    /// As a plain array of numbers.
    Tokens(&'a [u32]),
    Floats(&'a [f32]),
    Bytes(&'a [u8]),
}

/// A plain JS object. What serializes any type to JS is larger than all that is told here.
fn object(properties: &[(&str, Value<'_>)]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        let value = match value {
            Value::Number(x) => JsValue::from_f64(*x),
            Value::Text(text) => JsValue::from_str(text),
            Value::Bytes(bytes) => Uint8Array::from(*bytes).into(),
            Value::Floats(floats) => Float32Array::from(*floats).into(),
            Value::Tokens(tokens) => Array::from(&Uint32Array::from(*tokens)).into(),
        };
        // Setting a property on a fresh object does not fail.
        let _ = Reflect::set(&object, &JsValue::from_str(name), &value);
    }
    object.into()
}

/// A property that is a number; `None` where it is left out.
fn number(object: &JsValue, name: &str) -> Result<Option<f64>> {
    let value = Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED);
    match value.as_f64() {
        None if !value.is_undefined() => Err(Error::Argument(format!("{name} must be a number"))),
        number => Ok(number),
    }
}

/// A JS string as ours. One that holds half of a surrogate pair is no text and would silently change on the way.
fn to_text(value: &JsValue) -> Result<String> {
    let Some(string) = value.dyn_ref::<JsString>() else {
        return Err(Error::Argument("a string was expected here".into()));
    };
    // What is no character became U+FFFD.
    let text = String::from(string);
    if JsValue::from_str(&text) != *value {
        return Err(Error::Argument(
            "the text holds half of a surrogate pair, which is no character: cut it between characters".into(),
        ));
    }
    Ok(text)
}

/// How keys and values are kept, by its name; f32 where that is left out.
fn to_cache_type(name: &JsValue) -> Result<CacheType> {
    if name.is_undefined() {
        return Ok(CacheType::F32);
    }
    CacheType::from_name(&to_text(name)?)
}
