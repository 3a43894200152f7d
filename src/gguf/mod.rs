//! The container: bytes become metadata and checked tensor descriptions. What a key means is not known here.
//!
//! A header is read from however many bytes have arrived ([`Gguf::parse_prefix`]), so that a download can be planned
//! from its first piece: the header says how long the file is, whatever the server says.
//!
//! # Source
//! The GGUF specification, <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

mod hash;
mod metadata;
mod read;
mod write;

pub use hash::hash;
pub use metadata::{Array, Metadata, StrArray, Value, ValueType};
pub use write::write;

use crate::error::{Error, Result, shown};
use crate::quant::Format;
use read::{Reader, Stop};

/// Most tensors that a file may describe.
pub const MAX_TENSORS: u64 = 65_536;
/// Most metadata pairs.
pub const MAX_METADATA: u64 = 65_536;
/// Longest string, in bytes: keys, values, and the elements of arrays.
pub const MAX_STRING_BYTES: u64 = 16 << 20;
/// Most elements of one array.
pub const MAX_ARRAY_LEN: u64 = 16 << 20;
/// Most dimensions of a tensor, as in ggml.
pub const MAX_DIMS: u32 = 4;
/// Longest header (metadata and tensor descriptions together), in bytes.
pub const MAX_HEADER_BYTES: usize = 256 << 20;
/// Largest alignment of the data section, in bytes.
pub const MAX_ALIGNMENT: u32 = 1 << 20;
/// Where the file does not say, tensors start at multiples of this many bytes.
pub const DEFAULT_ALIGNMENT: u32 = 32;

/// A parsed header.
#[derive(Debug, Clone, PartialEq)]
pub struct Gguf {
    /// Version of the format: 2 or 3.
    pub version: u32,
    /// What the file says about itself.
    pub metadata: Metadata,
    /// What tensors it holds, in the header's order.
    pub tensors: Vec<TensorInfo>,
    /// Tensors start at multiples of this, counted from `data_offset`; a power of two.
    pub alignment: u64,
    /// Where the data section starts, in bytes from the start of the file.
    pub data_offset: u64,
    /// Where the last tensor ends, in bytes from the start of the file: the length a whole file has at least.
    pub file_bytes: u64,
}

/// Where one tensor lies and how it is stored. Its extent is known to be sound and to overlap no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, unique in the file.
    pub name: String,
    /// Its dimensions in ggml's order, the fastest-running first; none is zero; 1 to [`MAX_DIMS`] of them.
    pub shape: Vec<u64>,
    /// How its numbers are stored.
    pub format: Format,
    /// Start, in bytes from the start of the data section.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// How many numbers it holds.
    pub fn n_elements(&self) -> u64 {
        self.shape.iter().product()
    }
}

impl Gguf {
    /// Reads a header from the whole file, and checks that every tensor lies within it.
    ///
    /// # Errors
    /// `Format` where the bytes are no sound GGUF file or end too early; `Unsupported` for a version or a tensor type
    /// that this engine does not know; `Limit` where a count exceeds its named limit.
    pub fn parse(bytes: &[u8]) -> Result<Gguf> {
        let truncated = |need: u64| {
            Error::Format(format!(
                "the file is truncated: it needs at least {need} bytes and has {}; download it again",
                bytes.len()
            ))
        };
        let gguf = Gguf::parse_prefix(bytes)?.ok_or_else(|| truncated(bytes.len() as u64 + 1))?;
        if gguf.file_bytes > bytes.len() as u64 {
            return Err(truncated(gguf.file_bytes));
        }
        Ok(gguf)
    }

    /// Reads a header from the first bytes of a file; `None` where more bytes are needed to tell.
    ///
    /// # Errors
    /// As [`Gguf::parse`], as soon as the bytes at hand show the fault.
    pub fn parse_prefix(bytes: &[u8]) -> Result<Option<Gguf>> {
        match read_header(&mut Reader::new(bytes)) {
            Ok(gguf) => Ok(Some(gguf)),
            Err(Stop::Bad(error)) => Err(error),
            Err(Stop::NeedMore) if bytes.len() >= MAX_HEADER_BYTES => Err(Error::Limit(format!(
                "the header is longer than {MAX_HEADER_BYTES} bytes; this is no model file that can be loaded"
            ))),
            Err(Stop::NeedMore) => Ok(None),
        }
    }

    /// How many numbers all tensors hold together.
    pub fn n_parameters(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.n_elements()))
    }

    /// The format that most of the parameters are stored in; `None` without tensors.
    pub fn main_format(&self) -> Option<Format> {
        let parameters =
            |format| self.tensors.iter().filter(|t| t.format == format).map(TensorInfo::n_elements).sum::<u64>();
        self.tensors.iter().map(|tensor| tensor.format).max_by_key(|format| parameters(*format))
    }

    /// The description of the tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

