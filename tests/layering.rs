//! The order in which the engine's modules may import one another, and the things that only some of them may touch.
//!
//! The sources are read as tokens, so comments, strings and `#[cfg(test)]` items do not count. To add a module, give
//! it a row in [`TABLE`]; to let a module import one below it is a change of design.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module, in import order: it may import only from rows above it.
struct Row {
    module: &'static str,
    /// May hold `unsafe`.
    is_unsafe: bool,
    /// May know the browser: wasm-bindgen and its crates, and the browser's randomness.
    is_web: bool,
}

const fn row(module: &'static str) -> Row {
    Row { module, is_unsafe: false, is_web: false }
}

const TABLE: &[Row] = &[
    row("error"),
    Row { is_unsafe: true, ..row("kernels") },
    row("quant"),
    Row { is_unsafe: true, ..row("pool") },
    row("tensor"),
    row("gguf"),
    row("tokenizer"),
    row("model"),
    row("sampler"),
    row("session"),
    row("inspect"),
    Row { is_web: true, ..row("web") },
];

/// Crates that only a module with `is_web` may name.
const WEB_CRATES: &[&str] =
    &["getrandom", "js_sys", "serde_wasm_bindgen", "wasm_bindgen", "wasm_bindgen_futures", "web_sys"];

/// Parts of the standard library that no module may name: the core does no IO, reads no clock, starts no thread.
const NO_STD: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread", "time"];

/// Macros that print, or that leave something undone.
const NO_MACROS: &[&str] = &["dbg", "eprint", "eprintln", "print", "println", "todo", "unimplemented"];

/// Methods of floats whose result is not the same on every platform: the engine has its own `exp` and `tanh`, fills
/// tables by functions of its own, and fuses no multiply-add. (`sqrt` is exact everywhere.)
const NO_METHODS: &[&str] = &[
    "cos", "cosh", "exp", "exp_m1", "ln", "ln_1p", "log", "log10", "log2", "mul_add", "powf", "powi", "sin", "sin_cos",
    "sinh", "tan", "tanh",
];

/// One thing that a source names, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    line: usize,
    what: Thing,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// A path into another module of this crate.
    Module(String),
    /// A module that is declared at the crate's root.
    Declares(String),
    /// `std::x`, `core::x` or `alloc::x`.
    Std(String),
    /// Any other identifier that starts a path or stands alone.
    Word(String),
    /// `name!`
    Macro(String),
    /// `.name(`, or the last word of a path such as `f32::name`.
    Method(String),
}

/// Reads one source file's tokens. `module_path` is where it stands: `["kernels", "reduce"]`.
struct Reader {
    module_path: Vec<String>,
    found: BTreeSet<Found>,
}

impl Reader {
    fn read(module_path: &[&str], source: &str) -> Result<BTreeSet<Found>, String> {
        let tokens: TokenStream = source.parse().map_err(|error| format!("not Rust: {error}"))?;
        let module_path = module_path.iter().map(|&part| part.to_owned()).collect();
        let mut reader = Reader { module_path, found: BTreeSet::new() };
        reader.walk(&tokens.into_iter().collect::<Vec<_>>());
        Ok(reader.found)
    }

