//! A file at an address, read piece by piece, so that no more of it is fetched than is looked at.

use anyhow::{Context, Result, bail};
use std::io::{self, Read};

/// What is asked for at a time; most headers are shorter.
const PIECE: u64 = 2 << 20;

/// Whether a name is an address.
pub fn is_url(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// Reads an address by range requests; whole where the host gives no ranges.
pub struct Remote {
    url: String,
    at: u64,
    /// How long the file is, where the host says it.
    pub file_bytes: Option<u64>,
    piece: Box<dyn Read>,
    is_whole: bool,
}

impl Remote {
    /// Asks for the first piece.
    pub fn open(url: &str) -> Result<Remote> {
        let empty = Box::new(io::empty());
        let mut remote = Remote { url: url.into(), at: 0, file_bytes: None, piece: empty, is_whole: false };
        remote.next_piece().with_context(|| format!("{url} cannot be read"))?;
        Ok(remote)
    }

    fn next_piece(&mut self) -> Result<()> {
        let range = format!("bytes={}-{}", self.at, self.at + PIECE - 1);
        let response = ureq::get(&self.url).header("Range", &range).call()?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        self.is_whole = response.status() != 206;
        if self.is_whole && self.at > 0 {
            bail!("the host gave a part of the file before, and now does not");
        }
        let length = if self.is_whole { header("content-length") } else { header("content-range").and_then(total) };
        self.file_bytes = length.and_then(|length| length.parse().ok());
        self.piece = Box::new(response.into_body().into_reader());
        Ok(())
    }
}

/// The file's length in a `Content-Range`: what stands behind the `/`.
fn total(range: &str) -> Option<&str> {
    Some(range.rsplit_once('/')?.1)
}

impl Read for Remote {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.piece.read(out)?;
        self.at += n as u64;
        let is_end = self.is_whole || self.at == 0 || self.file_bytes.is_some_and(|all| self.at >= all);
        if n > 0 || is_end || out.is_empty() {
            return Ok(n);
        }
        let before = self.at;
        self.next_piece().map_err(io::Error::other)?;
        let n = self.piece.read(out)?;
        self.at = before + n as u64;
        Ok(n)
    }
}
