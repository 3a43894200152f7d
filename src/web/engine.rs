//! A loaded model as the page's worker sees it.

use super::options::StartOptions;
use super::{JsResult, Value, object, to_js_error, to_text};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, TensorInfo};
use crate::model::{Adapter, KvCache, MAX_BATCH, Model};
use crate::session::{Drafted, Generation, Pooling, Session, Step, StopReason};
use crate::tokenizer::{EncodeOptions, StopStrings, TextStream, Tokenizer};
use js_sys::{Float32Array, Uint8Array, Uint32Array};
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use web_sys::Element;

/// What the page is told about a model.
fn info(session: &Session, tokenizer: &Tokenizer, gguf: &Gguf) -> JsValue {
    use Value::{Number, Text};
    let (model, config) = (session.model(), session.model().config());
    let mut properties = vec![
        ("name", Text("")),
        ("architecture", Text(config.architecture)),
        ("parameters", Number(gguf.n_parameters() as f64)),
        ("fileBytes", Number(gguf.file_bytes as f64)),
        ("quantization", Text(gguf.main_format().map_or("", |format| format.name()))),
        ("tokenizer", Text(tokenizer.model())),
        ("weightBytes", Number(model.weight_bytes() as f64)),
        ("cacheType", Text(session.cache_type().name())),
        ("cacheBytes", Number(KvCache::bytes_needed(config, session.n_ctx(), session.cache_type()) as f64)),
    ];
    let counts = [
        ("nCtx", session.n_ctx()),
        ("nCtxTrain", config.n_ctx_train),
        ("nVocab", config.n_vocab),
        ("nLayer", config.n_layer),
        ("nEmbd", config.n_embd),
        ("nHead", config.n_head),
        ("nHeadKv", config.n_head_kv),
        ("headDim", config.head_dim),
        ("nFf", config.n_ff),
    ];
    properties.extend(counts.map(|(name, n)| (name, Number(n as f64))));
    let matrices = gguf.tensors.iter().filter(|tensor| tensor.shape.get(1).is_some_and(|rows| *rows > 1));
    let row = |tensor: &TensorInfo| {
        let (name, format) = (&tensor.name, tensor.format.name());
        format!("{name} {format} {} {}\n", tensor.shape[0], tensor.shape[1..].iter().product::<u64>())
    };
    let list: String = matrices.map(row).collect();
    properties.push(("tensors", Text(&list)));
    for name in ["name", "license", "description", "author", "url"] {
        let text = gguf.metadata.str(&format!("general.{name}")).ok().flatten();
        properties.extend(text.map(|text| (name, Text(text))));
    }
    let template = gguf.metadata.str("tokenizer.chat_template").ok().flatten();
    properties.extend(template.map(|text| ("chatTemplate", Text(text))));
    object(&properties)
}

/// What starting a generation found out.
#[derive(Debug)]
struct Started {
    prompt_tokens: Vec<u32>,
    reused_tokens: usize,
    seed: u32,
    /// [`Session::hash`].
    model: u64,
}

/// What one call of [`Engine::step`] did.
#[derive(Debug)]
enum Stepped {
    Prefill { done: usize, total: usize },
    Logits,
    Token { token: u32, text: String, probability: f32 },
    End { text: String, stop_reason: StopReason },
}

/// Where the session is.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of it, and a box would be one more way to run out of memory"
)]
enum State {
    Idle(Session),
    Running(Generation<Session>),
    /// Only for the length of a change from one to the other.
    Between,
}

/// A loaded model with its one session.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    info: JsValue,
    tokenizer: Arc<Tokenizer>,
    state: State,
    text: TextStream,
    stops: StopStrings,
    /// Whether one of these came.
    stopped: bool,
    adapters: Vec<Arc<Adapter>>,
    draft: Option<Arc<Model>>,
    /// Of the last generation that ended.
    drafted: Drafted,
}

impl Engine {
    pub(super) fn new(session: Session, tokenizer: Tokenizer, gguf: &Gguf) -> Engine {
        let info = info(&session, &tokenizer, gguf);
        Engine::from_parts(session, Arc::new(tokenizer), info)
    }

    fn from_parts(session: Session, tokenizer: Arc<Tokenizer>, info: JsValue) -> Engine {
        Engine {
            info,
            tokenizer,
            state: State::Idle(session),
            text: TextStream::new(),
            stops: StopStrings::default(),
            stopped: false,
            adapters: Vec::new(),
            draft: None,
            drafted: Drafted::default(),
        }
    }

