//! From bytes to a model, as the bytes arrive.
//!
//! ```text
//! while there are bytes:  copy some to room(), advance(n)
//!     header       collected until it parses, then everything in it is checked
//!     tensors      each into its own buffer, packed as soon as it is whole
//!     gaps, tail   skipped
//!     the next of a model's files, where there are several: next_part()
//! finish() → Model
//! ```
//!
//! The file is never in memory twice: what arrives goes straight to where it stays.

use super::config::Config;
use super::names::columns_and_rows;
use super::weights::{Model, Parts};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, hash};
use crate::tensor::{Buffer, Tensor};

/// How much is asked for at a time while the header is not whole, and where bytes are skipped.
const PIECE: usize = 64 << 10;

/// Takes a GGUF file piece by piece and ends in a [`Model`].
#[derive(Debug)]
pub struct Loader {
    /// The file's length, where the caller knows it for certain.
    known_bytes: Option<u64>,
    received: u64,
    /// The header's bytes until it parses; afterwards the place for bytes that are skipped.
    collected: Vec<u8>,
    filled: usize,
    /// When to try again to parse the header: each try costs its length, so each length is half as much again. The first
    /// bytes are tried as they come: a file that is no GGUF shows it there.
    next_try: usize,
    body: Option<Body>,
    /// What came in the files before this one.
    earlier: Option<Loaded>,
}

/// What whole files held.
#[derive(Debug)]
struct Loaded {
    /// The first one's header, with the tensors of all.
    gguf: Gguf,
    n_files: u32,
    hash: u64,
    parts: Vec<(String, Tensor)>,
}

/// What is known once the header has been read.
#[derive(Debug)]
struct Body {
    gguf: Gguf,
    /// Of a model in one file; with several, the tensors are not all known yet.
    config: Option<Config>,
    /// Indices into `gguf.tensors` in the order of their offsets, last first.
    pending: Vec<usize>,
    buffer: Option<Buffer>,
    buffer_filled: usize,
    /// Of all that came so far: the header, then tensor by tensor.
    hash: u64,
    parts: Vec<(String, Tensor)>,
}

impl Loader {
    /// `file_bytes`: the length of the file where it is known for certain (a local file; not what a server says), so
    /// that a truncated file is found out by its header.
    pub fn new(file_bytes: Option<u64>) -> Loader {
        let (collected, filled, next_try) = (Vec::new(), 0, 0);
        Loader { known_bytes: file_bytes, received: 0, collected, filled, next_try, body: None, earlier: None }
    }

    /// Where the next bytes of the file go. Never empty; fill some of it from its start, then call
    /// [`advance`](Loader::advance).
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn room(&mut self) -> Result<&mut [u8]> {
        let received = self.received;
        let Some(body) = &mut self.body else {
            if self.collected.len() < self.filled + PIECE {
                let more = self.filled.max(PIECE);
                self.collected
                    .try_reserve(more)
                    .map_err(|_| Error::Limit("there is no memory for the header".into()))?;
                self.collected.resize(self.filled + more, 0);
            }
            return Ok(&mut self.collected[self.filled..]);
        };
        match body.bytes_to_skip(received) {
            0 => Ok(body.space()),
            n => {
                self.collected.resize(PIECE, 0);
                Ok(&mut self.collected[..usize::try_from(n).unwrap_or(PIECE).min(PIECE)])
            }
        }
    }

    /// Says that the first `n` bytes of [`room`](Loader::room) have been filled.
    ///
    /// # Errors
    /// Whatever is found to be wrong with the file, as early as its bytes show it: see [`Gguf::parse`],
    /// [`Model::check`]; `Format` for weights that are no numbers; `Argument` for more bytes than there was room for.
    pub fn advance(&mut self, n: usize) -> Result<()> {
        let room = match &mut self.body {
            None => self.collected.len().saturating_sub(self.filled),
            Some(body) => match body.bytes_to_skip(self.received) {
                0 => body.space().len(),
                skip => usize::try_from(skip).unwrap_or(PIECE).min(self.collected.len()),
            },
        };
        if n > room {
            return Err(Error::Argument(format!("{n} bytes were announced, and there was room for {room}")));
        }
        let Some(body) = &mut self.body else {
            self.filled += n;
            return self.try_header();
        };
        let skipping = body.bytes_to_skip(self.received) > 0;
        self.received += n as u64;
        if skipping { body.open_next(self.received) } else { body.took(n, self.received) }
    }

