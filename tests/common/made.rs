//! Models made on the spot: small, random, and sound unless a test changes them.

use pagelm::gguf::{Array, Gguf, Metadata, TensorInfo, Value, ValueType};
use pagelm::model::{CacheType, Loader, Model};
use pagelm::quant::{Format, float};
use pagelm::sampler::Rng;
use std::sync::Arc;

#[path = "blocks.rs"]
pub mod blocks;

/// Formats, one of each layout that weights are packed into, and one with minima in the layout of [`Format::Q6_K`].
pub const LAYOUTS: [Format; 10] = [
    Format::F32,
    Format::F16,
    Format::BF16,
    Format::Q8_0,
    Format::Q4_0,
    Format::Q4_K,
    Format::Q5_K,
    Format::Q6_K,
    Format::Q2_K,
    Format::IQ3_S,
];
/// Models that can be made.
pub const ARCHITECTURES: [fn(Shape, Format) -> Made; 3] = [llama, gpt2, qwen2];
/// Every way of keeping keys and values.
pub const CACHE_TYPES: [CacheType; 3] = [CacheType::F32, CacheType::F16, CacheType::Q8_0];

/// A model's shape, before it is a file.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub n_layer: u64,
    pub n_embd: u64,
    pub n_head: u64,
    pub n_head_kv: u64,
    pub n_ff: u64,
    pub n_ctx: u64,
    /// Pieces besides the three special tokens and, if there are any, the 256 bytes.
    pub n_pieces: u64,
    /// Whether the vocabulary holds all bytes.
    pub bytes: bool,
}

/// As small as a model gets.
pub const TINY: Shape =
    Shape { n_layer: 1, n_embd: 8, n_head: 2, n_head_kv: 1, n_ff: 8, n_ctx: 16, n_pieces: 5, bytes: false };

/// Large enough for every format: rows of 256.
pub const WIDE: Shape =
    Shape { n_layer: 2, n_embd: 256, n_head: 8, n_head_kv: 4, n_ff: 512, n_ctx: 160, n_pieces: 64, bytes: true };

/// A tensor in the making.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    /// The fastest-running dimension first.
    pub shape: Vec<u64>,
    pub format: Format,
    pub bytes: Vec<u8>,
}

/// A file in the making: metadata and tensors that a test may change before they are written.
#[derive(Debug, Clone, Default)]
pub struct Made {
    pub metadata: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
}

/// What a matrix is stored as; norms and biases are always F32.
pub fn llama(shape: Shape, format: Format) -> Made {
    let mut made = Made::begin("llama", shape);
    made.set("llama.attention.head_count_kv", Value::Int(shape.n_head_kv.into()));
    made.set("llama.attention.layer_norm_rms_epsilon", Value::Float(1e-5));
    made.spm(shape);
    let (d, f, n_kv) = (shape.n_embd, shape.n_ff, shape.n_embd / shape.n_head * shape.n_head_kv);
    let v = made.n_vocab();
    made.matrix("token_embd.weight", d, v, format);
    for layer in 0..shape.n_layer {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        made.vector(&name("attn_norm"), d, 1.0);
        made.matrix(&name("attn_q"), d, d, format);
        made.matrix(&name("attn_k"), d, n_kv, format);
        made.matrix(&name("attn_v"), d, n_kv, format);
        made.matrix(&name("attn_output"), d, d, format);
        made.vector(&name("ffn_norm"), d, 1.0);
        made.matrix(&name("ffn_gate"), d, f, format);
        made.matrix(&name("ffn_up"), d, f, format);
        made.matrix(&name("ffn_down"), f, d, format);
    }
    made.vector("output_norm.weight", d, 1.0);
    made.matrix("output.weight", d, v, format);
    made
}

