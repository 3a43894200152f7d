//! Files that are wrong, in every way that could be generated from sound ones. Each must be refused by an error whose
//! text helps, or be harmless and run; none may panic, nor ask for memory out of proportion to its size.
//!
//! Every file goes both ways: whole through [`Gguf::parse`], and in pieces of random size through [`Loader`], whose
//! verdict must not depend on the pieces.

mod common;

use common::alloc::measure;
use common::made::blocks::set_scale;
use common::made::{self, Made, Shape, TINY};
use pagelm::error::{Error, Result};
use pagelm::gguf::{Array, Gguf, Value, ValueType};
use pagelm::model::{Loader, Model};
use pagelm::quant::{FORMATS, Format};
use pagelm::sampler::{Rng, Sampler, SamplerOptions};
use pagelm::session::Session;
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Makes a model of a shape, stored in a format.
type Make = fn(Shape, Format) -> Made;

const ARCHITECTURES: [(&str, Make); 2] = [("llama", made::llama), ("gpt2", made::gpt2)];

/// What a file of `n` bytes may make the loader hold at a time: the shortest descriptions (a metadata pair of 14 bytes,
/// a tensor of 33, an empty string of 8) take several times their length here; the constant is for its reading buffers.
fn most_memory(n: usize) -> usize {
    10 * n + 400_000
}

/// Takes a file in pieces of random size.
fn load_in_pieces(file: &[u8], rng: &mut Rng) -> Result<(Model, Gguf, Tokenizer)> {
    let mut below = |n: u64| rng.next_u64() % n;
    // the length is known of local files and not of downloads
    let known = (below(2) == 0).then_some(file.len() as u64);
    let longest = [1 + below(16), 1 + below(1000), 1 << 20][below(3) as usize];
    let mut loader = Loader::new(known);
    let mut rest = file;
    while !rest.is_empty() {
        let room = loader.room()?;
        assert!(!room.is_empty(), "no room for {} bytes that are left", rest.len());
        let n = room.len().min(rest.len()).min(1 + below(longest) as usize);
        room[..n].copy_from_slice(&rest[..n]);
        loader.advance(n)?;
        rest = &rest[n..];
    }
    let (model, gguf) = loader.finish()?;
    let tokenizer = Tokenizer::from_metadata(&gguf.metadata)?;
    Ok((model, gguf, tokenizer))
}

/// The whole way of a harmless file: a prompt, a prefill, a token.
fn run_one_token((model, _, tokenizer): (Model, Gguf, Tokenizer)) -> Result<u32> {
    let n_vocab = model.config().n_vocab;
    let tokens = tokenizer.encode("ab a\0b", EncodeOptions { add_special: true, parse_special: true })?;
    tokenizer.decode(&tokens)?;
    let mut session = Session::new(Arc::new(model), Some(8))?;
    let mut sampler = Sampler::new(SamplerOptions::default(), n_vocab)?;
    session.prepare(&[&[0], &tokens[..tokens.len().min(3)]].concat())?;
    sampler.sample(session.forward(&[])?, &[])
}

/// Whether an error's text is one that can be shown: a line, not too long, that says something.
#[track_caller]
fn check_text(error: &Error) {
    let text = error.to_string();
    assert!(text.len() >= 20 && text.chars().count() <= 600, "{} characters: {text}", text.chars().count());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Sends a file both ways and compares the verdicts.
fn verdict(file: &[u8], seed: u32) -> Result<u32> {
    let ((parsed, loaded), spent) = measure(|| {
        let parsed = Gguf::parse(file).and_then(|gguf| Model::check(&gguf).map(|_| ()));
        (parsed, load_in_pieces(file, &mut Rng::new(seed)))
    });
    assert!(spent.peak <= most_memory(file.len()), "{} bytes of memory for {} of file", spent.peak, file.len());
    if let Err(error) = &parsed {
        check_text(error);
        let Err(other) = &loaded else { panic!("refused as a whole ({error}), and taken in pieces") };
        // of two faults either may be seen first: the whole file is known to be too short from the start
        let truncated = [error, other].iter().any(|error| error.to_string().contains("truncated"));
        assert!(truncated || error.code() == other.code(), "{error} / {other}");
    }
    let again = load_in_pieces(file, &mut Rng::new(seed ^ 0x5555));
    assert_eq!(loaded.as_ref().err().map(Error::code), again.as_ref().err().map(Error::code));
    let result = loaded.and_then(run_one_token);
    if let Err(error) = &result {
        check_text(error);
    }
    result
}

/// Judges many files, each under a name, and tells all that went wrong at the end.
struct Table {
    /// How many were refused, by the error's code.
    n_refused: std::collections::BTreeMap<&'static str, usize>,
    n_harmless: usize,
    wrong: Vec<String>,
}

/// What a file must get.
#[derive(Debug, Clone, Copy)]
enum Want<'a> {
    /// An error of this code, whose text contains this.
    Refused(&'a str, &'a str),
    /// Any error.
    AnyError,
    /// An error, or none: the damage may not matter.
    Anything,
    Sound,
}