fn read_header(r: &mut Reader<'_>) -> Result<Gguf, Stop> {
    let version = read_magic_and_version(r)?;
    let n_tensors = r.count("tensors", MAX_TENSORS)?;
    let n_metadata = r.count("metadata pairs", MAX_METADATA)?;
    let metadata = read_metadata(r, n_metadata)?;
    let alignment = match metadata.u32("general.alignment")? {
        None => DEFAULT_ALIGNMENT,
        Some(a) if a.is_power_of_two() && (8..=MAX_ALIGNMENT).contains(&a) => a,
        Some(a) => {
            return bad(format!("general.alignment is {a}; it must be a power of two from 8 to {MAX_ALIGNMENT}"));
        }
    };
    let mut tensors = Vec::new();
    for _ in 0..n_tensors {
        tensors.push(read_tensor_info(r, u64::from(alignment))?);
    }
    let header_bytes = r.position() as u64;
    let data_offset = header_bytes.next_multiple_of(u64::from(alignment));
    let data_bytes = check_extents(&tensors)?;
    let Some(file_bytes) = data_offset.checked_add(data_bytes) else {
        return bad("the tensors reach past 2⁶⁴ bytes".into());
    };
    // Without tensors nothing follows the header, not even its padding.
    let file_bytes = if tensors.is_empty() { header_bytes } else { file_bytes };
    Ok(Gguf { version, metadata, tensors, alignment: u64::from(alignment), data_offset, file_bytes })
}

fn bad<T>(text: String) -> Result<T, Stop> {
    Err(Stop::Bad(Error::Format(text)))
}

fn read_magic_and_version(r: &mut Reader<'_>) -> Result<u32, Stop> {
    let magic = r.peek(4);
    if !b"GGUF".starts_with(magic) {
        let seen = shown(&String::from_utf8_lossy(r.peek(12)));
        let page = if r.peek(1) == b"<" { " (it looks like a web page: is the address right?)" } else { "" };
        return bad(format!("not a GGUF file: it starts with \"{seen}\"{page}; a model file starts with \"GGUF\""));
    }
    r.take(4)?;
    let version = r.u32()?;
    match version {
        2 | 3 => Ok(version),
        v if v.swap_bytes() <= 3 && v != 0 => Err(Stop::Bad(Error::Unsupported(
            "the file is big-endian GGUF; only little-endian files can be loaded: convert it again".into(),
        ))),
        v => Err(Stop::Bad(Error::Unsupported(format!(
            "GGUF version {v} is not supported; versions 2 and 3 are: convert the model again"
        )))),
    }
}

fn read_metadata(r: &mut Reader<'_>, n: u64) -> Result<Metadata, Stop> {
    let mut pairs: Vec<(String, Value)> = Vec::new();
    for _ in 0..n {
        let key = r.text("a metadata key")?;
        let value = r.value(&key)?;
        pairs.push((key, value));
    }
    let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return bad(format!("the metadata key {} stands twice in the file", shown(pair[0])));
    }
    Ok(Metadata::new(pairs))
}

fn read_tensor_info(r: &mut Reader<'_>, alignment: u64) -> Result<TensorInfo, Stop> {
    let full_name = r.text("a tensor's name")?;
    let name = shown(&full_name);
    let n_dims = r.u32()?;
    if n_dims == 0 || n_dims > MAX_DIMS {
        return bad(format!("tensor {name} has {n_dims} dimensions; 1 to {MAX_DIMS} are possible"));
    }
    let mut shape = Vec::with_capacity(n_dims as usize);
    let mut n_elements = 1u64;
    for _ in 0..n_dims {
        let dim = r.u64()?;
        n_elements = match n_elements.checked_mul(dim) {
            Some(n) if n > 0 => n,
            _ => return bad(format!("tensor {name} has a dimension of {dim}, which cannot be")),
        };
        shape.push(dim);
    }
    let id = r.u32()?;
    let Some(format) = Format::from_id(id) else {
        return Err(Stop::Bad(Error::Unsupported(format!(
            "tensor {name} has the element type {id} ({}), which is no format of weights; quantize the model to Q8_0 or Q4_0",
            Format::other_name(id).unwrap_or("unknown")
        ))));
    };
    let whole_rows = shape[0] % format.row().block_len as u64 == 0;
    let Some(bytes) = format.bytes_for(n_elements).filter(|_| whole_rows) else {
        return bad(format!("tensor {name}: rows of {} values are no whole blocks of {}", shape[0], format.name()));
    };
    let offset = r.u64()?;
    if offset % alignment != 0 {
        return bad(format!("tensor {name} starts at {offset}, which is no multiple of the alignment {alignment}"));
    }
    Ok(TensorInfo { name: full_name, shape, format, offset, bytes })
}

/// Checks that names are distinct and extents disjoint; returns where the last one ends.
fn check_extents(tensors: &[TensorInfo]) -> Result<u64, Stop> {
    let mut by_name: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    by_name.sort_unstable();
    if let Some(pair) = by_name.windows(2).find(|pair| pair[0] == pair[1]) {
        return bad(format!("the tensor {} stands twice in the file", shown(pair[0])));
    }
    let mut by_offset: Vec<&TensorInfo> = tensors.iter().collect();
    by_offset.sort_unstable_by_key(|tensor| tensor.offset);
    let (mut end, mut previous) = (0, "");
    for tensor in by_offset {
        if tensor.offset < end {
            return bad(format!("the tensors {} and {} overlap", shown(previous), shown(&tensor.name)));
        }
        end = match tensor.offset.checked_add(tensor.bytes) {
            Some(end) => end,
            None => return bad(format!("tensor {} reaches past 2⁶⁴ bytes", shown(&tensor.name))),
        };
        previous = &tensor.name;
    }
    Ok(end)
}
