//! A model's file: opening it, reading its header, loading all of it.

use crate::remote::{Remote, is_url};
use anyhow::{Context, Result, bail};
use pagelm::gguf::Gguf;
use pagelm::model::{Adapter, CacheType, Loader, Model};
use pagelm::pool::{MAX_THREADS, Pool};
use pagelm::session::Session;
use pagelm::tokenizer::Tokenizer;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// Which model is run, and with how much room.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// The GGUF file
    #[arg(long, short, value_name = "FILE")]
    pub model: PathBuf,
    /// How many tokens the context holds [default: what the model was trained on, at most 2048]
    #[arg(long, value_name = "N")]
    pub ctx_size: Option<u32>,
    /// How keys and values are kept: f32, f16 or q8_0. Rounded ones take less memory and change the text
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = CacheType::from_name)]
    pub cache_type: CacheType,
    /// A LoRA adapter in a GGUF file, and how much of it to add [default: 1]; may be given several times
    #[arg(long, value_name = "FILE[=SCALE]")]
    pub lora: Vec<String>,
    /// How many threads compute, at most 16. They change the speed, never the text [default: as many as there are cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=MAX_THREADS as i64))]
    pub threads: Option<u8>,
}

/// A model in memory, and what its file says about itself.
pub struct Loaded {
    pub model: Arc<Model>,
    pub gguf: Gguf,
}

impl ModelArgs {
    /// Reads the whole file, each byte straight to where it stays.
    pub fn load(&self) -> Result<Loaded> {
        load(&self.model)
    }

    /// A session with the room that was asked for.
    pub fn session(&self, loaded: &Loaded) -> Result<Session> {
        let mut session = Session::with_pool(loaded.model.clone(), self.ctx_size, self.cache_type, self.pool())?;
        let adapters = self.lora.iter().map(|named| adapter(&loaded.model, named)).collect::<Result<Vec<_>>>()?;
        session.set_adapters(adapters)?;
        Ok(session)
    }

    /// Threads that work until the process ends.
    fn pool(&self) -> Arc<Pool> {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        let n = self.threads.map_or_else(cores, usize::from).min(MAX_THREADS);
        let pool = Arc::new(Pool::new(n));
        for _ in 1..n {
            let pool = pool.clone();
            // A thread that the system refuses is one that does not help.
            let _ = thread::Builder::new().name("pagelm helper".into()).spawn(move || pool.help());
        }
        pool
    }
}

/// An adapter and its scale, given as `FILE` or `FILE=SCALE`.
fn adapter(model: &Model, named: &str) -> Result<(Arc<Adapter>, f32)> {
    let scaled = named.rsplit_once('=').and_then(|(file, scale)| Some((file, scale.parse().ok()?)));
    let (file, scale) = scaled.unwrap_or((named, 1.0));
    let bytes = std::fs::read(file).with_context(|| file.to_owned())?;
    Ok((Arc::new(Adapter::load(model, &bytes).with_context(|| file.to_owned())?), scale))
}

/// Reads the whole file, each byte straight to where it stays.
pub fn load(path: &Path) -> Result<Loaded> {
    let (mut file, file_bytes) = open(path)?;
    let mut loader = Loader::new(file_bytes);
    let name = || path.display().to_string();
    while fill(&mut file, &mut loader).with_context(name)? {}
    let n_files = loader.n_files().unwrap_or(1);
    for i in 1..n_files {
        let path = part_of(path, i, n_files)?;
        let name = || path.display().to_string();
        let (mut file, file_bytes) = open(&path)?;
        loader.next_part(file_bytes).with_context(name)?;
        while fill(&mut file, &mut loader).with_context(name)? {}
    }
    let (model, gguf) = loader.finish().with_context(name)?;
    Ok(Loaded { model: Arc::new(model), gguf })
}

/// Where file `i` of `n` is, beside the first one: their names differ in a number, `…-00001-of-00003.gguf`.
pub fn part_of(first: &Path, i: u32, n: u32) -> Result<PathBuf> {
    let name = first.to_string_lossy();
    match name.strip_suffix(&format!("-{:05}-of-{n:05}.gguf", 1)) {
        Some(stem) => Ok(PathBuf::from(format!("{stem}-{:05}-of-{n:05}.gguf", i + 1))),
        None => bail!(
            "{name} is one of {n} files: name the first one, and leave the names as they came, \
             …-00001-of-{n:05}.gguf"
        ),
    }
}

impl Loaded {
    /// The file's tokenizer. It is asked for apart from the model: a model runs on ids without one.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        tokenizer(&self.gguf)
    }
}

/// The tokenizer that a header describes.
pub fn tokenizer(gguf: &Gguf) -> Result<Tokenizer> {
    Tokenizer::from_metadata(&gguf.metadata).context("the file's tokenizer")
}

/// Opens a file and asks for its length, which is unknown for pipes.
pub fn open(path: &Path) -> Result<(File, Option<u64>)> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be opened"))?;
    let about = file.metadata().with_context(|| format!("{name} cannot be read"))?;
    if about.is_dir() {
        bail!("{name} is a folder; name a GGUF file in it");
    }
    if about.is_file() && about.len() == 0 {
        bail!("{name} is empty; download it again");
    }
    Ok((file, about.is_file().then_some(about.len())))
}

/// Reads once into the loader's room; false at the file's end.
fn fill(file: &mut File, loader: &mut Loader) -> Result<bool> {
    match file.read(loader.room()?) {
        Ok(0) => Ok(false),
        Ok(n) => {
            loader.advance(n)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Reads no more of a file, on this machine or at an address, than its header, and how long the file is where that is known. Of
/// a model in several files the headers of all, as if it were one.
pub fn read_header(path: &Path) -> Result<(Gguf, Option<u64>)> {
    let (mut gguf, mut file_bytes) = read_one_header(path)?;
    let n_files = gguf.metadata.u32("split.count")?.unwrap_or(1);
    for i in 1..n_files {
        let (more, more_bytes) = read_one_header(&part_of(path, i, n_files)?)?;
        gguf.tensors.extend(more.tensors);
        gguf.file_bytes += more.file_bytes;
        file_bytes = file_bytes.zip(more_bytes).map(|(all, more)| all + more);
    }
    Ok((gguf, file_bytes))
}

fn read_one_header(path: &Path) -> Result<(Gguf, Option<u64>)> {
    const FIRST_PIECE: usize = 64 << 10;
    let name = || path.display().to_string();
    let (mut file, file_bytes): (Box<dyn Read>, _) = match path.to_str().filter(|name| is_url(name)) {
        Some(url) => {
            let remote = Remote::open(url)?;
            let file_bytes = remote.file_bytes;
            (Box::new(remote), file_bytes)
        }
        None => {
            let (file, file_bytes) = open(path)?;
            (Box::new(file), file_bytes)
        }
    };
    let mut bytes = Vec::new();
    loop {
        // Each attempt to parse costs what there is, so the pieces double.
        let more = bytes.len().max(FIRST_PIECE) as u64;
        let n = file.by_ref().take(more).read_to_end(&mut bytes).with_context(name)?;
        if let Some(gguf) = Gguf::parse_prefix(&bytes).with_context(name)? {
            return Ok((gguf, file_bytes));
        }
        if n == 0 {
            bail!("{} ends after {} bytes, within its header; download it again", path.display(), bytes.len());
        }
    }
}