impl Table {
    fn new() -> Table {
        // What panics is told by the table; the default hook would print each with its backtrace.
        Table { n_refused: Default::default(), n_harmless: 0, wrong: Vec::new() }
    }

    fn judge(&mut self, name: impl core::fmt::Display, file: &[u8], want: Want<'_>) {
        let seed = self.n_harmless as u32 * 31 + self.n_refused.values().sum::<usize>() as u32;
        let result = match catch_unwind(AssertUnwindSafe(|| verdict(file, seed))) {
            Ok(result) => result,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                self.wrong.push(format!("{name}: panicked: {}", text.unwrap_or_default()));
                return;
            }
        };
        let right = match (&result, want) {
            (Ok(_), Want::Anything | Want::Sound) | (Err(_), Want::Anything | Want::AnyError) => true,
            (Err(error), Want::Refused(code, says)) => error.code() == code && error.to_string().contains(says),
            _ => false,
        };
        if !right {
            self.wrong.push(format!("{name}: {result:?} in place of {want:?}"));
        }
        match result {
            Ok(_) => self.n_harmless += 1,
            Err(error) => *self.n_refused.entry(error.code()).or_default() += 1,
        }
    }

    #[track_caller]
    fn finish(self) {
        println!("refused: {:?}, harmless: {}", self.n_refused, self.n_harmless);
        let n = self.wrong.len();
        assert!(n == 0, "{n} wrong, of which:\n{}", self.wrong[..n.min(12)].join("\n"));
    }
}

/// Small enough that every byte of its header can be damaged in turn.
fn sound() -> Vec<(&'static str, Vec<u8>)> {
    ARCHITECTURES.iter().map(|(name, make)| (*name, make(TINY, Format::F32).write())).collect()
}

fn header_bytes(file: &[u8]) -> usize {
    Gguf::parse(file).unwrap().data_offset as usize
}

#[test]
fn the_sound_files_run() {
    let mut table = Table::new();
    for (name, make) in ARCHITECTURES {
        for row in FORMATS {
            let shape = Shape { n_embd: 256, n_ff: 256, ..TINY };
            table.judge(format_args!("{name} {}", row.name), &make(shape, row.format).write(), Want::Sound);
        }
        let mut trailing = make(TINY, Format::F32).write();
        table.judge(name, &trailing, Want::Sound);
        trailing.extend([7; 1000]);
        table.judge(format_args!("{name}, with bytes behind the end"), &trailing, Want::Sound);
    }
    table.finish();
}

#[test]
fn cut_short_anywhere() {
    let mut table = Table::new();
    table.judge("nothing at all", &[], Want::Refused("format", "ends after 0 bytes"));
    for (name, file) in sound() {
        for n in 1..file.len() {
            table.judge(format_args!("{name} cut to {n}"), &file[..n], Want::AnyError);
        }
    }
    table.finish();
}

#[test]
fn every_byte_of_the_header_damaged() {
    let mut table = Table::new();
    for (name, file) in sound() {
        for at in 0..header_bytes(&file) {
            for damage in [1u8, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= damage;
                table.judge(format_args!("{name}, byte {at} xor {damage:#x}"), &damaged, Want::Anything);
            }
            for byte in [0, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = byte;
                table.judge(format_args!("{name}, byte {at} = {byte:#x}"), &damaged, Want::Anything);
            }
        }
    }
    table.finish();
}

#[test]
fn several_bytes_damaged_at_random() {
    let mut table = Table::new();
    let mut rng = Rng::new(1);
    for (name, file) in sound() {
        for i in 0..4000 {
            let mut damaged = file.clone();
            for _ in 0..1 + rng.next_u64() % 6 {
                // most of them where they matter
                let end = if rng.next_u64().is_multiple_of(4) { file.len() } else { header_bytes(&file) };
                let (at, byte) = (rng.next_u64() as usize % end, rng.next_u64() as u8);
                match rng.next_u64() % 4 {
                    0 => drop(damaged.remove(at.min(damaged.len() - 1))),
                    1 => damaged.insert(at.min(damaged.len()), byte),
                    _ => {
                        let at = at.min(damaged.len() - 1);
                        damaged[at] = byte;
                    }
                }
            }
            table.judge(format_args!("{name}, random damage {i}"), &damaged, Want::Anything);
        }
    }
    table.finish();
}