/// As [`llama`], with biases at queries, keys and values, halves turned together, and a tied output.
pub fn qwen2(shape: Shape, format: Format) -> Made {
    let mut made = Made::begin("qwen2", shape);
    made.set("qwen2.attention.head_count_kv", Value::Int(shape.n_head_kv.into()));
    made.set("qwen2.attention.layer_norm_rms_epsilon", Value::Float(1e-6));
    made.set("qwen2.rope.freq_base", Value::Float(1e6));
    made.bpe(shape);
    made.set("tokenizer.ggml.pre", Value::Str("qwen2".into()));
    let (d, f, n_kv) = (shape.n_embd, shape.n_ff, shape.n_embd / shape.n_head * shape.n_head_kv);
    let v = made.n_vocab();
    made.matrix("token_embd.weight", d, v, format);
    for layer in 0..shape.n_layer {
        let name = |part: &str| format!("blk.{layer}.{part}");
        made.vector(&name("attn_norm.weight"), d, 1.0);
        for (part, rows) in [("attn_q", d), ("attn_k", n_kv), ("attn_v", n_kv)] {
            made.matrix(&name(&format!("{part}.weight")), d, rows, format);
            made.vector(&name(&format!("{part}.bias")), rows, 0.0);
        }
        made.matrix(&name("attn_output.weight"), d, d, format);
        made.vector(&name("ffn_norm.weight"), d, 1.0);
        made.matrix(&name("ffn_gate.weight"), d, f, format);
        made.matrix(&name("ffn_up.weight"), d, f, format);
        made.matrix(&name("ffn_down.weight"), f, d, format);
    }
    made.vector("output_norm.weight", d, 1.0);
    made
}

/// As [`llama`], in the other architecture: learned positions, fused attention, biases, and a tied output.
pub fn gpt2(shape: Shape, format: Format) -> Made {
    let mut made = Made::begin("gpt2", shape);
    made.set("gpt2.attention.layer_norm_epsilon", Value::Float(1e-5));
    made.bpe(shape);
    let (d, f) = (shape.n_embd, shape.n_ff);
    let v = made.n_vocab();
    made.matrix("token_embd.weight", d, v, format);
    made.matrix("position_embd.weight", d, shape.n_ctx, format);
    for layer in 0..shape.n_layer {
        let name = |part: &str| format!("blk.{layer}.{part}");
        for (part, columns, rows) in
            [("attn_qkv", d, 3 * d), ("attn_output", d, d), ("ffn_up", d, f), ("ffn_down", f, d)]
        {
            made.matrix(&format!("{}.weight", name(part)), columns, rows, format);
            made.vector(&format!("{}.bias", name(part)), rows, 0.0);
        }
        for part in ["attn_norm", "ffn_norm"] {
            made.vector(&format!("{}.weight", name(part)), d, 1.0);
            made.vector(&format!("{}.bias", name(part)), d, 0.0);
        }
    }
    made.vector("output_norm.weight", d, 1.0);
    made.vector("output_norm.bias", d, 0.0);
    made
}

impl Made {
    fn begin(architecture: &str, shape: Shape) -> Made {
        let mut made = Made::default();
        made.set("general.architecture", Value::Str(architecture.into()));
        for (key, n) in [
            ("context_length", shape.n_ctx),
            ("embedding_length", shape.n_embd),
            ("block_count", shape.n_layer),
            ("feed_forward_length", shape.n_ff),
            ("attention.head_count", shape.n_head),
        ] {
            made.set(&format!("{architecture}.{key}"), Value::Int(n.into()));
        }
        made
    }

    fn spm(&mut self, shape: Shape) {
        let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
        let mut types = vec![2, 3, 3];
        if shape.bytes {
            tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
            types.extend([6; 256]);
        }
        tokens.extend((0..shape.n_pieces).map(piece));
        types.resize(tokens.len(), 1);
        self.set("tokenizer.ggml.model", Value::Str("llama".into()));
        self.set("tokenizer.ggml.scores", f32s((0..tokens.len()).map(|i| -(i as f32))));
        self.set("tokenizer.ggml.token_type", i32s(types));
        self.set("tokenizer.ggml.tokens", strings(&tokens));
        for (key, id) in [("unknown", 0), ("bos", 1), ("eos", 2)] {
            self.set(&format!("tokenizer.ggml.{key}_token_id"), Value::Int(id));
        }
    }

