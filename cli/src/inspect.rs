//! `pagelm inspect`: what a GGUF file holds, and whether it can be run. Reads no more than the header.

use crate::model_file::{read_header, tokenizer};
use anyhow::Result;
use pagelm::gguf::{Array, Gguf, Value};
use pagelm::model::{CacheType, Config, Model};
use pagelm::quant::Format;
use pagelm::session::{DEFAULT_N_CTX, Session};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Arguments of `pagelm inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The GGUF file, or its address: of that no more than the header is fetched
    #[arg(value_name = "FILE or URL")]
    file: PathBuf,
    /// The context that the memory is given for [default: what the model was trained on, at most 2048]
    #[arg(long, value_name = "N")]
    ctx_size: Option<u32>,
    /// Print one JSON object, with all metadata but the long arrays
    #[arg(long)]
    json: bool,
}

/// What `--json` prints; the text is made of the same.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    file_bytes: Option<u64>,
    gguf_version: u32,
    name: Option<String>,
    architecture: Option<String>,
    license: Option<String>,
    author: Option<String>,
    description: Option<String>,
    url: Option<String>,
    runnable: bool,
    /// Why it cannot be run.
    problem: Option<String>,
    parameters: u64,
    /// Only for a file that can be run, as far as its header tells.
    shape: Option<Shape>,
    memory: Option<Memory>,
    tokenizer: Option<TokenizerReport>,
    quantization: Vec<Share>,
    metadata: BTreeMap<String, serde_json::Value>,
    tensors: Vec<TensorReport>,
}

#[derive(Debug, Serialize)]
struct Shape {
    n_layer: usize,
    n_embd: usize,
    n_head: usize,
    n_head_kv: usize,
    head_dim: usize,
    n_ff: usize,
    n_vocab: usize,
    n_ctx_train: usize,
}

#[derive(Debug, Serialize)]
struct Memory {
    n_ctx: usize,
    weight_bytes: u64,
    session_bytes: u64,
    total_bytes: u64,
    /// Whether that fits into the 4 GB that WebAssembly can address.
    fits_page: bool,
}

/// What WebAssembly can address.
const MOST_PAGE_BYTES: u64 = 1 << 32;

#[derive(Debug, Serialize)]
struct TokenizerReport {
    model: &'static str,
    pre: Option<&'static str>,
    n_vocab: usize,
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    unk: Option<u32>,
    adds_bos: bool,
    adds_eos: bool,
}

/// How much of the file one format takes.
#[derive(Debug, Serialize)]
struct Share {
    format: &'static str,
    n_tensors: usize,
    parameters: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct TensorReport {
    name: String,
    shape: Vec<u64>,
    format: &'static str,
    bytes: u64,
}

/// Inspects. A file that cannot be run is no failure of this command, and a file that is no GGUF is.
pub fn run(args: &Args) -> Result<()> {
    let (gguf, file_bytes) = read_header(&args.file)?;
    let report = Report::new(args, &gguf, file_bytes);
    let text = if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.text() };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

impl Report {
    fn new(args: &Args, gguf: &Gguf, file_bytes: Option<u64>) -> Report {
        let text = |key: &str| gguf.metadata.str(key).ok().flatten().map(String::from);
        let config = Model::check(gguf);
        let tokens = tokenizer(gguf);
        let problem = problem(gguf, file_bytes, &config, &tokens);
        let config = config.ok();
        Report {
            file: args.file.display().to_string(),
            file_bytes,
            gguf_version: gguf.version,
            name: text("general.name"),
            architecture: text("general.architecture"),
            license: text("general.license").or_else(|| text("general.license.name")),
            author: text("general.author"),
            description: text("general.description"),
            url: text("general.url"),
            runnable: problem.is_none(),
            problem,
            parameters: gguf.n_parameters(),
            memory: config.as_ref().map(|config| Memory::new(gguf, config, args.ctx_size)),
            shape: config.as_ref().map(Shape::new),
            tokenizer: tokens.ok().map(|tokenizer| TokenizerReport {
                model: tokenizer.model(),
                pre: tokenizer.pre(),
                n_vocab: tokenizer.n_vocab(),
                bos: tokenizer.bos(),
                eos: tokenizer.eos(),
                eot: tokenizer.eot(),
                unk: tokenizer.unk(),
                adds_bos: tokenizer.adds_bos(),
                adds_eos: tokenizer.adds_eos(),
            }),
            quantization: shares(gguf),
            metadata: gguf.metadata.iter().map(|(key, value)| (key.into(), json(value))).collect(),
            tensors: gguf
                .tensors
                .iter()
                .map(|t| TensorReport {
                    name: t.name.clone(),
                    shape: t.shape.clone(),
                    format: t.format.name(),
                    bytes: t.bytes,
                })
                .collect(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name:<14}{value}");
        };
        let file = self.file_bytes.map_or("of unknown length".into(), bytes);
        line("file", format!("{}, {file}, GGUF version {}", self.file, self.gguf_version));
        let texts = [
            ("name", &self.name),
            ("architecture", &self.architecture),
            ("licence", &self.license),
            ("author", &self.author),
            ("description", &self.description),
            ("url", &self.url),
        ];
        for (name, value) in texts {
            match value {
                Some(text) => line(name, text.escape_debug().collect()),
                None if matches!(name, "architecture" | "licence") => line(name, "not stated".into()),
                None => {}
            }
        }
        line("runs here", self.problem.as_ref().map_or("yes".into(), |why| format!("no: {why}")));
        line("parameters", grouped(self.parameters));
        if let Some(shape) = &self.shape {
            line("shape", shape.text());
        }
        if let Some(tokenizer) = &self.tokenizer {
            line("tokenizer", tokenizer.text());
        }
        if let Some(memory) = &self.memory {
            line("memory", memory.text());
        }
        for (i, share) in self.quantization.iter().enumerate() {
            line(if i == 0 { "quantization" } else { "" }, share.text());
        }
        if !self.tensors.is_empty() {
            out.push('\n');
        }
        let name = |tensor: &TensorReport| tensor.name.escape_debug().to_string();
        let width = self.tensors.iter().map(|tensor| name(tensor).chars().count()).max().unwrap_or(0);
        for tensor in &self.tensors {
            let (name, size) = (name(tensor), bytes(tensor.bytes));
            let _ = writeln!(out, "{name:<width$}  {:<8} {size:>10}  {:?}", tensor.format, tensor.shape);
        }
        out
    }
}

/// Why the file cannot be run: whatever comes to light first on the way that loading takes.
fn problem(
    gguf: &Gguf,
    file_bytes: Option<u64>,
    config: &pagelm::Result<Config>,
    tokenizer: &Result<pagelm::tokenizer::Tokenizer>,
) -> Option<String> {
    if let Err(error) = config {
        return Some(error.to_string());
    }
    if let Some(has) = file_bytes.filter(|has| *has < gguf.file_bytes) {
        return Some(format!("the file is truncated: it has {has} bytes of {}; download it again", gguf.file_bytes));
    }
    tokenizer.as_ref().err().map(|error| format!("{error:#} (it can still compute logits from token ids)"))
}

/// The formats of the file, the one with the most parameters first.
fn shares(gguf: &Gguf) -> Vec<Share> {
    let mut by_format: BTreeMap<Format, Share> = BTreeMap::new();
    for tensor in &gguf.tensors {
        let empty = Share { format: tensor.format.name(), n_tensors: 0, parameters: 0, bytes: 0 };
        let share = by_format.entry(tensor.format).or_insert(empty);
        share.n_tensors += 1;
        share.parameters = share.parameters.saturating_add(tensor.n_elements());
        share.bytes = share.bytes.saturating_add(tensor.bytes);
    }
    let mut shares: Vec<Share> = by_format.into_values().collect();
    shares.sort_by_key(|share| core::cmp::Reverse(share.parameters));
    shares
}

/// A metadata value as JSON; of an array with more than 16 elements only what it is.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Int(i) => serde_json::Number::from_i128(*i).map_or(serde_json::Value::Null, Into::into),
        Value::Float(x) => (*x).into(),
        Value::Bool(b) => (*b).into(),
        Value::Str(text) => text.as_str().into(),
        Value::Array(array) if array.len() > 16 => {
            let kind = match array {
                Array::Str(_) => "Str".into(),
                Array::Num { kind, .. } => format!("{kind:?}"),
            };
            serde_json::json!({ "array_of": kind, "len": array.len() })
        }
        Value::Array(array) => (0..array.len()).filter_map(|i| array.get(i)).map(|value| json(&value)).collect(),
    }
}

impl Shape {
    fn new(config: &Config) -> Shape {
        Shape {
            n_layer: config.n_layer,
            n_embd: config.n_embd,
            n_head: config.n_head,
            n_head_kv: config.n_head_kv,
            head_dim: config.head_dim,
            n_ff: config.n_ff,
            n_vocab: config.n_vocab,
            n_ctx_train: config.n_ctx_train,
        }
    }

    fn text(&self) -> String {
        format!(
            "n_layer {}, n_embd {}, n_head {}, n_head_kv {}, head_dim {}, n_ff {}, n_vocab {}, n_ctx_train {}",
            self.n_layer,
            self.n_embd,
            self.n_head,
            self.n_head_kv,
            self.head_dim,
            self.n_ff,
            self.n_vocab,
            self.n_ctx_train
        )
    }
}

impl Memory {
    fn new(gguf: &Gguf, config: &Config, ctx_size: Option<u32>) -> Memory {
        let n_ctx = ctx_size.map_or(config.n_ctx_train.min(DEFAULT_N_CTX), |n| n as usize);
        let session_bytes = Session::bytes_needed(config, n_ctx, CacheType::F32);
        let weight_bytes = Model::bytes_needed(gguf);
        let total_bytes = weight_bytes.saturating_add(session_bytes);
        Memory { n_ctx, weight_bytes, session_bytes, total_bytes, fits_page: total_bytes < MOST_PAGE_BYTES }
    }

    fn text(&self) -> String {
        let (total, weights, session) = (bytes(self.total_bytes), bytes(self.weight_bytes), bytes(self.session_bytes));
        let page = match self.fits_page {
            true => String::new(),
            false => format!("; too much for a page, which has {} at most", bytes(MOST_PAGE_BYTES)),
        };
        format!("{total}: weights {weights}, and {session} for a context of {} tokens{page}", self.n_ctx)
    }
}

impl TokenizerReport {
    fn text(&self) -> String {
        let mut text = String::from(self.model);
        if let Some(pre) = self.pre {
            let _ = write!(text, " ({pre})");
        }
        let _ = write!(text, ", {} tokens", self.n_vocab);
        for (name, id) in [("bos", self.bos), ("eos", self.eos), ("eot", self.eot), ("unk", self.unk)] {
            if let Some(id) = id {
                let _ = write!(text, ", {name} {id}");
            }
        }
        let added = [(self.adds_bos, ", adds bos"), (self.adds_eos, ", adds eos")];
        text.extend(added.iter().filter(|(adds, _)| *adds).map(|(_, text)| *text));
        text
    }
}

impl Share {
    fn text(&self) -> String {
        let s = if self.n_tensors == 1 { "" } else { "s" };
        let (n, parameters) = (self.n_tensors, grouped(self.parameters));
        format!("{:<8}{n} tensor{s}, {parameters} parameters, {}", self.format, bytes(self.bytes))
    }
}

/// A number of bytes, to three digits or so.
fn bytes(n: u64) -> String {
    match n {
        0..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{:.1} KB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A number with its digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1000, 1_500_000, 2_000_000_000].map(bytes), ["999 B", "1.0 KB", "1.5 MB", "2.00 GB"]);
    }
}