/// Every u32 and u64 that might stand at a byte, set to what breaks careless arithmetic.
#[test]
fn absurd_numbers_anywhere_in_the_header() {
    let mut table = Table::new();
    for (name, file) in sound() {
        for at in 0..header_bytes(&file) - 8 {
            for number in [u64::MAX, u64::MAX / 2, 1 << 63, 1 << 62, 1 << 40, 1 << 32, (1 << 32) - 1, 1 << 31, 1 << 24]
            {
                let mut damaged = file.clone();
                damaged[at..at + 8].copy_from_slice(&number.to_le_bytes());
                table.judge(format_args!("{name}, u64 at {at} = {number:#x}"), &damaged, Want::Anything);
            }
            for number in [u32::MAX, 1 << 31, 1 << 24] {
                let mut damaged = file.clone();
                damaged[at..at + 4].copy_from_slice(&number.to_le_bytes());
                table.judge(format_args!("{name}, u32 at {at} = {number:#x}"), &damaged, Want::Anything);
            }
        }
    }
    table.finish();
}

#[test]
fn the_first_bytes_wrong() {
    let mut table = Table::new();
    let file = made::llama(TINY, Format::F32).write();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let page = b"<!DOCTYPE html><html><body>404: not found</body></html>";
    table.judge("a web page", page, Want::Refused("format", "web page"));
    table.judge("another format", &with(0, b"GGML"), Want::Refused("format", "not a GGUF file"));
    table.judge("the first letter", &with(0, b"g"), Want::Refused("format", "not a GGUF file"));
    table.judge("zeros", &[0; 4096], Want::Refused("format", "not a GGUF file"));
    table.judge("a zip archive", b"PK\x03\x04\x14\0\0\0\x08\0\x21\x5c", Want::Refused("format", "not a GGUF file"));
    for version in [0, 1, 4, 77, u32::MAX] {
        let says = if version == 0 { "version 0" } else { "version" };
        table.judge(
            format_args!("version {version}"),
            &with(4, &version.to_le_bytes()),
            Want::Refused("unsupported", says),
        );
    }
    table.judge("version 2", &with(4, &2u32.to_le_bytes()), Want::Sound);
    table.judge("big-endian", &with(4, &3u32.to_be_bytes()), Want::Refused("unsupported", "big-endian"));
    for (what, at) in [("tensors", 8), ("metadata pairs", 16)] {
        for n in [u64::MAX, 1 << 63, 1 << 32, 65_537] {
            table.judge(format_args!("{n} {what}"), &with(at, &n.to_le_bytes()), Want::Refused("limit", what));
        }
        for n in [0u64, 1, 5, 65_536] {
            table.judge(format_args!("{n} {what}"), &with(at, &n.to_le_bytes()), Want::AnyError);
        }
    }
    table.finish();
}

/// Values of every type, to stand where another type is expected.
fn values() -> Vec<Value> {
    let nums = |kind, bytes: &[u8]| Value::Array(Array::Num { kind, bytes: bytes.to_vec() });
    vec![
        Value::Int(0),
        Value::Int(1),
        Value::Int(-1),
        Value::Int(3),
        Value::Int(i128::from(u32::MAX)),
        Value::Int(i128::from(i64::MAX)),
        Value::Float(0.5),
        Value::Float(f64::NAN),
        Value::Float(f64::INFINITY),
        Value::Float(-1.0),
        Value::Float(0.0),
        Value::Float(1e-45),
        Value::Float(3e38),
        Value::Bool(true),
        Value::Str(String::new()),
        Value::Str("no such thing\n\0".into()),
        Value::Str("x".repeat(5000)),
        made::strings::<&str>(&[]),
        made::strings(&["a", "", "a"]),
        made::strings(&[[0xffu8, 0xfe]]),
        made::f32s([]),
        made::f32s([f32::NAN; 8]),
        made::f32s([1e38; 8]),
        made::i32s([-1; 8]),
        made::i32s([i32::MAX]),
        nums(ValueType::U8, &[1; 8]),
        nums(ValueType::Bool, &[1; 8]),
        nums(ValueType::U64, &[0xff; 64]),
        nums(ValueType::F64, &[0; 64]),
    ]
}

