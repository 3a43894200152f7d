//! A loaded model as the page's worker sees it.

use super::{JsResult, Value, number, object, to_js_error, to_text};
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::model::{KvCache, MAX_BATCH};
use crate::sampler::SamplerOptions;
use crate::session::{Drafted, GenerateOptions, Generation, MAX_DRAFT, Session, Speculation, Step, StopReason};
use crate::tokenizer::{EncodeOptions, TextStream, Tokenizer};
use js_sys::{Float32Array, Reflect, Uint32Array};
use wasm_bindgen::prelude::*;

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
    for name in ["name", "license", "description", "author", "url"] {
        let text = gguf.metadata.str(&format!("general.{name}")).ok().flatten();
        properties.extend(text.map(|text| (name, Text(text))));
    }
    object(&properties)
}

/// How the page asks for a text. What is left out takes the default.
///
/// Read property by property: there are few, and what reads any type from JS is as large as a kernel.
#[derive(Debug)]
struct StartOptions {
    max_tokens: Option<u32>,
    parse_special: bool,
    speculation: Speculation,
    sampler: SamplerOptions,
}

impl StartOptions {
    /// # Errors
    /// `Argument` for a property of another type; `Limit` where a seed has to be drawn and cannot be.
    fn read(options: &JsValue) -> Result<StartOptions> {
        let get = |name: &str| Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let float = |name, default: f32| Ok(number(options, name)?.map_or(default, |x| x as f32));
        let count = |name| match number(options, name)? {
            Some(x) if f64::from(x as u32) != x => {
                Err(Error::Argument(format!("{name} must be a whole number below 2³²")))
            }
            x => Ok(x.map(|x| x as u32)),
        };
        let default = SamplerOptions::default();
        Ok(StartOptions {
            max_tokens: count("maxTokens")?,
            parse_special: get("parseSpecial").is_truthy(),
            speculation: match get("speculative") {
                none if none.is_undefined() => Speculation::Off,
                word if word == "lookup" => Speculation::Lookup,
                _ => return Err(Error::Argument("speculative can be \"lookup\" or left out".into())),
            },
            sampler: SamplerOptions {
                temperature: float("temperature", default.temperature)?,
                top_k: count("topK")?.unwrap_or(default.top_k),
                top_p: float("topP", default.top_p)?,
                min_p: float("minP", default.min_p)?,
                repeat_penalty: float("repeatPenalty", default.repeat_penalty)?,
                presence_penalty: float("presencePenalty", default.presence_penalty)?,
                frequency_penalty: float("frequencyPenalty", default.frequency_penalty)?,
                repeat_last_n: count("repeatLastN")?.unwrap_or(default.repeat_last_n),
                seed: match count("seed")? {
                    Some(seed) => seed,
                    None => getrandom::u32().map_err(|_| {
                        Error::Limit("this browser gives no random numbers: choose a seed yourself".into())
                    })?,
                },
            },
        })
    }
}

/// What starting a generation found out.
#[derive(Debug)]
pub(super) struct Started {
    pub prompt_tokens: Vec<u32>,
    pub reused_tokens: usize,
    pub seed: u32,
}

/// What one call of [`Engine::step`] did.
#[derive(Debug)]
pub(super) enum Stepped {
    Prefill { done: usize, total: usize },
    Token { token: u32, text: String, probability: f32 },
    End { text: String, stop_reason: StopReason },
}

/// Where the session is.
#[derive(Debug)]
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
    tokenizer: Tokenizer,
    state: State,
    text: TextStream,
    /// Of the last generation that ended.
    pub(super) drafted: Drafted,
}

impl Engine {
    pub(super) fn new(session: Session, tokenizer: Tokenizer, gguf: &Gguf) -> Engine {
        let info = info(&session, &tokenizer, gguf);
        Engine { info, tokenizer, state: State::Idle(session), text: TextStream::new(), drafted: Drafted::default() }
    }

