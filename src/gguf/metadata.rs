//! The key–value half of a GGUF header: typed values, and getters that say which key has the wrong type.

use crate::error::{Error, Result};

/// The element type of a value, with GGUF's own ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    Str = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    /// The type with this id in a file.
    pub fn from_id(id: u32) -> Option<ValueType> {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, Str, Array, U64, I64, F64].get(id as usize).copied()
    }

    /// Bytes of one number in the file; strings and arrays have no fixed size and give `None`.
    pub fn bytes(self) -> Option<usize> {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => Some(1),
            ValueType::U16 | ValueType::I16 => Some(2),
            ValueType::U32 | ValueType::I32 | ValueType::F32 => Some(4),
            ValueType::U64 | ValueType::I64 | ValueType::F64 => Some(8),
            ValueType::Str | ValueType::Array => None,
        }
    }
}

/// One metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any of the integer types, widened. i128 holds both u64 and i64.
    Int(i128),
    /// f32 or f64, widened.
    Float(f64),
    /// true or false.
    Bool(bool),
    /// A text. GGUF asks for UTF-8; what is not was refused by the parser.
    Str(String),
    /// Many values of one type.
    Array(Array),
}

/// Many values of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Strings, as raw bytes.
    Str(StrArray),
    /// Numbers or booleans, still as the file's little-endian bytes.
    Num {
        /// Element type; never `Str` or `Array`.
        kind: ValueType,
        /// `kind.bytes()` bytes an element.
        bytes: Vec<u8>,
    },
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Array::Str(strings) => strings.len(),
            Array::Num { kind, bytes } => bytes.len() / kind.bytes().unwrap_or(1),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i`, widened; `None` past the end.
    pub fn get(&self, i: usize) -> Option<Value> {
        match self {
            Array::Str(strings) => {
                (i < strings.len()).then(|| Value::Str(String::from_utf8_lossy(strings.get(i)).into_owned()))
            }
            Array::Num { kind, bytes } => {
                let n = kind.bytes()?;
                Some(number(*kind, bytes.get(i * n..(i + 1) * n)?))
            }
        }
    }
}

/// Widens one little-endian number of type `kind`; `raw` has exactly its bytes.
pub(super) fn number(kind: ValueType, raw: &[u8]) -> Value {
    let mut wide = [0u8; 8];
    wide[..raw.len()].copy_from_slice(raw);
    let u = u64::from_le_bytes(wide);
    let unused = 64 - 8 * raw.len() as u32;
    match kind {
        ValueType::F32 => Value::Float(f64::from(f32::from_bits(u as u32))),
        ValueType::F64 => Value::Float(f64::from_bits(u)),
        ValueType::Bool => Value::Bool(u != 0),
        ValueType::I8 | ValueType::I16 | ValueType::I32 | ValueType::I64 => {
            Value::Int(i128::from(((u << unused) as i64) >> unused))
        }
        _ => Value::Int(i128::from(u)),
    }
}

/// Many byte strings in one allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StrArray {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl StrArray {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `i` as raw bytes; empty past the end.
    pub fn get(&self, i: usize) -> &[u8] {
        let Some(&end) = self.ends.get(i) else { return &[] };
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start as usize..end as usize]
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Appends a string. All of them together hold at most 4 GiB; the parser's limits keep files far below.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Bytes of heap that the strings take.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + 4 * self.ends.capacity()
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for StrArray {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut array = StrArray::default();
        strings.into_iter().for_each(|string| array.push(string.as_ref()));
        array
    }
}

/// All key–value pairs of a file, in its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    pairs: Vec<(String, Value)>,
}

impl Metadata {
    /// Metadata from pairs whose keys are distinct.
    pub fn new(pairs: Vec<(String, Value)>) -> Metadata {
        Metadata { pairs }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// All pairs in the file's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn typed<'a, T>(&'a self, key: &str, want: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => {
                Err(Error::Format(format!("the metadata key {key} should be {want}; this file has another type there")))
            }
        }
    }

    /// An integer of any width that fits u32.
    pub fn u32(&self, key: &str) -> Result<Option<u32>> {
        self.typed(key, "an integer from 0 to 4294967295", |value| match value {
            Value::Int(i) => u32::try_from(*i).ok(),
            _ => None,
        })
    }

    /// A number; integers count.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        self.typed(key, "a number", |value| match value {
            Value::Float(x) => Some(*x as f32),
            Value::Int(i) => Some(*i as f32),
            _ => None,
        })
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(b) => Some(*b),
            _ => None,
        })
    }

    /// A text.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a string", |value| match value {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&StrArray>> {
        self.typed(key, "an array of strings", |value| match value {
            Value::Array(Array::Str(strings)) => Some(strings),
            _ => None,
        })
    }

    /// An array of f32.
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.typed(key, "an array of f32", |value| match value {
            Value::Array(Array::Num { kind: ValueType::F32, bytes }) => {
                Some(bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect())
            }
            _ => None,
        })
    }

    /// An array of 8-bit integers, signed or not, as bytes.
    pub fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.typed(key, "an array of 8-bit integers", |value| match value {
            Value::Array(Array::Num { kind: ValueType::I8 | ValueType::U8, bytes }) => Some(bytes.clone()),
            _ => None,
        })
    }

    /// An array of 32-bit integers, signed or not.
    pub fn i32s(&self, key: &str) -> Result<Option<Vec<i32>>> {
        self.typed(key, "an array of 32-bit integers", |value| match value {
            Value::Array(Array::Num { kind: ValueType::I32 | ValueType::U32, bytes }) => {
                Some(bytes.as_chunks::<4>().0.iter().map(|raw| i32::from_le_bytes(*raw)).collect())
            }
            _ => None,
        })
    }
}