#[test]
fn every_key_missing_or_of_another_value() {
    let mut table = Table::new();
    for (name, make) in ARCHITECTURES {
        let sound = make(TINY, Format::F32);
        for (key, old) in &sound.metadata {
            let mut damaged = sound.clone();
            damaged.unset(key);
            // what has a meaning when it is missing
            let optional = ["_token_id", "scores", "token_type", ".pre"];
            let want = match key.as_str() {
                // then there are as many as query heads
                "llama.attention.head_count_kv" => Want::Refused("format", "attn_k.weight has the shape [8, 4]"),
                key if optional.iter().any(|end| key.ends_with(end)) => Want::Sound,
                key => Want::Refused("format", key),
            };
            table.judge(format_args!("{name} without {key}"), &damaged.write(), want);
            for value in values() {
                let want = match (&value, old) {
                    // no value of one type is read as another, but that integers are numbers
                    (Value::Str(_) | Value::Bool(_), Value::Int(_) | Value::Float(_) | Value::Array(_))
                    | (Value::Int(_) | Value::Float(_) | Value::Bool(_), Value::Str(_) | Value::Array(_))
                    | (Value::Float(_), Value::Int(_)) => Want::Refused("format", key),
                    _ => Want::Anything,
                };
                let mut damaged = sound.clone();
                damaged.set(key, value.clone());
                table.judge(format_args!("{name}, {key} = {value:?}"), &damaged.write(), want);
            }
            let mut twice = sound.clone();
            twice.metadata.push((key.clone(), old.clone()));
            table.judge(format_args!("{name}, {key} twice"), &twice.write(), Want::Refused("format", key));
        }
        // keys that a sound file may have, with anything in them
        let more = [
            "attention.key_length",
            "attention.value_length",
            "attention.head_count_kv",
            "rope.dimension_count",
            "rope.freq_base",
            "rope.scale_linear",
            "rope.scaling.type",
            "rope.scaling.factor",
            "expert_count",
            "attention.sliding_window",
            "vocab_size",
        ];
        let more = more.map(|key| format!("{name}.{key}"));
        let general =
            ["general.alignment", "general.name", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"];
        let tokens = ["eot", "eom", "fim_pad", "padding", "seperator", "mask"];
        let tokens = tokens.map(|token| format!("tokenizer.ggml.{token}_token_id"));
        for key in general.iter().map(ToString::to_string).chain(more).chain(tokens) {
            for value in values() {
                let mut odd = sound.clone();
                odd.set(&key, value.clone());
                table.judge(format_args!("{name}, {key} = {value:?}"), &odd.write(), Want::Anything);
            }
        }
        let mut none = sound.clone();
        none.set("tokenizer.ggml.seperator_token_id", Value::Int(u32::MAX.into()));
        table.judge(format_args!("{name}, no separator"), &none.write(), Want::Sound);
    }
    table.finish();
}

#[test]
fn numbers_that_contradict_each_other() {
    let mut table = Table::new();
    for (name, make) in ARCHITECTURES {
        let sound = make(TINY, Format::F32);
        for (key, n, code, says) in [
            ("general.architecture", Value::Str("mamba".into()), "unsupported", "\"mamba\""),
            ("tokenizer.ggml.model", Value::Str("bert".into()), "unsupported", "\"bert\""),
            ("general.alignment", Value::Int(0), "format", "general.alignment"),
            ("general.alignment", Value::Int(24), "format", "general.alignment"),
            ("general.alignment", Value::Int(1 << 30), "format", "general.alignment"),
            ("general.alignment", Value::Int(64), "format", "no multiple of the alignment"),
            ("ARCH.block_count", Value::Int(2), "format", "blk.1."),
            ("ARCH.block_count", Value::Int(1025), "format", "block_count"),
            ("ARCH.embedding_length", Value::Int(16), "format", "shape"),
            ("ARCH.embedding_length", Value::Int(1 << 24), "format", "shape"),
            ("ARCH.embedding_length", Value::Int((1 << 24) + 1), "format", "embedding_length"),
            ("ARCH.feed_forward_length", Value::Int(16), "format", "shape"),
            ("ARCH.attention.head_count", Value::Int(9), "format", "head"),
            ("ARCH.attention.head_count", Value::Int(1 << 24), "format", "head"),
            ("ARCH.attention.head_count_kv", Value::Int(3), "format", "head"),
            ("ARCH.attention.key_length", Value::Int(1 << 24), "format", "head"),
            ("ARCH.attention.value_length", Value::Int(3), "unsupported", "heads"),
            ("tokenizer.ggml.bos_token_id", Value::Int(8), "format", "bos_token_id is 8"),
            ("tokenizer.ggml.eos_token_id", Value::Int(1 << 31), "format", "eos_token_id"),
            ("tokenizer.ggml.tokens", made::strings(&["a"; 7]), "format", "7 tokens"),
            ("tokenizer.ggml.tokens", made::strings(&["a"; 9]), "format", "9 tokens"),
            ("tokenizer.ggml.token_type", made::i32s([1; 7]), "format", "token_type has 7"),
        ] {
            let key = key.replace("ARCH", name);
            let mut damaged = sound.clone();
            damaged.set(&key, n.clone());
            table.judge(format_args!("{name}, {key} = {n:?}"), &damaged.write(), Want::Refused(code, says));
        }
    }
    for (key, value, code, says) in [
        ("llama.rope.dimension_count", Value::Int(3), "format", "rope.dimension_count"),
        ("llama.rope.dimension_count", Value::Int(6), "format", "rope.dimension_count"),
        ("llama.rope.scaling.type", Value::Str("zigzag".into()), "unsupported", "zigzag"),
        ("llama.expert_count", Value::Int(8), "format", "expert_used_count"),
        ("tokenizer.ggml.scores", made::f32s([0.0; 7]), "format", "scores has 7"),
        ("tokenizer.ggml.scores", made::f32s([f32::NAN; 8]), "format", "scores"),
    ] {
        let mut damaged = made::llama(TINY, Format::F32);
        damaged.set(key, value);
        table.judge(key, &damaged.write(), Want::Refused(code, says));
    }
    for (key, says) in [("expert_count", "experts"), ("attention.sliding_window", "sliding")] {
        let mut other = made::gpt2(TINY, Format::F32);
        other.set(&format!("gpt2.{key}"), Value::Int(8));
        table.judge(key, &other.write(), Want::Refused("unsupported", says));
    }
    let mut damaged = made::gpt2(TINY, Format::F32);
    damaged.set("gpt2.context_length", Value::Int(17));
    table.judge("more positions than learned", &damaged.write(), Want::Refused("format", "position_embd.weight"));
    let mut damaged = made::gpt2(TINY, Format::F32);
    damaged.set("tokenizer.ggml.merges", made::strings(&["ab"]));
    table.judge("a merge of one", &damaged.write(), Want::Refused("format", "merges"));
    table.finish();
}

/// The places of a tensor's description: where its dimensions, its type and its offset stand in the file.
struct Places {
    n_dims: usize,
    format: usize,
    offset: usize,
}

fn places(file: &[u8], name: &str) -> Places {
    let name = [&(name.len() as u64).to_le_bytes(), name.as_bytes()].concat();
    let start = file.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    let n_dims = file[start] as usize;
    Places { n_dims: start, format: start + 4 + 8 * n_dims, offset: start + 8 + 8 * n_dims }
}

#[test]
fn every_tensor_missing_misshapen_or_misplaced() {
    let mut table = Table::new();
    for (name, make) in ARCHITECTURES {
        let sound = make(TINY, Format::F32);
        let file = sound.write();
        for (i, tensor) in sound.tensors.iter().enumerate() {
            let tensor_name = &tensor.name;
            let optional = tensor_name.ends_with("bias") || tensor_name == "output.weight";
            let mut damaged = sound.clone();
            damaged.tensors.remove(i);
            let want = match tensor_name.as_str() {
                // in its place there might be three others, and the first of them is missing
                "blk.0.attn_qkv.weight" => Want::Refused("format", "blk.0.attn_q.weight"),
                _ if optional => Want::Sound,
                name => Want::Refused("format", name),
            };
            table.judge(format_args!("{name} without {tensor_name}"), &damaged.write(), want);

            let mut damaged = sound.clone();
            damaged.tensors.push(tensor.clone());
            table.judge(
                format_args!("{name}, {tensor_name} twice"),
                &damaged.write(),
                Want::Refused("format", tensor_name),
            );

            let mut damaged = sound.clone();
            damaged.tensors[i].name += "x";
            table.judge(format_args!("{name}, {tensor_name} by another name"), &damaged.write(), Want::AnyError);

            for dim in 0..tensor.shape.len() {
                let right = tensor.shape[dim];
                for wrong in [0, 1, right - 1, right + 1, right * 2, 1 << 24, 1 << 32, 1 << 62, u64::MAX] {
                    let mut damaged = sound.clone();
                    damaged.tensors[i].shape[dim] = wrong;
                    let what = format!("{name}, {tensor_name} dimension {dim} = {wrong}");
                    table.judge(what, &damaged.write(), Want::AnyError);
                }
            }
            for shape in [vec![], vec![1; 5], vec![u64::MAX; 4], vec![1 << 32, 1 << 32], vec![1, 0, 1]] {
                let mut damaged = sound.clone();
                damaged.tensors[i].shape.clone_from(&shape);
                table.judge(format_args!("{name}, {tensor_name} shape {shape:?}"), &damaged.write(), Want::AnyError);
            }
            if tensor.shape.len() == 2 {
                let mut flat = sound.clone();
                flat.tensors[i].shape = vec![tensor.shape.iter().product()];
                let says = if tensor_name == "token_embd.weight" { "embedding 1 rows" } else { "shape" };
                table.judge(format_args!("{name}, {tensor_name} flat"), &flat.write(), Want::Refused("format", says));
            }

            let places = places(&file, tensor_name);
            let mut set = |what: &str, at: usize, bytes: &[u8], want| {
                let mut damaged = file.clone();
                damaged[at..at + bytes.len()].copy_from_slice(bytes);
                table.judge(format_args!("{name}, {tensor_name} {what} {bytes:?}"), &damaged, want);
            };
            for n in [0u32, 5, 1 << 31, u32::MAX] {
                set("n_dims", places.n_dims, &n.to_le_bytes(), Want::Refused("format", "dimensions"));
            }
            for id in 0u32..50 {
                // other floats may fit where the data lies; blocks do not fit these rows
                let known = matches!(Format::from_id(id), Some(Format::F32 | Format::F16 | Format::BF16));
                set("type", places.format, &id.to_le_bytes(), if known { Want::Anything } else { Want::AnyError });
            }
            for id in [4u32, 5, 200, u32::MAX] {
                set("type", places.format, &id.to_le_bytes(), Want::Refused("unsupported", "element type"));
            }
            let offset = u64::from_le_bytes(*file[places.offset..].first_chunk().unwrap());
            let last = u64::MAX / 32 * 32;
            for wrong in [1, 31, offset + 1, last + 1] {
                set("offset", places.offset, &wrong.to_le_bytes(), Want::Refused("format", "alignment"));
            }
            set("offset", places.offset, &last.to_le_bytes(), Want::AnyError);
            set("offset", places.offset, &(1u64 << 62).to_le_bytes(), Want::Refused("format", "truncated"));
            let data_bytes = ((file.len() - header_bytes(&file)) as u64).next_multiple_of(32);
            set("offset", places.offset, &data_bytes.to_le_bytes(), Want::Refused("format", "truncated"));
            let other = if i == 0 { 32 } else { 0 };
            set("offset", places.offset, &(other as u64).to_le_bytes(), Want::AnyError);
        }
        let mut strange = sound.clone();
        strange.tensors.push(made::Tensor { name: "blk.0.ssm_a".into(), ..sound.tensors[0].clone() });
        table.judge("a tensor nobody knows", &strange.write(), Want::Refused("unsupported", "blk.0.ssm_a"));
        let mut strange = sound.clone();
        strange.tensors.push(made::Tensor { name: "blk.00.attn_norm.weight".into(), ..sound.tensors[0].clone() });
        table.judge("a layer spelled 00", &strange.write(), Want::Refused("unsupported", "blk.00"));
        let mut empty = sound.clone();
        empty.tensors.clear();
        table.judge("no tensors", &empty.write(), Want::Refused("format", "vocabulary and no weights"));
    }
    table.finish();
}

#[test]
fn types_that_are_known_and_no_weights() {
    let mut table = Table::new();
    for (name, file) in sound() {
        let at = places(&file, "output_norm.weight").format;
        for (id, says) in [(9u32, "9 (Q8_1)"), (15, "15 (Q8_K)"), (24, "24 (I8)"), (28, "28 (F64)"), (4, "4 (unknown)")]
        {
            let mut damaged = file.clone();
            damaged[at..at + 4].copy_from_slice(&id.to_le_bytes());
            table.judge(format_args!("{name} type {id}"), &damaged, Want::Refused("unsupported", says));
        }
    }
    table.finish();
}

#[test]
fn weights_that_are_no_numbers() {
    const MOST: [Format; 4] = [Format::F32, Format::BF16, Format::Q8_0, Format::Q6_K];
    let mut table = Table::new();
    for (name, make) in ARCHITECTURES {
        for format in FORMATS.iter().map(|row| row.format).filter(|format| *format != Format::NVFP4) {
            let sound = make(Shape { n_embd: 256, n_ff: 256, ..TINY }, format);
            // Where a tensor stands is the same for all formats: of most, the first is enough.
            let some = if MOST.contains(&format) { usize::MAX } else { 1 };
            for (i, tensor) in sound.tensors.iter().enumerate().take(some) {
                let row = tensor.format.row();
                let n_blocks = tensor.bytes.len() / row.block_bytes;
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let half = (bad.to_bits() >> 16) as u16;
                    let f16 = pagelm::quant::float::f32_to_f16(bad);
                    let mut damaged = sound.clone();
                    let block = &mut damaged.tensors[i].bytes[n_blocks / 2 * row.block_bytes..][..row.block_bytes];
                    match tensor.format {
                        Format::F32 => block.copy_from_slice(&bad.to_le_bytes()),
                        Format::F16 => block.copy_from_slice(&f16.to_le_bytes()),
                        Format::BF16 => block.copy_from_slice(&half.to_le_bytes()),
                        Format::MXFP4 => block[0] = 255,
                        _ => _ = set_scale(row.name, block, 0, f16),
                    }
                    let what = format!("{name} {}, {} holds {bad}", format.name(), tensor.name);
                    table.judge(what, &damaged.write(), Want::Refused("format", &tensor.name));
                }
            }
        }
    }
    table.finish();
}

