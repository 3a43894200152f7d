//! LoRA adapters: what they add, that they can be had in any number and taken away again, and that no cache is mixed.

#[path = "common/made.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod made;

use made::{Made, Shape, noise};
use pagelm::gguf::{Gguf, Metadata, Value, write};
use pagelm::model::{Adapter, CacheType, Model};
use pagelm::quant::Format;
use pagelm::session::{GenerateOptions, Generation, Session, Speculation, Step};
use pagelm::tokenizer::Tokenizer;
use std::sync::Arc;

const SHAPE: Shape =
    Shape { n_layer: 2, n_embd: 32, n_head: 4, n_head_kv: 2, n_ff: 64, n_ctx: 80, n_pieces: 29, bytes: false };
const RANK: u64 = 4;

/// A matrix by name, its columns and its rows.
type Matrix = (&'static str, u64, u64);

/// The matrices that the adapters of these tests change.
const MATRICES: [Matrix; 5] = [
    ("blk.0.attn_q.weight", 32, 32),
    ("blk.0.attn_v.weight", 32, 16),
    ("blk.1.attn_output.weight", 32, 32),
    ("blk.1.ffn_up.weight", 32, 64),
    ("blk.1.ffn_down.weight", 64, 32),
];

/// Rows of A, \[r × columns\], and of B, \[rows × r\].
type Halves = (Vec<f32>, Vec<f32>);

fn halves(seed: u32) -> Vec<Halves> {
    halves_of(&MATRICES, 0.3, seed)
}

fn halves_of(matrices: &[Matrix], size: f32, seed: u32) -> Vec<Halves> {
    let half = |n: u64, seed| noise(n as usize, size, seed);
    let of = |(i, (_, columns, rows)): (usize, &Matrix)| {
        let seed = 100 * seed + 2 * i as u32;
        (half(columns * RANK, seed), half(rows * RANK, seed + 1))
    };
    matrices.iter().enumerate().map(of).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The adapter's file.
fn file(halves: &[Halves], alpha: f64) -> Vec<u8> {
    file_of(&MATRICES, halves, alpha)
}

fn file_of(matrices: &[Matrix], halves: &[Halves], alpha: f64) -> Vec<u8> {
    let metadata = Metadata::new(vec![
        ("general.architecture".into(), Value::Str("llama".into())),
        ("general.type".into(), Value::Str("adapter".into())),
        ("adapter.type".into(), Value::Str("lora".into())),
        ("adapter.lora.alpha".into(), Value::Float(alpha)),
    ]);
    let mut tensors = Vec::new();
    for ((name, columns, rows), (a, b)) in matrices.iter().zip(halves) {
        tensors.push((format!("{name}.lora_a"), [*columns, RANK], bytes(a)));
        tensors.push((format!("{name}.lora_b"), [RANK, *rows], bytes(b)));
    }
    let described: Vec<_> = tensors.iter().map(|(name, shape, b)| (&**name, &shape[..], Format::F32, &b[..])).collect();
    write(&metadata, &described)
}

/// The model with W + Σ scale · alpha / r · B · A in place of W.
fn merged(mut made: Made, matrices: &[Matrix], adapters: &[(Vec<Halves>, f64)]) -> Arc<Model> {
    for (halves, factor) in adapters {
        for ((name, columns, rows), (a, b)) in matrices.iter().zip(halves) {
            let (columns, rank) = (*columns as usize, RANK as usize);
            let tensor = made.tensor(name);
            for row in 0..*rows as usize {
                for column in 0..columns {
                    let change: f64 =
                        (0..rank).map(|r| f64::from(b[row * rank + r]) * f64::from(a[r * columns + column])).sum();
                    let at = 4 * (row * columns + column);
                    let raw: &mut [u8; 4] = (&mut tensor.bytes[at..at + 4]).try_into().unwrap();
                    *raw = ((f64::from(f32::from_le_bytes(*raw)) + factor * change) as f32).to_le_bytes();
                }
            }
        }
    }
    made.load()
}

fn text(n: u32) -> Vec<u32> {
    (0..n).map(|i| (i * i + 3 * i) % 32).collect()
}

fn logits(session: &mut Session, tokens: &[u32]) -> Vec<f32> {
    session.prepare(tokens).unwrap();
    while session.n_pending() > 64 {
        session.prefill().unwrap();
    }
    session.forward(&[]).unwrap().to_vec()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Within a hundred thousandth of the largest: sums are taken in another order.
fn near(got: &[f32], want: &[f32]) {
    let largest = want.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let worst = got.iter().zip(want).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    println!("{worst} of {largest}");
    assert!(worst <= 1e-5 * largest, "{worst} of {largest}");
}

/// On the model that the page opens with, as it is and with its weights' floats.
#[test]
fn the_built_in_model_takes_adapters_and_loses_nothing_by_them() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/story.gguf");
    let bytes = std::fs::read(path).unwrap();
    let (model, gguf) = made::load(&bytes);
    let sized = |name: &'static str| {
        let shape = &gguf.tensor(name).unwrap().shape;
        (name, shape[0], shape[1])
    };
    let matrices = ["blk.0.attn_q.weight", "blk.1.ffn_down.weight", "blk.2.attn_output.weight"].map(sized);
    let [first, second] = [1, 2].map(|seed| halves_of(&matrices, 0.2, seed));
    let tokens = Tokenizer::from_metadata(&gguf.metadata).unwrap().encode_prompt("Once upon a time", false).unwrap();
    let text = |session: &mut Session| -> Vec<Step> {
        let options = GenerateOptions { max_tokens: Some(40), ..GenerateOptions::default() };
        Generation::new(session, &tokens, options).unwrap().map(Result::unwrap).collect()
    };
    let load = |model: &Model, halves| Arc::new(Adapter::load(model, &file_of(&matrices, halves, 8.0)).unwrap());
    let mut session = Session::new(model.clone(), None).unwrap();
    let (before, plain) = (text(&mut session), bits(&logits(&mut session, &tokens)));
    session.set_adapters(vec![(load(&model, &first), 0.5), (load(&model, &second), -0.25)]).unwrap();
    assert_ne!(text(&mut session), before);
    session.set_adapters(Vec::new()).unwrap();
    assert_eq!(bits(&logits(&mut session, &tokens)), plain);
    assert_eq!(text(&mut session), before);
    // its weights as floats, into which the adapters can be merged
    let floats = in_floats(&bytes, &gguf);
    let model = floats.load();
    let mut session = Session::new(model.clone(), None).unwrap();
    session.set_adapters(vec![(load(&model, &first), 0.5), (load(&model, &second), -0.25)]).unwrap();
    // alpha / r is 2
    let merged = merged(floats, &matrices, &[(first, 1.0), (second, -0.5)]);
    near(&logits(&mut session, &tokens), &logits(&mut Session::new(merged, None).unwrap(), &tokens));
}

/// A file with every tensor in F32.
fn in_floats(file: &[u8], gguf: &Gguf) -> Made {
    let metadata = gguf.metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let tensor = |info: &pagelm::gguf::TensorInfo| {
        let mut floats = vec![0.0; info.n_elements() as usize];
        info.format.dequantize(gguf.tensor_bytes(file, info).unwrap(), &mut floats);
        made::Tensor { name: info.name.clone(), shape: info.shape.clone(), format: Format::F32, bytes: bytes(&floats) }
    };
    Made { metadata, tensors: gguf.tensors.iter().map(tensor).collect() }
}

#[test]
fn two_scaled_adapters_are_the_merged_weights_and_none_are_the_model() {
    for format in [Format::F32, Format::Q8_0] {
        // the merged weights need not be ones of 8 bits
        let made = made::llama(SHAPE, format);
        let model = made.load();
        let (first, second) = (halves(1), halves(2));
        let load = |halves: &[Halves], alpha| Arc::new(Adapter::load(&model, &file(halves, alpha)).unwrap());
        // alpha / r is 2 for the first; the second has no alpha
        let (one, two) = (load(&first, 8.0), load(&second, 0.0));
        let tokens = text(70);
        let mut session = Session::new(model.clone(), None).unwrap();
        let before = logits(&mut session, &tokens);
        session.set_adapters(vec![(one.clone(), 0.5), (two.clone(), -0.25)]).unwrap();
        let both = logits(&mut session, &tokens);
        assert_ne!(bits(&both), bits(&before), "they change what is computed");
        if format == Format::F32 {
            let merged = merged(made, &MATRICES, &[(first, 1.0), (second, -0.25)]);
            let want = logits(&mut Session::new(merged, None).unwrap(), &tokens);
            near(&both, &want);
        }
        // in batches of any size the same bits
        let mut alone = Session::new(model.clone(), None).unwrap();
        alone.set_adapters(vec![(one.clone(), 0.5), (two, -0.25)]).unwrap();
        let mut last = Vec::new();
        for token in &tokens {
            last = bits(alone.forward(&[*token]).unwrap());
        }
        assert_eq!(last, bits(&both));
        // another scale, and none
        session.set_adapters(vec![(one, 0.5)]).unwrap();
        assert_ne!(bits(&logits(&mut session, &tokens)), bits(&both));
        session.set_adapters(Vec::new()).unwrap();
        assert_eq!(bits(&logits(&mut session, &tokens)), bits(&before));
        assert_eq!(session.hash(), model.hash());
    }
}

#[test]
fn a_change_of_adapters_leaves_the_text_and_nothing_that_was_computed() {
    let model = made::llama(SHAPE, Format::Q8_0).load();
    let adapter = Arc::new(Adapter::load(&model, &file(&halves(1), 8.0)).unwrap());
    let tokens = text(70);
    let mut fresh = Session::new(model.clone(), None).unwrap();
    fresh.set_adapters(vec![(adapter.clone(), 1.0)]).unwrap();
    let want = logits(&mut fresh, &tokens);
    let mut session = Session::new(model.clone(), None).unwrap();
    logits(&mut session, &tokens);
    session.set_adapters(vec![(adapter.clone(), 1.0)]).unwrap();
    assert_eq!((session.tokens(), session.n_past()), (&tokens[..], 0));
    assert_eq!(session.prepare(&tokens).unwrap(), 0);
    assert_eq!(bits(&logits(&mut session, &tokens)), bits(&want));
    // a text saved with it is not for the model alone, nor for it at another scale
    let saved = session.save();
    for adapters in [vec![], vec![(adapter.clone(), 0.5)]] {
        let mut other = Session::new(model.clone(), None).unwrap();
        other.set_adapters(adapters).unwrap();
        assert_eq!(other.restore(&saved).unwrap_err().code(), "argument");
        assert_ne!(other.hash(), session.hash());
    }
    fresh.restore(&saved).unwrap();
    // clones keep it, and guesses change nothing with it
    let options = |speculation| GenerateOptions { max_tokens: Some(8), speculation, ..GenerateOptions::default() };
    let next = |session: Session, speculation| -> Vec<Step> {
        Generation::resume(session, options(speculation)).unwrap().map(Result::unwrap).collect()
    };
    let clone = session.try_clone().unwrap();
    let want = next(session, Speculation::Off);
    assert_eq!(next(clone, Speculation::Off), want);
    assert_eq!(next(fresh, Speculation::Lookup), want);
}

#[test]
fn every_cache_type_and_a_fused_matrix_take_adapters() {
    let model = made::gpt2(SHAPE, Format::Q8_0).load();
    let (a, b) = (noise(32 * 4, 0.3, 5), noise(96 * 4, 0.3, 6));
    let metadata = Metadata::new(vec![("adapter.type".into(), Value::Str("lora".into()))]);
    let (a, b) = (bytes(&a), bytes(&b));
    let file = write(
        &metadata,
        &[
            ("blk.1.attn_qkv.weight.lora_a", &[32, 4], Format::F32, &a),
            ("blk.1.attn_qkv.weight.lora_b", &[4, 96], Format::F32, &b),
        ],
    );
    let adapter = Arc::new(Adapter::load(&model, &file).unwrap());
    for cache_type in [CacheType::F32, CacheType::F16, CacheType::Q8_0] {
        let mut session = Session::with_cache_type(model.clone(), None, cache_type).unwrap();
        let before = logits(&mut session, &text(20));
        session.set_adapters(vec![(adapter.clone(), 1.0)]).unwrap();
        assert_ne!(bits(&logits(&mut session, &text(20))), bits(&before));
    }
}

#[test]
fn what_is_no_adapter_for_a_model_is_refused() {
    let model = made::llama(SHAPE, Format::F32).load();
    let sound = file(&halves(1), 8.0);
    let refused = |file: &[u8], code: &str, says: &str| {
        let error = Adapter::load(&model, file).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(b"not a file", "format", "not a GGUF");
    refused(&sound[..sound.len() - 1], "format", "truncated");
    refused(&made::llama(SHAPE, Format::F32).write(), "format", "no LoRA adapter");
    let with = |tensors: &[(&str, &[u64])]| {
        let metadata = Metadata::new(vec![("adapter.type".into(), Value::Str("lora".into()))]);
        let zeros = vec![0; 4 * 64 * 64];
        let described: Vec<_> = tensors
            .iter()
            .map(|(name, shape)| (*name, *shape, Format::F32, &zeros[..4 * shape.iter().product::<u64>() as usize]))
            .collect();
        write(&metadata, &described)
    };
    refused(&with(&[]), "format", "empty");
    let (a, b) = ("blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b");
    refused(&with(&[(a, &[32, 4])]), "format", "second half");
    refused(&with(&[(b, &[4, 32])]), "unsupported", "cannot have the tensor");
    refused(&with(&[(a, &[32, 4]), (b, &[5, 32])]), "format", "does not fit");
    refused(&with(&[(a, &[31, 4]), (b, &[4, 32])]), "format", "does not fit");
    refused(&with(&[(a, &[32, 4]), (b, &[4, 33])]), "format", "does not fit");
    refused(&with(&[(a, &[32, 2, 2]), (b, &[4, 32])]), "format", "does not fit");
    refused(&with(&[(a, &[32])]), "format", "does not fit");
    refused(
        &with(&[("token_embd.weight.lora_a", &[32, 4]), ("token_embd.weight.lora_b", &[4, 32])]),
        "unsupported",
        "token_embd",
    );
    refused(&with(&[("blk.2.attn_q.weight.lora_a", &[32, 4])]), "unsupported", "blk.2");
    refused(&with(&[("blk.0.attn_norm.weight", &[32])]), "unsupported", "attn_norm");
    // a bit anywhere in the header does no harm
    for bit in (0..8 * 400).step_by(5) {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let _ = Adapter::load(&model, &damaged);
    }
    let other = made::llama(SHAPE, Format::Q4_0).load();
    let adapter = Arc::new(Adapter::load(&model, &sound).unwrap());
    let mut session = Session::new(other, None).unwrap();
    assert_eq!(session.set_adapters(vec![(adapter.clone(), 1.0)]).unwrap_err().code(), "argument");
    let mut session = Session::new(model, None).unwrap();
    assert_eq!(session.set_adapters(vec![(adapter, f32::NAN)]).unwrap_err().code(), "argument");
    assert!(session.adapters().is_empty());
}
