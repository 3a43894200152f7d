//! Writing a GGUF file: for tests that make their own models, and for tools that convert them.

use super::metadata::{Array, Value};
use super::{Gguf, Metadata, TensorInfo};
use crate::quant::Format;

/// Lays out a GGUF version 3 file from metadata and tensors, each given as name, shape (fastest-running first), format
/// and bytes. The alignment is the metadata's `general.alignment`, else 32.
///
/// Nothing is checked: hostile files are written by the same hand as sound ones, and [`Gguf::parse`] is the judge.
pub fn write(metadata: &Metadata, tensors: &[(&str, &[u64], Format, &[u8])]) -> Vec<u8> {
    let alignment =
        metadata.u32("general.alignment").ok().flatten().unwrap_or(super::DEFAULT_ALIGNMENT).max(1) as usize;
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.iter().len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        string(&mut out, key.as_bytes());
        write_value(&mut out, value);
    }
    let mut offset = 0;
    for (name, shape, format, bytes) in tensors {
        string(&mut out, name.as_bytes());
        out.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
        out.extend((*format as u32).to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset = (offset + bytes.len()).next_multiple_of(alignment);
    }
    for (_, _, _, bytes) in tensors {
        out.resize(out.len().next_multiple_of(alignment), 0);
        out.extend(*bytes);
    }
    out
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Integers are written as u32 where they fit, else as i64; floats as f32.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    let mut tag = |id: u32| out.extend(id.to_le_bytes());
    match value {
        Value::Int(i) => match u32::try_from(*i) {
            Ok(small) => {
                tag(4);
                out.extend(small.to_le_bytes());
            }
            Err(_) => {
                tag(11);
                out.extend((*i as i64).to_le_bytes());
            }
        },
        Value::Float(x) => {
            tag(6);
            out.extend((*x as f32).to_le_bytes());
        }
        Value::Bool(b) => {
            tag(7);
            out.push(u8::from(*b));
        }
        Value::Str(text) => {
            tag(8);
            string(out, text.as_bytes());
        }
        Value::Array(array) => {
            tag(9);
            let kind = match array {
                Array::Str(_) => 8,
                Array::Num { kind, .. } => *kind as u32,
            };
            out.extend(kind.to_le_bytes());
            out.extend((array.len() as u64).to_le_bytes());
            match array {
                Array::Str(strings) => strings.iter().for_each(|s| string(out, s)),
                Array::Num { bytes, .. } => out.extend(bytes),
            }
        }
    }
}

impl Gguf {
    /// The bytes of one tensor, where `file` is the whole file that this header came from.
    pub fn tensor_bytes<'a>(&self, file: &'a [u8], tensor: &TensorInfo) -> Option<&'a [u8]> {
        let start = usize::try_from(self.data_offset.checked_add(tensor.offset)?).ok()?;
        file.get(start..start.checked_add(usize::try_from(tensor.bytes).ok()?)?)
    }
}
