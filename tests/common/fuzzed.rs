//! What the fuzzing targets do with the bytes that they are given. `tests/fuzzed.rs` does the same with every input that was
//! once a fault.
//!
//! Whatever the bytes are: an error, or a result that keeps its promises; never a panic, and no end of time or memory.

use pagelm::error::Result;
use pagelm::gguf::{Gguf, Value};
use pagelm::model::{CacheType, Loader, Model};
use pagelm::sampler::{Sampler, SamplerOptions};
use pagelm::session::{GenerateOptions, Generation, Session};
use pagelm::tokenizer::{EncodeOptions, TextStream, Tokenizer};
use small::{CONTROL, Small};
use std::sync::Arc;

#[path = "../tokenizer/small.rs"]
#[allow(dead_code, reason = "the tokenizer's own tests use more of it")]
mod small;

/// A file is read the same whole and in pieces.
pub fn container(data: &[u8]) {
    let whole = Gguf::parse(data);
    let prefix = Gguf::parse_prefix(data);
    if let Ok(gguf) = &whole {
        assert!(matches!(prefix, Ok(Some(_))), "a whole file is a prefix too");
        let _ = Model::check(gguf);
        let _ = Tokenizer::from_metadata(&gguf.metadata);
        for tensor in &gguf.tensors {
            let _ = tensor.n_elements();
        }
        let _ = (gguf.n_parameters(), gguf.main_format());
    }
    let loaded = |piece: usize| load(data, piece).map(|_| ()).map_err(|error| error.code());
    let (small, large) = (loaded(7), loaded(4096));
    assert_eq!(small, large, "a file is the same in pieces of any size");
    assert!(whole.is_ok() || small.is_err(), "refused whole, taken in pieces");
}

fn load(data: &[u8], piece: usize) -> Result<(Model, Gguf)> {
    let mut loader = Loader::new(None);
    for piece in data.chunks(piece) {
        loader.push(piece)?;
    }
    loader.finish()
}

/// A text is cut into tokens that spell it, in ranges that cover it, and comes out again however it is cut.
///
/// The first byte chooses the vocabulary, the second how the text is cut; the text is what of the rest is UTF-8.
pub fn tokenizer(data: &[u8]) {
    let [choice, cut, rest @ ..] = data else { return };
    let tokenizer = vocabulary(*choice);
    let text = String::from_utf8_lossy(rest);
    let options = EncodeOptions { add_special: false, parse_special: cut & 1 == 1 };
    let Ok(tokens) = tokenizer.encode(&text, options) else { return };
    assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.n_vocab()));
    let (with_ranges, ends) = tokenizer.encode_with_ends(&text, options).expect("it was encoded before");
    assert_eq!(with_ranges, tokens);
    assert!(ends.is_sorted() && ends.last().is_none_or(|end| *end as usize == text.len()), "ranges cover the text");
    let whole = tokenizer.decode(&tokens).expect("these are its own tokens");
    let mut stream = TextStream::at_start();
    let mut streamed = String::new();
    for token in &tokens {
        streamed += stream.push(&tokenizer, *token).expect("these are its own tokens");
    }
    streamed += &stream.finish();
    assert_eq!(streamed, whole, "token by token and at once");
}

/// Small vocabularies that hold every byte: SPM, and BPE by each kind of splitting.
fn vocabulary(choice: u8) -> Tokenizer {
    const PRE: [&str; 12] = [
        "gpt-2",
        "llama-bpe",
        "qwen2",
        "deepseek-llm",
        "deepseek-coder",
        "falcon",
        "starcoder",
        "tekken",
        "gpt-4o",
        "smollm",
        "chatglm-bpe",
        "superbpe",
    ];
    let small = match PRE.get(usize::from(choice) % (PRE.len() + 1)) {
        None => Small::spm(&[("▁", -1.0), ("a", -2.0), ("▁a", -3.0), ("aa", -4.0), ("▁▁", -5.0)]),
        Some(pre) => {
            let mut small = Small::bpe(&["Ġ a", "a a", "Ġ Ġ"]);
            small.pairs.retain(|(key, _)| key != "tokenizer.ggml.pre");
            small.with("pre", Value::Str((*pre).into()))
        }
    };
    small.token("<|x|>", 0.0, CONTROL).build()
}

/// The whole way under tiny limits: load, cut a prompt, prefill, write some tokens, save, damage, restore.
pub fn run(data: &[u8]) {
    let Ok((model, gguf)) = load(data, 1000) else { return };
    let config = model.config();
    let needed = Session::bytes_needed(config, 12, CacheType::F32);
    if needed > 16 << 20 {
        return; // sound perhaps, and too large for a fuzzer's patience
    }
    let n_vocab = config.n_vocab;
    let prompt = match Tokenizer::from_metadata(&gguf.metadata) {
        Ok(tokenizer) => tokenizer.encode("ab a<s>é", EncodeOptions { add_special: true, parse_special: true }).ok(),
        Err(_) => None,
    };
    let mut prompt = prompt.unwrap_or_default();
    prompt.truncate(6);
    prompt.push((n_vocab - 1) as u32);
    let cache = [CacheType::F32, CacheType::F16, CacheType::Q8_0][data.len() % 3];
    let Ok(mut session) = Session::with_cache_type(Arc::new(model), Some(12), cache) else { return };
    let options = GenerateOptions { max_tokens: Some(8), ..GenerateOptions::default() };
    let Ok(generation) = Generation::new(&mut session, &prompt, options) else { return };
    for step in generation {
        if step.is_err() {
            return;
        }
    }
    let mut saved = session.save();
    session.restore(&saved).expect("what was saved is restored");
    let at = data.len() * 31 % saved.len();
    saved[at] ^= 1 + (data.len() % 255) as u8;
    session.restore(&saved).expect_err("damage is seen");
    let mut sampler = Sampler::new(SamplerOptions::default(), n_vocab).expect("the defaults are sound");
    let _ = session.prepare(&prompt).and_then(|_| sampler.sample(session.forward(&[])?, &[]));
}