    fn walk(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(&tokens[at..]),
                TokenTree::Ident(_) => self.word(tokens, at),
                TokenTree::Group(group) => {
                    self.walk(&group.stream().into_iter().collect::<Vec<_>>());
                    1
                }
                _ => 1,
            };
        }
    }

    /// Steps over an attribute, and over the item under it where that is compiled for tests only.
    fn attribute(&mut self, tokens: &[TokenTree]) -> usize {
        let Some(TokenTree::Group(group)) = tokens.get(1) else { return 1 };
        if group.stream().to_string().replace(' ', "") != "cfg(test)" {
            self.walk(&group.stream().into_iter().collect::<Vec<_>>());
            return 2;
        }
        // The item ends with its first braces or semicolon.
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        tokens.iter().skip(2).position(ends).map_or(tokens.len(), |n| n + 3)
    }

    /// Reads what starts with an identifier; returns how many tokens that took.
    fn word(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let word = tokens[at].to_string();
        let line = tokens[at].span().start().line;
        if at > 0 && is_punct(&tokens[at - 1], '.') {
            self.note(line, Thing::Method(word));
            return 1;
        }
        if tokens.get(at + 1).is_some_and(|next| is_punct(next, '!')) {
            self.note(line, Thing::Macro(word));
            return 1;
        }
        if word == "mod" {
            return self.inline_module(tokens, at);
        }
        self.path(tokens, at, Vec::new())
    }

    /// `mod name { … }` stands one module deeper; `mod name;` at the root declares a module of the table.
    fn inline_module(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let (Some(name), Some(body)) = (tokens.get(at + 1), tokens.get(at + 2)) else { return 1 };
        match body {
            TokenTree::Group(group) => {
                self.module_path.push(name.to_string());
                self.walk(&group.stream().into_iter().collect::<Vec<_>>());
                self.module_path.pop();
            }
            _ if self.module_path.is_empty() => {
                self.note(name.span().start().line, Thing::Declares(name.to_string()));
            }
            _ => {}
        }
        3
    }

    /// Follows `a::b::c` and `a::{b, c::d}` from the identifier at `at`, with what stands before it in `before`;
    /// returns how many tokens it took. Generic arguments in between end the path.
    fn path(&mut self, tokens: &[TokenTree], at: usize, before: Vec<String>) -> usize {
        let line = tokens[at].span().start().line;
        let mut path = before;
        path.push(tokens[at].to_string());
        let mut next = at + 1;
        while is_path_separator(tokens, next) {
            match tokens.get(next + 2) {
                Some(TokenTree::Ident(ident)) => {
                    path.push(ident.to_string());
                    next += 3;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.use_group(&group.stream().into_iter().collect::<Vec<_>>(), &path);
                    return next + 3 - at;
                }
                _ => break,
            }
        }
        self.note_path(line, &path);
        next - at
    }

    /// Each identifier of `{a, b::c, self}` continues the path before it.
    fn use_group(&mut self, tokens: &[TokenTree], before: &[String]) {
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Ident(_) => self.path(tokens, at, before.to_vec()),
                _ => 1,
            };
        }
    }

    fn note_path(&mut self, line: usize, path: &[String]) {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["crate", module, ..] => self.note(line, Thing::Module((*module).to_owned())),
            ["super", ..] => {
                let n_up = words.iter().take_while(|word| **word == "super").count();
                // Past the crate's root, the next word is a module of the table.
                if let (true, Some(module)) = (n_up >= self.module_path.len(), words.get(n_up)) {
                    self.note(line, Thing::Module((*module).to_owned()));
                }
            }
            ["std" | "core" | "alloc", part, ..] => self.note(line, Thing::Std((*part).to_owned())),
            _ => self.note(line, Thing::Word(words[0].to_owned())),
        }
        if let ["f32" | "f64", .., method] = words.as_slice() {
            self.note(line, Thing::Method((*method).to_owned()));
        }
    }

    fn note(&mut self, line: usize, what: Thing) {
        self.found.insert(Found { line, what });
    }
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    [at, at + 1].iter().all(|&at| tokens.get(at).is_some_and(|token| is_punct(token, ':')))
}

fn index_of(module: &str) -> Option<usize> {
    TABLE.iter().position(|row| row.module == module)
}

/// What is wrong with something found in the module of row `own_idx`, if anything is.
fn fault(own_idx: usize, thing: &Thing) -> Option<String> {
    let own = &TABLE[own_idx];
    match thing {
        Thing::Module(module) => match index_of(module) {
            // An item that lib.rs re-exports, or a macro: only modules have an order.
            None if module.starts_with(char::is_uppercase) => Some(format!("names crate::{module}, not its module")),
            None => Some(format!("imports `{module}`, which is not in the table")),
            Some(idx) if idx > own_idx => Some(format!("imports `{module}`, which stands below it")),
            Some(_) => None,
        },
        Thing::Std(part) if NO_STD.contains(&part.as_str()) => Some(format!("uses std::{part}")),
        Thing::Word(word) if word == "unsafe" && !own.is_unsafe => Some("holds `unsafe`".to_owned()),
        Thing::Word(word) if WEB_CRATES.contains(&word.as_str()) && !own.is_web => Some(format!("uses `{word}`")),
        Thing::Macro(name) if NO_MACROS.contains(&name.as_str()) => Some(format!("uses `{name}!`")),
        Thing::Method(name) if NO_METHODS.contains(&name.as_str()) => {
            Some(format!("calls `{name}` of floats, which is not the same everywhere"))
        }
        _ => None,
    }
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The kernels stand in a crate of their own, which cannot import from the engine: Cargo forbids the circle.
fn kernels_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/src")
}

/// Every source file in a folder, with the modules that it stands in.
fn sources(folder: PathBuf, module_path: &[&str]) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    let mut folders = vec![(folder, module_path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>())];
    while let Some((folder, module_path)) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder can be read") {
            let path = entry.expect("a folder's entry can be read").path();
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let mut within: Vec<String> = module_path.clone();
            if !["lib", "mod"].contains(&name.as_str()) {
                within.push(name);
            }
            if path.is_dir() {
                folders.push((path, within));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path, within));
            }
        }
    }
    found
}