/// Finite and absurd: whatever is computed, there is an error or a token.
#[test]
fn weights_that_are_absurd() {
    let mut table = Table::new();
    let mut rng = Rng::new(3);
    for (name, make) in ARCHITECTURES {
        let sound = make(TINY, Format::F32);
        for (i, tensor) in sound.tensors.iter().enumerate() {
            for x in [f32::MAX, f32::MIN, 1e-45, 0.0, -0.0, 1e30] {
                let mut damaged = sound.clone();
                damaged.tensors[i].bytes = x.to_le_bytes().repeat(tensor.bytes.len() / 4);
                table.judge(format_args!("{name}, {} all {x}", tensor.name), &damaged.write(), Want::Anything);
            }
        }
        for row in FORMATS.iter().filter(|row| row.format != Format::F32) {
            let format = row.format;
            for i in 0..6 {
                let mut noise = make(Shape { n_embd: 256, n_ff: 256, ..TINY }, format);
                for tensor in &mut noise.tensors {
                    tensor.bytes.iter_mut().for_each(|byte| *byte = rng.next_u64() as u8);
                }
                table.judge(format_args!("{name} {} noise {i}", format.name()), &noise.write(), Want::Anything);
            }
        }
    }
    table.finish();
}

/// A header that announces much more than the file holds, consistently, so that only its length gives it away.
#[test]
fn large_claims_in_small_files() {
    let mut table = Table::new();
    for (name, make) in ARCHITECTURES {
        for n_ff in [1 << 16, 1 << 20, 1 << 24] {
            let mut made = make(TINY, Format::F32);
            made.set(&format!("{name}.feed_forward_length"), Value::Int(n_ff.into()));
            for tensor in &mut made.tensors {
                match tensor.name.as_str() {
                    "blk.0.ffn_up.weight" | "blk.0.ffn_gate.weight" => tensor.shape[1] = n_ff as u64,
                    "blk.0.ffn_down.weight" | "blk.0.ffn_up.bias" => tensor.shape[0] = n_ff as u64,
                    _ => {}
                }
            }
            let file = lay_out(&made);
            let (result, spent) = measure(|| {
                let mut loader = Loader::new(Some(file.len() as u64));
                loader.push(&file)?;
                loader.finish().map(|_| ())
            });
            let error = result.unwrap_err();
            assert!(error.to_string().contains("truncated"), "{name} {n_ff}: {error}");
            assert!(spent.peak <= most_memory(file.len()), "{name} {n_ff}: {}", spent.peak);
            table.judge(format_args!("{name} {n_ff}"), &[], Want::AnyError);
        }
    }
    // many heads: their widths multiply past any word
    for (key, n) in [("attention.head_count", 1 << 20), ("attention.key_length", 1 << 24)] {
        let mut made = made::llama(TINY, Format::F32);
        made.set(&format!("llama.{key}"), Value::Int(n));
        made.set("llama.attention.head_count_kv", Value::Int(1));
        table.judge(key, &made.write(), Want::Refused("format", "head"));
    }
    table.finish();
}