    fn bpe(&mut self, shape: Shape) {
        let mut tokens: Vec<String> = ["<a>", "<b>", "<c>"].map(String::from).to_vec();
        let mut types = vec![3, 3, 3];
        if shape.bytes {
            tokens.extend((0..=255).map(|byte| byte_char(byte).to_string()));
        }
        let merges = ["a b", "a c", "ab ab"];
        tokens.extend(["a", "b", "c", "ab", "ac", "abab"].map(String::from).into_iter().take(shape.n_pieces as usize));
        tokens.extend((6..shape.n_pieces).map(piece));
        types.resize(tokens.len(), 1);
        self.set("tokenizer.ggml.model", Value::Str("gpt2".into()));
        self.set("tokenizer.ggml.pre", Value::Str("gpt-2".into()));
        self.set("tokenizer.ggml.tokens", strings(&tokens));
        self.set("tokenizer.ggml.token_type", i32s(types));
        self.set("tokenizer.ggml.merges", strings(&merges));
        self.set("tokenizer.ggml.bos_token_id", Value::Int(0));
        self.set("tokenizer.ggml.eos_token_id", Value::Int(0));
    }

    /// Sets a metadata key.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.metadata.iter_mut().find(|(other, _)| other == key) {
            Some((_, old)) => *old = value,
            None => self.metadata.push((key.into(), value)),
        }
    }

    /// Takes a metadata key away.
    pub fn unset(&mut self, key: &str) {
        self.metadata.retain(|(other, _)| other != key);
    }

    fn n_vocab(&self) -> u64 {
        match self.metadata.iter().find(|(key, _)| key == "tokenizer.ggml.tokens") {
            Some((_, Value::Array(tokens))) => tokens.len() as u64,
            _ => 0,
        }
    }

    /// Adds a random matrix, whose products with a normalised vector are about as large as the vector's values.
    fn matrix(&mut self, name: &str, columns: u64, rows: u64, format: Format) {
        let size = 1.7 / (columns as f32).sqrt();
        let bytes = random(format, (columns * rows) as usize, size, self.tensors.len() as u32);
        self.tensors.push(Tensor { name: name.into(), shape: vec![columns, rows], format, bytes });
    }

    fn vector(&mut self, name: &str, n: u64, around: f32) {
        let noise = noise(n as usize, 0.2, self.tensors.len() as u32);
        let bytes = noise.iter().flat_map(|x| (x + around).to_le_bytes()).collect();
        self.tensors.push(Tensor { name: name.into(), shape: vec![n], format: Format::F32, bytes });
    }

    /// A tensor by its name.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The same model with every weight as the f32 that it stands for.
    pub fn dequantized(&self) -> Made {
        let mut made = self.clone();
        for tensor in &mut made.tensors {
            let mut values = vec![0.0; tensor.shape.iter().product::<u64>() as usize];
            tensor.format.dequantize(&tensor.bytes, &mut values);
            tensor.bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            tensor.format = Format::F32;
        }
        made
    }

    /// A sound file as it could have been made.
    pub fn read(file: &[u8]) -> Made {
        let gguf = Gguf::parse(file).unwrap();
        let tensor = |info: &TensorInfo| {
            let start = (gguf.data_offset + info.offset) as usize;
            let bytes = file[start..start + info.bytes as usize].to_vec();
            Tensor { name: info.name.clone(), shape: info.shape.clone(), format: info.format, bytes }
        };
        let metadata = gguf.metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        Made { metadata, tensors: gguf.tensors.iter().map(tensor).collect() }
    }

    /// The file's bytes. An alignment in the metadata is only said, not kept: files stay small whatever it is.
    pub fn write(&self) -> Vec<u8> {
        const KEY: &str = "general.alignment";
        let said = self.metadata.iter().find(|(key, _)| key == KEY);
        let Some((_, Value::Int(alignment))) = said else { return self.lay_out() };
        let mut file = Made { metadata: self.metadata.clone(), tensors: self.tensors.clone() };
        file.set(KEY, Value::Int(32));
        let mut bytes = file.lay_out();
        let at = bytes.windows(KEY.len()).position(|window| window == KEY.as_bytes()).unwrap() + KEY.len();
        match u32::try_from(*alignment) {
            Ok(alignment) => bytes[at + 4..at + 8].copy_from_slice(&alignment.to_le_bytes()),
            Err(_) => bytes[at] = 5, // an i32, negative
        }
        if *alignment < 0 {
            bytes[at + 4..at + 8].copy_from_slice(&(*alignment as i32).to_le_bytes());
        }
        bytes
    }

    fn lay_out(&self) -> Vec<u8> {
        let tensors: Vec<_> =
            self.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), t.format, t.bytes.as_slice())).collect();
        pagelm::gguf::write(&Metadata::new(self.metadata.clone()), &tensors)
    }

    /// The model, loaded.
    pub fn load(&self) -> Arc<Model> {
        load(&self.write()).0
    }
}