    /// [`room`](Loader::room) and [`advance`](Loader::advance) until all of `bytes` is taken.
    ///
    /// # Errors
    /// As these two.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let n = room.len().min(bytes.len());
            room[..n].copy_from_slice(&bytes[..n]);
            self.advance(n)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// The header, once it has been read.
    pub fn header(&self) -> Option<&Gguf> {
        self.body.as_ref().map(|body| &body.gguf)
    }

    /// The model's shape, once the header has been read.
    pub fn config(&self) -> Option<&Config> {
        self.body.as_ref()?.config.as_ref()
    }

    /// How many files the model is in, once the first one's header has been read.
    pub fn n_files(&self) -> Option<u32> {
        self.earlier.as_ref().map(|earlier| &earlier.gguf).or(self.header()).map(n_files)
    }

    /// Says that this file is at its end, and that the model's next one follows; `file_bytes` as in [`new`](Loader::new).
    ///
    /// # Errors
    /// `Format` where the file ended too early.
    pub fn next_part(&mut self, file_bytes: Option<u64>) -> Result<()> {
        let loaded = self.take_file()?;
        *self = Loader { earlier: Some(loaded), ..Loader::new(file_bytes) };
        Ok(())
    }

    /// How long the file is by its header, once that has been read.
    pub fn total_bytes(&self) -> Option<u64> {
        self.header().map(|gguf| gguf.file_bytes)
    }

    /// How many bytes have been taken.
    pub fn received_bytes(&self) -> u64 {
        if self.body.is_some() { self.received } else { self.filled as u64 }
    }

    fn try_header(&mut self) -> Result<()> {
        if self.filled < self.next_try && Some(self.filled as u64) != self.known_bytes {
            return Ok(());
        }
        self.next_try = self.filled + self.filled / 2 + 256;
        let Some(gguf) = Gguf::parse_prefix(&self.collected[..self.filled])? else { return Ok(()) };
        self.start_body(gguf)
    }

    fn start_body(&mut self, gguf: Gguf) -> Result<()> {
        let no = gguf.metadata.u32("split.no")?.unwrap_or(0);
        let expected = self.earlier.as_ref().map_or(0, |earlier| earlier.n_files);
        if no != expected {
            return Err(Error::Format(format!(
                "this is file {} of a model in several, where file {} is expected: give them all, in their order",
                u64::from(no) + 1,
                expected + 1
            )));
        }
        let config = if n_files(&gguf) > 1 || no > 0 { None } else { Some(Model::check(&gguf)?) };
        if let Some(known) = self.known_bytes.filter(|known| *known < gguf.file_bytes) {
            return Err(truncated(known, gguf.file_bytes));
        }
        let mut pending: Vec<usize> = (0..gguf.tensors.len()).collect();
        pending.sort_unstable_by_key(|i| core::cmp::Reverse(gguf.tensors[*i].offset));
        let mut collected = core::mem::take(&mut self.collected);
        collected.truncate(self.filled);
        self.received = gguf.data_offset.min(self.filled as u64);
        // The padding behind the header may not be there yet.
        let n_zeros = collected[..self.received as usize].iter().rev().take_while(|byte| **byte == 0).count();
        let hash = hash(0, &collected[..self.received as usize - n_zeros]);
        let body = Body { gguf, config, pending, buffer: None, buffer_filled: 0, hash, parts: Vec::new() };
        self.body.insert(body).open_next(self.received)?;
        // What came along with the header belongs to the first tensors.
        let rest = self.received as usize;
        self.push(&collected[rest..])
    }