/// Files that are all header: as many descriptions as fit, each as short as can be.
#[test]
fn nothing_but_descriptions() {
    let mut table = Table::new();
    for n in [1000, 20_000, 65_536] {
        let mut pairs = made::llama(TINY, Format::F32);
        let have = pairs.metadata.len();
        pairs.metadata.extend((have..n).map(|i| (format!("{i:x}"), Value::Bool(true))));
        table.judge(format_args!("{n} pairs"), &pairs.write(), Want::Sound);
        pairs.metadata.push(("one more".into(), Value::Bool(true)));
        let want = if n == 65_536 { Want::Refused("limit", "metadata pairs") } else { Want::Sound };
        table.judge(format_args!("{n} pairs and one"), &pairs.write(), want);

        let mut tensors = made::llama(TINY, Format::F32);
        let small = |i| made::Tensor { name: format!("{i:x}"), shape: vec![1], format: Format::F32, bytes: vec![0; 4] };
        tensors.tensors.extend((0..n).map(small));
        let want =
            if n == 65_536 { Want::Refused("limit", "tensors") } else { Want::Refused("unsupported", "tensor 0 ") };
        table.judge(format_args!("{n} tensors"), &tensors.write(), want);

        for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.scores", "general.tags"] {
            let mut strings = made::llama(TINY, Format::F32);
            strings.set(key, made::strings(&vec![""; 10 * n]));
            let want = if key.starts_with("general") { Want::Sound } else { Want::AnyError };
            table.judge(format_args!("{n} strings in {key}"), &strings.write(), want);
        }
        // with an embedding to match
        let mut tokens = made::llama(Shape { n_pieces: n as u64, ..TINY }, Format::F16);
        table.judge(format_args!("{n} tokens"), &tokens.write(), Want::Sound);
        tokens.set("tokenizer.ggml.tokens", made::strings(&vec![""; n + 3]));
        table.judge(format_args!("{n} empty tokens"), &tokens.write(), Want::Anything);
    }
    table.finish();
}