    /// Ends a running generation and hands out its session.
    pub(super) fn session(&mut self) -> Result<&mut Session> {
        self.state = match core::mem::replace(&mut self.state, State::Between) {
            State::Running(generation) => {
                self.drafted = generation.drafted();
                State::Idle(generation.into_session())
            }
            other => other,
        };
        match &mut self.state {
            State::Idle(session) => Ok(session),
            _ => Err(Error::Limit("the engine is broken: load the model again".into())),
        }
    }

    /// Without a prompt the text that is there goes on.
    fn begin(&mut self, prompt: &JsValue, options: &JsValue) -> Result<Started> {
        let StartOptions { parse_special, stops, mut generate } =
            StartOptions::read(options, &self.tokenizer, self.draft.as_ref())?;
        let tokens = match prompt.dyn_ref::<Uint32Array>() {
            Some(tokens) => Some(tokens.to_vec()),
            None if prompt.is_undefined() => None,
            None => Some(self.tokenizer.encode_prompt(&to_text(prompt)?, parse_special)?),
        };
        let seed = generate.sampler.seed;
        // All that can be refused is refused here, so that the session is never lost on the way into a generation.
        let session = self.session()?;
        generate.check(session)?;
        let (reused_tokens, tokens) = match tokens {
            Some(tokens) => (session.prepare(&tokens)?, tokens),
            None => (session.step_back()?, session.tokens().to_vec()),
        };
        let model = session.hash();
        self.text = TextStream::new();
        (self.stops, self.stopped) = (stops, false);
        if let State::Idle(session) = core::mem::replace(&mut self.state, State::Between) {
            self.state = State::Running(match prompt.is_undefined() {
                true => Generation::resume(session, generate)?,
                false => Generation::new(session, &tokens, generate)?,
            });
        }
        Ok(Started { prompt_tokens: tokens, reused_tokens, seed, model })
    }

    fn pull(&mut self) -> Result<Stepped> {
        let State::Running(generation) = &mut self.state else {
            return Err(Error::Argument("nothing is being generated: start it first".into()));
        };
        if self.stopped {
            self.session()?;
            return Ok(Stepped::End { text: String::new(), stop_reason: StopReason::Stop });
        }
        match generation.next().transpose()? {
            Some(Step::Prefill { n_done, n_total }) => Ok(Stepped::Prefill { done: n_done, total: n_total }),
            Some(Step::Logits) => Ok(Stepped::Logits),
            Some(Step::Token { token, probability }) => {
                let (text, stopped) = self.stops.push(self.text.push(&self.tokenizer, token)?);
                self.stopped = stopped;
                Ok(Stepped::Token { token, text: text.to_owned(), probability })
            }
            None => {
                let stop_reason = generation.stop_reason();
                self.session()?;
                let stop_reason =
                    stop_reason.ok_or_else(|| Error::Argument("this generation has ended by an error".into()))?;
                Ok(Stepped::End { text: self.stops.finish() + &self.text.finish(), stop_reason })
            }
        }
    }

    fn adapted(&mut self, file: Option<Uint8Array>, scales: &Float32Array) -> Result<()> {
        if let Some(file) = file {
            let adapter = Adapter::load(self.session()?.model(), &file.to_vec())?;
            self.adapters.push(Arc::new(adapter));
        }
        let mut chosen = Vec::new();
        for (adapter, scale) in self.adapters.iter().zip(scales.to_vec()) {
            if scale != 0.0 {
                chosen.push((adapter.clone(), scale));
            }
        }
        self.session()?.set_adapters(chosen)
    }

    fn measured(&mut self, tokens: &[u32], what: &str) -> Result<Float32Array> {
        let session = self.session()?;
        let n_vocab = session.model().config().n_vocab;
        match what {
            "mean" => return Ok(Float32Array::from(&session.embed(tokens, Pooling::Mean)?[..])),
            "embeddings" => return Ok(Float32Array::from(&session.embeddings(tokens)?[..])),
            "last" => return Ok(Float32Array::from(&session.embed(tokens, Pooling::Last)?[..])),
            "score" => {
                let scores: Vec<f32> = session.score(tokens)?.into_iter().map(|ln_p| ln_p as f32).collect();
                return Ok(Float32Array::from(&scores[..]));
            }
            _ => {}
        }
        session.clear();
        let all = Float32Array::new_with_length((tokens.len() * n_vocab) as u32);
        for (i, batch) in tokens.chunks(MAX_BATCH).enumerate() {
            let start = (i * MAX_BATCH * n_vocab) as u32;
            let logits = session.forward_all(batch)?;
            all.subarray(start, start + logits.len() as u32).copy_from(logits);
        }
        Ok(all)
    }

