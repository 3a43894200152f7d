//! A model in several files, as `llama-gguf-split` writes them: the first has the metadata, each its own tensors.

mod common;

use common::made::{self, Made, TINY};
use pagelm::gguf::{Gguf, Value};
use pagelm::model::{Loader, Model};
use pagelm::quant::Format;
use pagelm::session::Session;
use std::sync::Arc;

/// Cuts a file before the tensors with these numbers.
fn split(whole: &Made, cuts: &[usize]) -> Vec<Vec<u8>> {
    let starts = [&[0], cuts].concat();
    let file = |i: usize| {
        let end = starts.get(i + 1).copied().unwrap_or(whole.tensors.len());
        let metadata = if i == 0 { whole.metadata.clone() } else { Vec::new() };
        let mut part = Made { metadata, tensors: whole.tensors[starts[i]..end].to_vec() };
        part.set("split.no", Value::Int(i as i128));
        part.set("split.count", Value::Int(starts.len() as i128));
        part.set("split.tensors.count", Value::Int(whole.tensors.len() as i128));
        part.write()
    };
    (0..starts.len()).map(file).collect()
}

fn load(files: &[&[u8]]) -> pagelm::Result<(Model, Gguf)> {
    let mut loader = Loader::new(files.first().map(|file| file.len() as u64));
    for (i, file) in files.iter().enumerate() {
        if i > 0 {
            loader.next_part(Some(file.len() as u64))?;
        }
        for piece in file.chunks(301) {
            loader.push(piece)?;
        }
    }
    loader.finish()
}

fn logits(model: Model) -> Vec<f32> {
    Session::new(Arc::new(model), None).unwrap().forward(&[1, 4, 3]).unwrap().to_vec()
}

#[test]
fn the_files_of_a_model_are_as_one() {
    let mut shape = TINY;
    (shape.n_embd, shape.n_ff) = (32, 32);
    let whole = made::llama(shape, Format::Q8_0);
    let expected = logits(load(&[&whole.write()]).unwrap().0);
    // the first may hold no tensor at all
    for cuts in [&[3][..], &[1, 2, 9], &[0, 5]] {
        let files = split(&whole, cuts);
        let (model, gguf) = load(&files.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        assert_eq!(gguf.tensors.len(), whole.tensors.len());
        assert_eq!(gguf.file_bytes, files.iter().map(|file| file.len() as u64).sum::<u64>());
        assert_eq!(logits(model), expected);
    }
}

#[test]
fn files_that_are_missing_or_out_of_order_are_told() {
    let mut shape = TINY;
    (shape.n_embd, shape.n_ff) = (32, 32);
    let files = split(&made::llama(shape, Format::Q8_0), &[2, 6]);
    let [a, b, c] = [0, 1, 2].map(|i| files[i].as_slice());
    let refused = |files: &[&[u8]], says: &str| {
        let error = load(files).expect_err(says);
        assert!(error.code() == "format" && error.to_string().contains(says), "{error}");
    };
    refused(&[a], "file 1 of a model in 3 files");
    refused(&[a, b], "file 2 of a model in 3 files");
    refused(&[b, a, c], "file 2 of a model in several, where file 1 is expected");
    refused(&[a, c, b], "file 3 of a model in several, where file 2 is expected");
    refused(&[a, &b[..b.len() - 64], c], "truncated");
    refused(&[a, b, &c[..20]], "within its header");
    refused(&[a, b, b], "file 2 of a model in several, where file 3 is expected");
}