/// The file with its offsets as the shapes want them, whatever bytes there are.
fn lay_out(made: &Made) -> Vec<u8> {
    let mut file = made.write();
    let mut offset = 0u64;
    for tensor in &made.tensors {
        let at = places(&file, &tensor.name).offset;
        file[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        offset += (tensor.shape.iter().product::<u64>() * 4).next_multiple_of(32);
    }
    file
}

/// The loader as a careless caller uses it.
#[test]
fn a_loader_called_wrongly() {
    let file = made::llama(TINY, Format::F32).write();
    let beyond = |loader: &mut Loader| {
        let n = loader.room().unwrap().len();
        let error = loader.advance(n + 1).unwrap_err();
        assert_eq!(error.code(), "argument", "{error}");
        assert_eq!(loader.advance(usize::MAX).unwrap_err().code(), "argument");
    };
    let mut loader = Loader::new(None);
    assert_eq!(loader.advance(1).unwrap_err().code(), "argument", "there was no room yet");
    for byte in &file {
        beyond(&mut loader);
        loader.push(&[*byte]).unwrap();
        loader.advance(0).unwrap();
    }
    beyond(&mut loader);
    loader.finish().unwrap();
    // after an error there may be more calls, and none of them panics
    let mut rng = Rng::new(5);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0xff;
        let mut loader = Loader::new(None);
        for piece in damaged.chunks(1 + rng.next_u64() as usize % 900) {
            let _ = loader.push(piece);
        }
        let _ = loader.finish();
    }
    assert!(Loader::new(Some(7)).finish().is_err());
    let mut wrong_length = Loader::new(Some(3));
    assert!(wrong_length.push(&file).is_err(), "the file is longer than it was said to be");
}