    /// What a step did, as an object.
    fn tell(&mut self, stepped: &Stepped) -> JsValue {
        use Value::{Floats, Number, Text};
        match stepped {
            Stepped::Prefill { done, total } => {
                object(&[("kind", Text("prefill")), ("done", Number(*done as f64)), ("total", Number(*total as f64))])
            }
            Stepped::Logits => object(&[("kind", Text("logits")), ("logits", Floats(self.logits_mut()))]),
            Stepped::Token { token, text, probability } => {
                let mut best = Vec::new();
                if let State::Running(generation) = &self.state {
                    for (token, ln_p) in generation.alternatives() {
                        best.extend([*token as f32, *ln_p]);
                    }
                }
                object(&[
                    ("kind", Text("token")),
                    ("token", Number((*token).into())),
                    ("text", Text(text)),
                    ("probability", Number((*probability).into())),
                    ("alternatives", Floats(&best)),
                ])
            }
            Stepped::End { text, stop_reason } => {
                object(&[("kind", Text("end")), ("text", Text(text)), ("stopReason", Text(stop_reason.name()))])
            }
        }
    }

    fn logits_mut(&mut self) -> &mut [f32] {
        match &mut self.state {
            State::Running(generation) => generation.logits_mut(),
            _ => &mut [],
        }
    }
}

#[wasm_bindgen]
impl Engine {
    /// What this model is.
    pub fn info(&self) -> JsValue {
        self.info.clone()
    }

    /// The tokens of a text; with `ends`, behind them as many numbers more: where in the text each of them ends, in bytes.
    /// No control token begins at a byte that `plain` names.
    pub fn tokenize(
        &self,
        text: &JsValue,
        add_special: bool,
        parse_special: bool,
        ends: bool,
        plain: &JsValue,
    ) -> JsResult<Uint32Array> {
        let options = EncodeOptions { add_special, parse_special };
        let plain = Uint32Array::new(plain).to_vec();
        let (mut tokens, found) = to_text(text)
            .and_then(|text| self.tokenizer.encode_with_plain(&text, options, &plain))
            .map_err(to_js_error)?;
        if ends {
            tokens.extend(found);
        }
        Ok(Uint32Array::from(&tokens[..]))
    }

    /// Every token: `bytes` one behind the other and where each of them `ends`; control tokens as they are spelled, and which
    /// these are; `special`: BOS, EOS, EOT (2³² − 1 where there is none), and whether BOS is added; which tokens end a text.
    pub fn vocabulary(&self) -> JsResult<JsValue> {
        let tokenizer = &self.tokenizer;
        let (mut bytes, mut ends, mut control) = (Vec::new(), Vec::new(), Vec::new());
        for token in 0..tokenizer.n_vocab() as u32 {
            if tokenizer.is_control(token) {
                control.push(token);
                bytes.extend_from_slice(tokenizer.spelling(token));
            } else {
                bytes.extend_from_slice(&tokenizer.piece(token).map_err(to_js_error)?);
            }
            ends.push(bytes.len() as u32);
        }
        let none = |token: Option<u32>| token.unwrap_or(u32::MAX);
        let special =
            [none(tokenizer.bos()), none(tokenizer.eos()), none(tokenizer.eot()), u32::from(tokenizer.adds_bos())];
        Ok(object(&[
            ("bytes", Value::Bytes(&bytes)),
            ("ends", Value::Tokens(&ends)),
            ("control", Value::Tokens(&control)),
            ("special", Value::Tokens(&special)),
            ("endTokens", Value::Tokens(tokenizer.ends())),
        ]))
    }

    /// The text of some tokens.
    pub fn detokenize(&self, tokens: &Uint32Array) -> JsResult<JsValue> {
        let text = self.tokenizer.decode(&tokens.to_vec()).map_err(to_js_error)?;
        Ok(JsValue::from_str(&text))
    }

    /// Begins a generation in place of the one before. Computes nothing yet.
    pub fn start(&mut self, prompt: &JsValue, options: JsValue) -> JsResult<JsValue> {
        let Started { prompt_tokens, reused_tokens, seed, model } =
            self.begin(prompt, &options).map_err(to_js_error)?;
        Ok(object(&[
            ("promptTokens", Value::Tokens(&prompt_tokens)),
            ("reusedTokens", Value::Number(reused_tokens as f64)),
            ("seed", Value::Number(seed.into())),
            ("model", Value::Tokens(&[(model >> 32) as u32, model as u32])),
        ]))
    }