    /// Ends a running generation and hands out its session.
    fn session(&mut self) -> Result<&mut Session> {
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

    pub(super) fn begin(&mut self, prompt: &JsValue, options: JsValue) -> JsResult<Started> {
        let options = StartOptions::read(&options).map_err(to_js_error)?;
        let tokens = match prompt.dyn_ref::<Uint32Array>() {
            Some(tokens) => Ok(tokens.to_vec()),
            None => to_text(prompt).and_then(|text| self.tokenizer.encode_prompt(&text, options.parse_special)),
        };
        self.run(tokens.map_err(to_js_error)?, options).map_err(to_js_error)
    }

    fn run(&mut self, prompt_tokens: Vec<u32>, options: StartOptions) -> Result<Started> {
        let StartOptions { sampler, max_tokens, speculation, .. } = options;
        let (seed, stop_tokens) = (sampler.seed, self.tokenizer.ends().to_vec());
        let options = GenerateOptions { sampler, max_tokens, stop_tokens, speculation };
        // All that can be refused is refused here, so that the session is never lost on the way into a generation.
        options.sampler.check()?;
        if let Speculation::Lookup = options.speculation {
            self.session()?.reserve_draft(MAX_DRAFT)?;
        }
        let reused_tokens = self.session()?.prepare(&prompt_tokens)?;
        self.text = TextStream::new();
        if let State::Idle(session) = core::mem::replace(&mut self.state, State::Between) {
            self.state = State::Running(Generation::new(session, &prompt_tokens, options)?);
        }
        Ok(Started { prompt_tokens, reused_tokens, seed })
    }

    pub(super) fn pull(&mut self) -> Result<Stepped> {
        let State::Running(generation) = &mut self.state else {
            return Err(Error::Argument("nothing is being generated: start it first".into()));
        };
        match generation.next().transpose()? {
            Some(Step::Prefill { n_done, n_total }) => Ok(Stepped::Prefill { done: n_done, total: n_total }),
            Some(Step::Token { token, probability }) => {
                Ok(Stepped::Token { token, text: self.text.push(&self.tokenizer, token)?, probability })
            }
            None => {
                let stop_reason = generation.stop_reason();
                self.session()?;
                let stop_reason =
                    stop_reason.ok_or_else(|| Error::Argument("this generation has ended by an error".into()))?;
                Ok(Stepped::End { text: self.text.finish(), stop_reason })
            }
        }
    }

    fn all_logits(&mut self, tokens: &[u32]) -> Result<Float32Array> {
        let session = self.session()?;
        let n_vocab = session.model().config().n_vocab;
        session.clear();
        let all = Float32Array::new_with_length((tokens.len() * n_vocab) as u32);
        for (i, batch) in tokens.chunks(MAX_BATCH).enumerate() {
            let start = (i * MAX_BATCH * n_vocab) as u32;
            let logits = session.forward_all(batch)?;
            all.subarray(start, start + logits.len() as u32).copy_from(logits);
        }
        Ok(all)
    }
}

#[wasm_bindgen]
impl Engine {
    /// What this model is.
    pub fn info(&self) -> JsValue {
        self.info.clone()
    }

    /// The tokens of a text; with `ends`, behind them as many numbers more: where in the text each of them ends, in bytes.
    pub fn tokenize(
        &self,
        text: &JsValue,
        add_special: bool,
        parse_special: bool,
        ends: bool,
    ) -> JsResult<Uint32Array> {
        let options = EncodeOptions { add_special, parse_special };
        let (mut tokens, found) =
            to_text(text).and_then(|text| self.tokenizer.encode_with_ends(&text, options)).map_err(to_js_error)?;
        if ends {
            tokens.extend(found);
        }
        Ok(Uint32Array::from(&tokens[..]))
    }

    /// The text of some tokens.
    pub fn detokenize(&self, tokens: &Uint32Array) -> JsResult<String> {
        self.tokenizer.decode(&tokens.to_vec()).map_err(to_js_error)
    }

    /// Begins a generation in place of the one before. Computes nothing yet.
    pub fn start(&mut self, prompt: &JsValue, options: JsValue) -> JsResult<JsValue> {
        let Started { prompt_tokens, reused_tokens, seed } = self.begin(prompt, options)?;
        Ok(object(&[
            ("promptTokens", Value::Tokens(&prompt_tokens)),
            ("reusedTokens", Value::Number(reused_tokens as f64)),
            ("seed", Value::Number(seed.into())),
        ]))
    }

    /// Computes a piece of the prompt, or one token, or finds the end.
    pub fn step(&mut self) -> JsResult<JsValue> {
        use Value::{Number, Text};
        Ok(match self.pull().map_err(to_js_error)? {
            Stepped::Prefill { done, total } => {
                object(&[("kind", Text("prefill")), ("done", Number(done as f64)), ("total", Number(total as f64))])
            }
            Stepped::Token { token, text, probability } => object(&[
                ("kind", Text("token")),
                ("token", Number(token.into())),
                ("text", Text(&text)),
                ("probability", Number(probability.into())),
            ]),
            Stepped::End { text, stop_reason } => {
                object(&[("kind", Text("end")), ("text", Text(&text)), ("stopReason", Text(stop_reason.name()))])
            }
        })
    }

    /// Forgets the running generation. What is computed of its text stays for the next prompt with the same beginning.
    pub fn cancel(&mut self) -> JsResult<()> {
        self.session().map(|_| ()).map_err(to_js_error)
    }

    /// How many tokens the last generation guessed, and how many of them came; known once it has ended.
    pub fn drafted(&self) -> Vec<u32> {
        vec![self.drafted.proposed, self.drafted.accepted]
    }

    /// The logits at every one of `tokens`, from an empty cache: n_tokens × n_vocab.
    pub fn logits(&mut self, tokens: &Uint32Array) -> JsResult<Float32Array> {
        self.all_logits(&tokens.to_vec()).map_err(to_js_error)
    }
}