/// U+0000 is a character like any other: it goes through a byte token and back.
#[test]
fn nul_is_text() {
    for (name, make) in ARCHITECTURES {
        let made = make(Shape { bytes: true, ..TINY }, Format::F32);
        let (_, gguf) = made::load(&made.write());
        let tokenizer = Tokenizer::from_metadata(&gguf.metadata).unwrap();
        for text in ["\0", "a\0b", "\0\0\0", "ab\0", "\0 ab"] {
            let tokens = tokenizer.encode(text, EncodeOptions::default()).unwrap();
            assert_eq!(tokenizer.decode(&tokens).unwrap(), text, "{name} {tokens:?}");
        }
    }
}

#[test]
fn sampler_options_out_of_range() {
    let good = SamplerOptions::default();
    let nan = f32::NAN;
    let infinite = f32::INFINITY;
    for (name, options) in [
        ("temperature", SamplerOptions { temperature: nan, ..good.clone() }),
        ("temperature", SamplerOptions { temperature: infinite, ..good.clone() }),
        ("topP", SamplerOptions { top_p: nan, ..good.clone() }),
        ("topP", SamplerOptions { top_p: 1.1, ..good.clone() }),
        ("topP", SamplerOptions { top_p: -0.1, ..good.clone() }),
        ("minP", SamplerOptions { min_p: nan, ..good.clone() }),
        ("minP", SamplerOptions { min_p: 2.0, ..good.clone() }),
        ("repeatPenalty", SamplerOptions { repeat_penalty: 0.0, ..good.clone() }),
        ("repeatPenalty", SamplerOptions { repeat_penalty: nan, ..good.clone() }),
        ("presencePenalty", SamplerOptions { presence_penalty: infinite, ..good.clone() }),
        ("frequencyPenalty", SamplerOptions { frequency_penalty: nan, ..good.clone() }),
    ] {
        let error = Sampler::new(options, 8).unwrap_err();
        assert!(matches!(&error, Error::Argument(text) if text.starts_with(name)), "{error}");
        check_text(&error);
    }
    for options in [
        SamplerOptions { temperature: f32::MIN_POSITIVE, ..good.clone() },
        SamplerOptions { temperature: 10_000.0, ..good.clone() },
        SamplerOptions { temperature: -1.0, ..good.clone() },
        SamplerOptions { top_k: u32::MAX, top_p: 0.0, min_p: 1.0, ..good.clone() },
        SamplerOptions { repeat_penalty: 1e-4, repeat_last_n: u32::MAX, ..good.clone() },
    ] {
        let mut sampler = Sampler::new(options.clone(), 4).unwrap();
        for logits in [[0.0; 4], [f32::MAX, f32::MIN, 0.0, 1.0], [f32::NEG_INFINITY, 0.0, 1e-45, -0.0]] {
            let token = sampler.sample(&logits, &[0, 1, 2, 3, 3]).unwrap();
            assert!(token < 4 && logits[token as usize] > f32::NEG_INFINITY, "{options:?}");
        }
    }
    let mut sampler = Sampler::new(SamplerOptions { repeat_penalty: 1.5, ..good }, 4).unwrap();
    assert_eq!(sampler.sample(&[0.0; 3], &[]).unwrap_err().code(), "argument");
    assert_eq!(sampler.sample(&[0.0; 4], &[4]).unwrap_err().code(), "argument");
    assert_eq!(sampler.sample(&[nan; 4], &[]).unwrap_err().code(), "format");
    assert_eq!(sampler.sample(&[f32::NEG_INFINITY; 4], &[]).unwrap_err().code(), "format");
    assert_eq!(sampler.sample(&[0.0, infinite, 0.0, 0.0], &[]).unwrap_err().code(), "format");
}