/// Loads a sound file.
pub fn load(file: &[u8]) -> (Arc<Model>, Gguf) {
    let mut loader = Loader::new(Some(file.len() as u64));
    loader.push(file).unwrap();
    let (model, gguf) = loader.finish().unwrap();
    (Arc::new(model), gguf)
}

/// Floats between −size and size.
pub fn noise(n: usize, size: f32, seed: u32) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..n).map(|_| (rng.next_unit() as f32 * 2.0 - 1.0) * size).collect()
}

/// Random values in a format, as a file stores them. What has no quantizer gets random quants and tame scales.
pub fn random(format: Format, n: usize, size: f32, seed: u32) -> Vec<u8> {
    let row = format.row();
    let mut bytes = vec![0; n / row.block_len * row.block_bytes];
    match format.quantizer() {
        Some(quantize) => quantize(&noise(n, size, seed), &mut bytes),
        None => {
            let mut rng = Rng::new(seed);
            bytes.iter_mut().for_each(|byte| *byte = rng.next_u64() as u8);
            bytes
                .chunks_exact_mut(row.block_bytes)
                .for_each(|block| blocks::tame(row.name, block, size, float::f32_to_f16));
        }
    }
    bytes
}

fn piece(i: u64) -> String {
    match i {
        0 => "\u{2581}".into(),
        1 => "a".into(),
        2 => "b".into(),
        3 => "ab".into(),
        4 => "\u{2581}ab".into(),
        _ => format!("piece{i}"),
    }
}

/// How a byte-level vocabulary spells a byte.
fn byte_char(byte: u8) -> char {
    let itself = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let code = if itself(byte) { u32::from(byte) } else { 256 + (0..byte).filter(|b| !itself(*b)).count() as u32 };
    char::from_u32(code).unwrap()
}

/// An array of strings.
pub fn strings<S: AsRef<[u8]>>(strings: &[S]) -> Value {
    Value::Array(Array::Str(strings.iter().collect()))
}

/// An array of f32.
pub fn f32s(values: impl IntoIterator<Item = f32>) -> Value {
    let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
    Value::Array(Array::Num { kind: ValueType::F32, bytes })
}

/// An array of i32.
pub fn i32s(values: impl IntoIterator<Item = i32>) -> Value {
    let bytes = values.into_iter().flat_map(i32::to_le_bytes).collect();
    Value::Array(Array::Num { kind: ValueType::I32, bytes })
}
