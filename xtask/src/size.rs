//! The size gate: what a page downloads to run the engine, as it travels.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::wasm::Variant;
use crate::{grammar, paths};

/// 150 KB, counted in thousands.
const LIMIT_BYTES: usize = 150_000;

/// Prints the size of every build and fails if one is too large. A build is its module, its glue and its workers with
/// all that these import; each file is compressed by itself, by zlib at level 9, which is `gzip -9`.
pub fn check(variants: &[Variant]) -> Result<()> {
    let worker = with_imports(&paths::pkg_dist().join("worker.js"))?;
    let helper = with_imports(&paths::pkg_dist().join("helper.js"))?;
    let mut too_large = Vec::new();
    println!("{:<28} {:>10} {:>10}", "file", "bytes", "gzip -9");
    for variant in variants {
        println!("{}", variant.name);
        let mut total = 0;
        let own = ["pagelm_bg.wasm", "pagelm.js"].map(|name| variant.dist().join(name));
        let further = helper.difference(&worker).filter(|_| variant.has_threads());
        for file in own.iter().chain(&worker).chain(further) {
            let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let packed = gzip_bytes(&bytes)?;
            total += packed;
            println!("  {:<26} {:>10} {packed:>10}", name_of(file), bytes.len());
        }
        println!("  {:<26} {:>10} {total:>10} of {LIMIT_BYTES}", "together", "");
        if total > LIMIT_BYTES {
            too_large.push(format!("{} by {} bytes", variant.name, total - LIMIT_BYTES));
        }
    }
    // What few pages need comes when it is asked for: it is named, and has no limit here.
    println!("on first use");
    let chat = ["jinja.js", "chat.js"].map(|name| paths::pkg_dist().join(name));
    for file in grammar::files().iter().chain(&chat) {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        println!("  {:<26} {:>10} {:>10}", name_of(file), bytes.len(), gzip_bytes(&bytes)?);
    }
    if !too_large.is_empty() {
        bail!("over the limit of {LIMIT_BYTES} bytes: {}", too_large.join(", "));
    }
    Ok(())
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// How long `bytes` are as they travel.
pub fn gzip_bytes(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

/// An ES module and every module that it imports statically from beside it, however far away.
fn with_imports(entry: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut to_read = vec![entry.to_path_buf()];
    while let Some(path) = to_read.pop() {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().expect("a file is in a folder").to_path_buf();
        if found.insert(path) {
            to_read.extend(static_imports(&text).map(|import| folder.join(import)));
        }
    }
    Ok(found)
}

/// The relative paths in `import … from "./x.js"`, `export … from "./x.js"` and `import "./x.js"`, with spaces or without.
fn static_imports(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("./").filter_map(|(at, _)| {
        let before = text[..at].strip_suffix(['"', '\''])?.trim_end();
        let quote = text[..at].chars().next_back()?;
        let word =
            |keyword: &str| before.strip_suffix(keyword).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric));
        let path = &text[at + 2..];
        (word("from") || word("import")).then(|| path.find(quote).map(|end| &path[..end])).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_imports_that_tsc_writes() {
        let text = "import { a } from \"./a.js\";\nimport * as b from './b.js';\nexport { c } from \"./c.js\";\n\
                    import {\n  d,\n} from \"./d.js\";\nimport \"./e.js\";\nimport f from \"outside\";\n\
                    const g = await import(\"./g.js\");\n";
        let imports: Vec<_> = static_imports(text).collect();
        assert_eq!(imports, ["a.js", "b.js", "c.js", "d.js", "e.js"]);
        let small = "import{a}from\"./a.js\";import*as b from'./b.js';import\"./c.js\";let d=()=>import(\"./d.js\"),e=\"./e.js\";";
        assert_eq!(static_imports(small).collect::<Vec<_>>(), ["a.js", "b.js", "c.js"]);
    }

    #[test]
    fn compressed_size_is_that_of_a_gzip_file() {
        let packed = gzip_bytes(&[b'a'; 10_000]).unwrap();
        assert!((20..60).contains(&packed), "{packed}");
    }
}
