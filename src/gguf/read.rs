//! A cursor over the bytes that have arrived, which knows "not yet" from "never".

use super::metadata::{Array, StrArray, Value, ValueType, number};
use super::{MAX_ARRAY_LEN, MAX_STRING_BYTES};
use crate::error::{Error, Result, shown};

/// Why reading stopped.
pub(super) enum Stop {
    /// The bytes ran out; more of them may make it whole.
    NeedMore,
    /// No further byte can mend it.
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Bad(error)
    }
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    /// Up to `n` of the next bytes, without taking them.
    pub fn peek(&self, n: usize) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        &rest[..n.min(rest.len())]
    }

    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let taken = self.peek(n);
        if taken.len() < n {
            return Err(Stop::NeedMore);
        }
        self.at += n;
        Ok(taken)
    }

    pub fn u32(&mut self) -> Result<u32, Stop> {
        Ok(self.take(4)?.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    pub fn u64(&mut self) -> Result<u64, Stop> {
        Ok(self.take(8)?.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// A u64 that counts something of which there are at most `limit`.
    pub fn count(&mut self, what: &str, limit: u64) -> Result<u64, Stop> {
        match self.u64()? {
            n if n <= limit => Ok(n),
            n => Err(Stop::Bad(Error::Limit(format!(
                "the header announces {n} {what}; at most {limit} are accepted: the file is damaged, or no language model"
            )))),
        }
    }

    fn string(&mut self, what: &str) -> Result<&'a [u8], Stop> {
        let n = self.u64()?;
        if n > MAX_STRING_BYTES {
            return Err(Stop::Bad(Error::Limit(format!(
                "{} is announced as {n} bytes long; at most {MAX_STRING_BYTES} are accepted: the file is damaged",
                shown(what)
            ))));
        }
        self.take(n as usize)
    }

    /// A string that must be UTF-8.
    pub fn text(&mut self, what: &str) -> Result<String, Stop> {
        let bytes = self.string(what)?;
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Stop::Bad(Error::Format(format!("{} is not valid UTF-8: the file is damaged", shown(what))))),
        }
    }

    fn value_type(&mut self, key: &str) -> Result<ValueType, Stop> {
        let id = self.u32()?;
        ValueType::from_id(id).ok_or_else(|| {
            Stop::Bad(Error::Format(format!(
                "the metadata key {} has the unknown value type {id}: the file is damaged",
                shown(key)
            )))
        })
    }

    pub fn value(&mut self, key: &str) -> Result<Value, Stop> {
        match self.value_type(key)? {
            ValueType::Str => Ok(Value::Str(self.text(key)?)),
            ValueType::Array => Ok(Value::Array(self.array(key)?)),
            kind => Ok(number(kind, self.take(kind.bytes().unwrap_or(0))?)),
        }
    }

    /// Strings of an array are kept as raw bytes: some vocabularies hold tokens that are no UTF-8.
    fn array(&mut self, key: &str) -> Result<Array, Stop> {
        let kind = self.value_type(key)?;
        let n = self.count("array elements", MAX_ARRAY_LEN)? as usize;
        if kind == ValueType::Array {
            return Err(Stop::Bad(Error::Unsupported(format!(
                "the metadata key {} holds arrays of arrays",
                shown(key)
            ))));
        }
        match kind.bytes() {
            Some(size) => Ok(Array::Num { kind, bytes: self.take(n * size)?.to_vec() }),
            None => {
                let mut strings = StrArray::default();
                for _ in 0..n {
                    strings.push(self.string(key)?);
                }
                Ok(Array::Str(strings))
            }
        }
    }
}