    /// The model, once every byte is there.
    ///
    /// # Errors
    /// `Format` where the file ended too early.
    pub fn finish(mut self) -> Result<(Model, Gguf)> {
        let Loaded { gguf, n_files: n, hash, parts } = self.take_file()?;
        if n < n_files(&gguf) {
            return Err(Error::Format(format!(
                "this is file {n} of a model in {} files: the others are missing",
                n_files(&gguf)
            )));
        }
        let config = Model::check(&gguf)?;
        let mut model = Parts(parts).assemble(config)?;
        model.hash = hash;
        Ok((model, gguf))
    }

    /// What came so far, with this file, which must be whole.
    fn take_file(&mut self) -> Result<Loaded> {
        if self.body.is_none() {
            self.next_try = 0;
            self.known_bytes = Some(self.filled as u64);
            self.try_header()?;
        }
        let Some(body) = self.body.take() else {
            return Err(Error::Format(format!(
                "the file ends after {} bytes, within its header: download it again",
                self.filled
            )));
        };
        if body.buffer.is_some() || !body.pending.is_empty() {
            return Err(truncated(self.received, body.gguf.file_bytes));
        }
        Ok(match self.earlier.take() {
            None => Loaded { gguf: body.gguf, n_files: 1, hash: body.hash, parts: body.parts },
            Some(mut loaded) => {
                loaded.gguf.tensors.extend(body.gguf.tensors);
                loaded.gguf.file_bytes = loaded.gguf.file_bytes.saturating_add(body.gguf.file_bytes);
                loaded.parts.extend(body.parts);
                loaded.hash = hash(loaded.hash, &body.hash.to_le_bytes());
                loaded.n_files += 1;
                loaded
            }
        })
    }
}

/// How many files a model is in, by the header of its first one.
///
/// # Source
/// llama.cpp, `llama-gguf-split`, <https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split>
fn n_files(gguf: &Gguf) -> u32 {
    gguf.metadata.u32("split.count").ok().flatten().unwrap_or(1)
}

fn truncated(has: u64, needs: u64) -> Error {
    Error::Format(format!("the file is truncated: it has {has} bytes of {needs}; download it again"))
}

impl Body {
    /// Where the tensor that comes next starts, in bytes from the start of the file.
    fn next_start(&self) -> Option<u64> {
        self.pending.last().map(|i| self.gguf.data_offset + self.gguf.tensors[*i].offset)
    }

    /// Bytes before the next tensor; after the last one, everything.
    fn bytes_to_skip(&self, received: u64) -> u64 {
        match (&self.buffer, self.next_start()) {
            (Some(_), _) => 0,
            (None, Some(start)) => start.saturating_sub(received),
            (None, None) => u64::MAX,
        }
    }

    fn space(&mut self) -> &mut [u8] {
        let filled = self.buffer_filled;
        self.buffer.as_mut().map_or(&mut [], |buffer| &mut buffer.bytes_mut()[filled..])
    }

    /// Opens the buffer of the next tensor where that tensor starts here.
    fn open_next(&mut self, received: u64) -> Result<()> {
        if self.buffer.is_some() || self.next_start() != Some(received) {
            return Ok(());
        }
        let Some(i) = self.pending.last() else { return Ok(()) };
        let tensor = &self.gguf.tensors[*i];
        let (columns, rows) = columns_and_rows(tensor);
        self.buffer = Some(Buffer::new(tensor.format, rows as usize, columns as usize)?);
        self.buffer_filled = 0;
        Ok(())
    }

    /// `n` bytes have come into the open buffer; packs it when it is full.
    fn took(&mut self, n: usize, received: u64) -> Result<()> {
        self.buffer_filled += n;
        if self.space().is_empty()
            && let (Some(mut buffer), Some(i)) = (self.buffer.take(), self.pending.pop())
        {
            self.hash = hash(self.hash, buffer.bytes_mut());
            let name = &self.gguf.tensors[i].name;
            let packed = buffer.pack().map_err(|error| match error {
                Error::Format(text) => Error::Format(format!("tensor {name} {text}: the file is damaged")),
                other => other,
            })?;
            self.parts.push((name.clone(), packed));
        }
        self.open_next(received)
    }
}
