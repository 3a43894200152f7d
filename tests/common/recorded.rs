//! Models of which transformers' logits are recorded, in `tests/fixtures/models`: what their files hold is said there, and
//! their weights are drawn anew. `tests/conformance/record.py` made the records.

use super::made::{self, Made, Tensor};
use pagelm::gguf::{Array, Value, ValueType};
use pagelm::quant::Format;
use std::path::PathBuf;

/// A model, a text, and the logits at each of its tokens: \[T × V\].
pub struct Recorded {
    pub name: String,
    pub file: Made,
    pub tokens: Vec<u32>,
    pub logits: Vec<f32>,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models"))
}

/// The names of all records.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter_map(|file| file.strip_suffix(".json").map(String::from)).collect();
    names.sort();
    names
}

/// The record of this name.
pub fn read(name: &str) -> Recorded {
    let bytes = |end: &str| std::fs::read(folder().join(format!("{name}.{end}"))).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&bytes("json")).unwrap();
    let mut file = Made::default();
    file.set("general.architecture", Value::Str(record["architecture"].as_str().unwrap().into()));
    for (key, found) in record["metadata"].as_object().unwrap() {
        file.set(key, value(found));
    }
    let seeds = record["seed"].as_u64().unwrap() as u32..;
    for (seed, row) in seeds.zip(record["tensors"].as_array().unwrap()) {
        let number = |i: usize| row[i].as_f64().unwrap() as f32;
        let shape: Vec<u64> = serde_json::from_value(row[1].clone()).unwrap();
        let values = made::noise(shape.iter().product::<u64>() as usize, number(3), seed);
        let around = number(2);
        add(&mut file, row[0].as_str().unwrap(), shape, values.into_iter().map(|x| x + around));
    }
    for (name, values) in record["fixed"].as_object().unwrap() {
        let values: Vec<f32> = serde_json::from_value(values.clone()).unwrap();
        add(&mut file, name, vec![values.len() as u64], values.into_iter());
    }
    Recorded {
        name: name.into(),
        file,
        tokens: serde_json::from_value(record["tokens"].clone()).unwrap(),
        logits: super::data::floats(&bytes("f32")),
    }
}

fn add(file: &mut Made, name: &str, shape: Vec<u64>, values: impl Iterator<Item = f32>) {
    let bytes = values.flat_map(f32::to_le_bytes).collect();
    file.tensors.push(Tensor { name: name.into(), shape, format: Format::F32, bytes });
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => n.as_u64().map_or(Value::Float(n.as_f64().unwrap()), |n| Value::Int(n.into())),
        serde_json::Value::String(text) => Value::Str(text.clone()),
        serde_json::Value::Array(flags) => Value::Array(Array::Num {
            kind: ValueType::Bool,
            bytes: flags.iter().map(|flag| u8::from(flag.as_bool().unwrap())).collect(),
        }),
        other => panic!("{other} is no metadata"),
    }
}
