//! Vocabularies made on the spot.

use pagelm::gguf::{Array, Metadata, Value, ValueType};
use pagelm::tokenizer::{EncodeOptions, Tokenizer};

pub const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
pub const ADD: EncodeOptions = EncodeOptions { add_special: true, parse_special: false };
pub const PARSE: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };

pub const NORMAL: i32 = 1;
pub const UNKNOWN: i32 = 2;
pub const CONTROL: i32 = 3;
pub const USER_DEFINED: i32 = 4;
pub const UNUSED: i32 = 5;
pub const BYTE: i32 = 6;

/// A tokenizer's metadata in the making.
#[derive(Debug, Clone, Default)]
pub struct Small {
    pub pairs: Vec<(String, Value)>,
    tokens: Vec<Vec<u8>>,
    scores: Vec<f32>,
    types: Vec<i32>,
    merges: Option<Vec<String>>,
}

impl Small {
    /// `<unk>`, `<s>`, `</s>`, the 256 byte tokens, and then these pieces, each with a score.
    pub fn spm(pieces: &[(&str, f32)]) -> Small {
        let mut small = Small::default().with("model", Value::Str("llama".into()));
        for (text, kind) in [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)] {
            small = small.token(text, 0.0, kind);
        }
        for byte in 0..=255 {
            small = small.token(format!("<0x{byte:02X}>"), 0.0, BYTE);
        }
        pieces.iter().fold(small, |small, (text, score)| small.token(text, *score, NORMAL))
    }

    /// The 256 characters for bytes, in the order of the bytes, and then what these merges make.
    pub fn bpe(merges: &[&str]) -> Small {
        let mut small = Small::default().with("model", Value::Str("gpt2".into()));
        small = small.with("pre", Value::Str("gpt-2".into()));
        for byte in 0..=255 {
            small = small.token(byte_char(byte).to_string(), 0.0, NORMAL);
        }
        for merge in merges {
            small = small.token(merge.replace(' ', ""), 0.0, NORMAL);
        }
        small.merges = Some(merges.iter().map(ToString::to_string).collect());
        small
    }

    pub fn token(mut self, text: impl AsRef<[u8]>, score: f32, kind: i32) -> Small {
        self.tokens.push(text.as_ref().to_vec());
        self.scores.push(score);
        self.types.push(kind);
        self
    }

    /// Sets `tokenizer.ggml.{key}`.
    pub fn with(mut self, key: &str, value: Value) -> Small {
        self.pairs.push((format!("tokenizer.ggml.{key}"), value));
        self
    }

    pub fn metadata(&self) -> Metadata {
        let mut pairs = self.pairs.clone();
        let mut default = |key: &str, value: Value| {
            let key = format!("tokenizer.ggml.{key}");
            if pairs.iter().all(|(other, _)| *other != key) {
                pairs.push((key, value));
            }
        };
        default("tokens", strings(&self.tokens));
        default("scores", f32s(&self.scores));
        default("token_type", i32s(&self.types));
        if let Some(merges) = &self.merges {
            default("merges", strings(merges));
        }
        Metadata::new(pairs)
    }

    pub fn build(&self) -> Tokenizer {
        Tokenizer::from_metadata(&self.metadata()).unwrap()
    }
}

pub fn strings<S: AsRef<[u8]>>(strings: &[S]) -> Value {
    Value::Array(Array::Str(strings.iter().collect()))
}

pub fn f32s(numbers: &[f32]) -> Value {
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    Value::Array(Array::Num { kind: ValueType::F32, bytes })
}

pub fn i32s(numbers: &[i32]) -> Value {
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    Value::Array(Array::Num { kind: ValueType::I32, bytes })
}

/// GPT-2's `bytes_to_unicode`, as its authors wrote it.
pub fn byte_char(byte: u8) -> char {
    let itself = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if itself(byte) {
        return char::from(byte);
    }
    let n = (0..byte).filter(|b| !itself(*b)).count();
    char::from_u32(0x100 + n as u32).unwrap()
}
