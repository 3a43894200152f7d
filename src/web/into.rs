//! The plain path: text straight into an element, on the page's own thread.

use super::engine::{Engine, Stepped};
use super::{JsResult, Value, object, to_js_error};
use crate::error::Error;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Element, MessageChannel, Performance};

/// What is known when the text has ended.
#[derive(Debug)]
struct Report {
    text: String,
    tokens: Vec<u32>,
    prompt_tokens: Vec<u32>,
    reused_tokens: usize,
    seed: u32,
    stop_reason: &'static str,
    prefill_ms: f64,
    decode_ms: f64,
    proposed_tokens: u32,
    accepted_tokens: u32,
}

/// Lets the event loop run: a message to oneself, which no browser slows down as it does timers.
struct EventLoop(MessageChannel);

impl EventLoop {
    async fn turn(&self) -> JsResult<()> {
        let message = Promise::new(&mut |resolve, _| self.0.port1().set_onmessage(Some(&resolve)));
        self.0.port2().post_message(&JsValue::NULL)?;
        JsFuture::from(message).await.map(|_| ())
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.0.port1().close();
    }
}

fn clock() -> JsResult<Performance> {
    let no_page = || to_js_error(Error::Unsupported("generateInto needs a page; a worker has none".into()));
    web_sys::window().and_then(|window| window.performance()).ok_or_else(no_page)
}

#[wasm_bindgen]
impl Engine {
    /// Continues `prompt` and appends each piece to `element` as it comes. Resolves to a report; an aborted `signal`
    /// ends the text within one step.
    #[wasm_bindgen(js_name = generateInto)]
    pub async fn generate_into(
        &mut self,
        element: Element,
        prompt: JsValue,
        options: JsValue,
        signal: Option<AbortSignal>,
    ) -> JsResult<JsValue> {
        let (clock, event_loop) = (clock()?, EventLoop(MessageChannel::new()?));
        let started = self.begin(&prompt, options)?;
        let mut report = Report {
            text: String::new(),
            tokens: Vec::new(),
            prompt_tokens: started.prompt_tokens,
            reused_tokens: started.reused_tokens,
            seed: started.seed,
            stop_reason: "aborted",
            prefill_ms: 0.0,
            decode_ms: 0.0,
            proposed_tokens: 0,
            accepted_tokens: 0,
        };
        loop {
            event_loop.turn().await?;
            if signal.as_ref().is_some_and(AbortSignal::aborted) {
                break;
            }
            let before = clock.now();
            let stepped = self.pull().map_err(to_js_error)?;
            let ms = clock.now() - before;
            let ended = matches!(stepped, Stepped::End { .. });
            report.take(&element, stepped, ms)?;
            if ended {
                break;
            }
        }
        self.cancel()?;
        (report.proposed_tokens, report.accepted_tokens) = (self.drafted.proposed, self.drafted.accepted);
        Ok(report.object())
    }
}

impl Report {
    fn object(&self) -> JsValue {
        use Value::{Number, Text, Tokens};
        object(&[
            ("text", Text(&self.text)),
            ("tokens", Tokens(&self.tokens)),
            ("promptTokens", Tokens(&self.prompt_tokens)),
            ("reusedTokens", Number(self.reused_tokens as f64)),
            ("seed", Number(self.seed.into())),
            ("stopReason", Text(self.stop_reason)),
            ("prefillMs", Number(self.prefill_ms)),
            ("decodeMs", Number(self.decode_ms)),
            ("proposedTokens", Number(self.proposed_tokens.into())),
            ("acceptedTokens", Number(self.accepted_tokens.into())),
        ])
    }

    fn take(&mut self, element: &Element, stepped: Stepped, ms: f64) -> JsResult<()> {
        let text = match stepped {
            Stepped::Prefill { .. } => {
                self.prefill_ms += ms;
                return Ok(());
            }
            Stepped::Token { token, text, .. } => {
                self.tokens.push(token);
                text
            }
            Stepped::End { text, stop_reason } => {
                self.stop_reason = stop_reason.name();
                text
            }
        };
        self.decode_ms += ms;
        self.text.push_str(&text);
        if text.is_empty() { Ok(()) } else { element.append_with_str_1(&text) }
    }
}
