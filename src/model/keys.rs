//! The metadata of one architecture, whose keys all begin with its name.

use crate::error::{Error, Result, number};
use crate::gguf::{Metadata, Value};

/// Widest value that a dimension in the metadata may have; keeps every product of two within 64 bits.
pub(super) const MAX_DIM: u32 = 1 << 24;

/// Reads the keys of one architecture.
pub(super) struct Keys<'a> {
    pub metadata: &'a Metadata,
    pub prefix: &'static str,
}

impl Keys<'_> {
    /// The whole name of a key.
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    pub fn missing(&self, key: &str) -> Error {
        Error::Format(format!("the metadata key {} is missing", self.name(key)))
    }

    /// A positive number.
    pub fn f32(&self, key: &str) -> Result<Option<f32>> {
        match self.metadata.f32(&self.name(key))? {
            Some(x) if !x.is_finite() || x <= 0.0 => {
                Err(Error::Format(format!("{} is {}; it must be a positive number", self.name(key), number(x))))
            }
            x => Ok(x),
        }
    }

    /// A positive number that files also write as 0 where they have none.
    pub fn f32_or_0(&self, key: &str) -> Result<Option<f32>> {
        match self.metadata.f32(&self.name(key)) {
            Ok(Some(0.0)) => Ok(None),
            _ => self.f32(key),
        }
    }

    /// A positive number or none (0); `usual` where the file does not say, likewise.
    pub fn f32_or_usual(&self, key: &str, usual: f32) -> Result<Option<f32>> {
        match self.metadata.get(&self.name(key)) {
            None => Ok(Some(usual).filter(|x| *x != 0.0)),
            Some(_) => self.f32_or_0(key),
        }
    }

    /// A factor; 1 where there is none.
    pub fn factor(&self, key: &str) -> Result<f32> {
        Ok(self.f32_or_0(key)?.unwrap_or(1.0))
    }

    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.metadata.bool(&self.name(key))
    }

    pub fn dim(&self, key: &str, max: u32) -> Result<usize> {
        self.bounded(key, max)?.ok_or_else(|| self.missing(key))
    }

    pub fn optional_dim(&self, key: &str) -> Result<Option<usize>> {
        self.bounded(key, MAX_DIM)
    }

    /// A count that may be 0.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        Ok(self.metadata.u32(&self.name(key))?.map(|n| n as usize))
    }

    /// A number from 1 to `max`. Files may give one for each layer; they must then be equal.
    fn bounded(&self, key: &str, max: u32) -> Result<Option<usize>> {
        let name = self.name(key);
        let found = match self.metadata.get(&name) {
            Some(Value::Array(_)) => {
                let each = self.metadata.i32s(&name)?.unwrap_or_default();
                match each.first() {
                    Some(first) if each.iter().all(|n| n == first) => Some(*first as u32),
                    _ => {
                        return Err(Error::Unsupported(format!(
                            "{name} differs from layer to layer, which cannot be run yet"
                        )));
                    }
                }
            }
            _ => self.metadata.u32(&name)?,
        };
        match found {
            Some(n) if n == 0 || n > max => {
                Err(Error::Format(format!("{name} is {n}; it must lie between 1 and {max}")))
            }
            n => Ok(n.map(|n| n as usize)),
        }
    }
}