    /// Computes a piece of the prompt, or one token, or finds the end. After a step of kind `logits` the next token is chosen
    /// by `logits`. With `allowed` there is no such step: the token is one of those whose bit is set, from the lowest on. Text
    /// goes into `element`, if there is one.
    pub fn step(
        &mut self,
        logits: Option<Float32Array>,
        element: Option<Element>,
        allowed: Option<Vec<u32>>,
    ) -> JsResult<JsValue> {
        if let Some(logits) = logits {
            let own = self.logits_mut();
            if logits.length() as usize != own.len() {
                return Err(to_js_error(Error::Argument("there must be one logit for each token".into())));
            }
            logits.copy_to(own);
        }
        let mut stepped = self.pull().map_err(to_js_error)?;
        if let (Stepped::Logits, Some(allowed)) = (&stepped, allowed) {
            for (token, logit) in self.logits_mut().iter_mut().enumerate() {
                if allowed.get(token / 32).is_none_or(|bits| bits >> (token % 32) & 1 == 0) {
                    *logit = f32::NEG_INFINITY;
                }
            }
            stepped = self.pull().map_err(to_js_error)?;
        }
        if let (Some(element), Stepped::Token { text, .. } | Stepped::End { text, .. }) = (element, &stepped) {
            element.append_with_str_1(text)?;
        }
        Ok(self.tell(&stepped))
    }

    /// Forgets the running generation. What is computed of its text stays for the next prompt with the same beginning.
    pub fn cancel(&mut self) -> JsResult<()> {
        self.session().map(|_| ()).map_err(to_js_error)
    }

    /// How many tokens the last generation guessed, and how many of them came; known once it has ended.
    pub fn drafted(&self) -> Uint32Array {
        Uint32Array::from(&[self.drafted.proposed, self.drafted.accepted][..])
    }

    /// The text with all that is computed of it, as bytes. Ends a running generation.
    pub fn save(&mut self) -> JsResult<Uint8Array> {
        let session = self.session().map_err(to_js_error)?;
        Ok(Uint8Array::from(&session.save()[..]))
    }

    /// Puts a saved text in place of this one, and returns its tokens.
    pub fn restore(&mut self, saved: &Uint8Array) -> JsResult<Uint32Array> {
        let session = self.session().map_err(to_js_error)?;
        session.restore(&saved.to_vec()).map_err(to_js_error)?;
        Ok(Uint32Array::from(session.tokens()))
    }

    /// Another engine over the same model, with a copy of the text and of what is computed of it.
    pub fn fork(&mut self) -> JsResult<Engine> {
        let copy = self.session().and_then(|session| session.try_clone()).map_err(to_js_error)?;
        let mut engine = Engine::from_parts(copy, self.tokenizer.clone(), self.info.clone());
        engine.adapters.clone_from(&self.adapters);
        engine.draft.clone_from(&self.draft);
        Ok(engine)
    }

    /// Has the other one's model guess wherever a generation asks for that.
    #[wasm_bindgen(js_name = setDraft)]
    pub fn set_draft(&mut self, mut other: Engine) -> JsResult<()> {
        if !self.tokenizer.has_vocabulary_of(&other.tokenizer) {
            let why = "the draft model has another vocabulary than the model: it cannot guess its tokens";
            return Err(to_js_error(Error::Argument(why.into())));
        }
        self.draft = Some(other.session().map_err(to_js_error)?.model().clone());
        Ok(())
    }

    /// Adds a LoRA adapter, if one is given. Then the i-th that was added counts `scales[i]` times, and those without a scale not
    /// at all. Ends a running generation; the text is to be computed anew.
    pub fn adapt(&mut self, file: Option<Uint8Array>, scales: &Float32Array) -> JsResult<()> {
        self.adapted(file, scales).map_err(to_js_error)
    }

    /// What the model makes of `tokens`, from an empty cache. `what` is `logits`: at every token, n_tokens × n_vocab;
    /// `score`: the natural logarithm of each token's probability after those before it, from the second on; `mean` or `last`:
    /// one vector of length 1, pooled in that way; `embeddings`: the embedding of each token, n_tokens × n_embd.
    pub fn measure(&mut self, tokens: &Uint32Array, what: &JsValue) -> JsResult<Float32Array> {
        to_text(what).and_then(|what| self.measured(&tokens.to_vec(), &what)).map_err(to_js_error)
    }
}