#[test]
fn modules_import_only_from_above() {
    let mut faults = Vec::new();
    for (path, module_path) in sources(source_folder(), &[]) {
        let words: Vec<&str> = module_path.iter().map(String::as_str).collect();
        let source = fs::read_to_string(&path).expect("a source can be read");
        let found = Reader::read(&words, &source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Some(module) = words.first() else { continue };
        let shown = path.strip_prefix(source_folder()).unwrap_or(&path).display();
        let Some(own_idx) = index_of(module) else {
            faults.push(format!("src/{shown}: the module `{module}` is not in the table"));
            continue;
        };
        for Found { line, what } in found {
            faults.extend(fault(own_idx, &what).map(|fault| format!("src/{shown}:{line}: `{module}` {fault}")));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_kernels_keep_the_rules_too() {
    let kernels = index_of("kernels").expect("the kernels are in the table");
    for (path, _) in sources(kernels_folder(), &["kernels"]) {
        let source = fs::read_to_string(&path).expect("a source can be read");
        let found = Reader::read(&["kernels"], &source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for Found { line, what } in found.into_iter().filter(|found| !matches!(found.what, Thing::Module(_))) {
            assert_eq!(fault(kernels, &what), None, "{}:{line}", path.display());
        }
    }
}

#[test]
fn the_crate_declares_its_modules_in_the_order_of_the_table() {
    let source = fs::read_to_string(source_folder().join("lib.rs")).expect("lib.rs can be read");
    let declared: Vec<String> = Reader::read(&[], &source)
        .expect("lib.rs is Rust")
        .into_iter()
        .filter_map(|found| match found.what {
            Thing::Declares(module) => Some(module),
            _ => None,
        })
        .collect();
    let in_order: Vec<&str> =
        TABLE.iter().map(|row| row.module).filter(|module| declared.iter().any(|name| name == module)).collect();
    assert_eq!(declared, in_order, "lib.rs declares exactly modules of the table, in its order");
}

/// The faults of a piece of code that stands in `module`.
fn faults_of(module: &str, source: &str) -> Vec<String> {
    let found = Reader::read(&[module], source).expect("the test's source is Rust");
    let own_idx = index_of(module).expect("the test's module is in the table");
    found.iter().filter_map(|found| fault(own_idx, &found.what)).collect()
}

#[test]
fn an_import_from_below_is_found_however_it_is_written() {
    for source in [
        "use crate::model::Model;",
        "use crate::{error::Result, model::Model};",
        "use crate::{error::{Error, Result}, model};",
        "fn f() { let x = crate::model::Model::new(); }",
        "mod inner { use super::super::model; }",
        "use super::model;",
        "m!(crate::model::Config);",
        "pub(crate) fn f(x: &'static crate::model::Config) {}",
    ] {
        assert_eq!(faults_of("gguf", source), ["imports `model`, which stands below it"], "{source}");
    }
}

#[test]
fn what_is_allowed_passes() {
    for source in [
        "use crate::error::{Error, Result}; use crate::quant;",
        "//! see crate::model\n/// crate::web\n// use crate::web;\nfn f() { g(\"crate::model\"); }",
        "#[cfg(test)] mod tests { use crate::session::Session; fn f() { println!(\"x\"); } }",
        "#[cfg(test)] use crate::session::Session; fn f() {}",
        "mod inner { use super::read; pub(in crate::gguf) fn f() {} }",
        "pub(crate) fn f() { self::g(); std::mem::swap(a, b); x.sqrt(); y.fs; time(); }",
    ] {
        assert_eq!(faults_of("gguf", source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn what_only_some_modules_may_touch_is_found() {
    for (module, source, expected) in [
        ("model", "fn f() { unsafe { g() } }", "holds `unsafe`"),
        ("session", "use wasm_bindgen::prelude::*;", "uses `wasm_bindgen`"),
        ("session", "#[wasm_bindgen::prelude::wasm_bindgen] fn f() {}", "uses `wasm_bindgen`"),
        ("sampler", "fn f() { getrandom::fill(b); }", "uses `getrandom`"),
        ("session", "use std::{mem, time::Instant};", "uses std::time"),
        ("web", "fn f() { std::fs::read(p); }", "uses std::fs"),
        ("kernels", "fn f() { println!(\"x\"); }", "uses `println!`"),
        ("model", "use crate::Error;", "names crate::Error, not its module"),
        ("model", "fn f() { x.mul_add(y, z); }", "calls `mul_add` of floats, which is not the same everywhere"),
        ("model", "fn f() { f32::exp(x); }", "calls `exp` of floats, which is not the same everywhere"),
        ("model", "use crate::surprise::Thing;", "imports `surprise`, which is not in the table"),
    ] {
        assert_eq!(faults_of(module, source), [expected], "{source}");
    }
    for (module, source) in [("kernels", "fn f() { unsafe { g() } }"), ("web", "use wasm_bindgen::prelude::*;")] {
        assert_eq!(faults_of(module, source), Vec::<String>::new(), "{source}");
    }
}
