//! Defects, planted in the decoder one by one: the fixtures of `tests/architectures.rs` must catch each.
//!
//! A copy of the engine is changed, never the engine itself; no build knows of this.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{paths, shell};

/// What is planted: in words, the file, what stands there, and what is put in its place.
type Defect = (&'static str, &'static str, &'static str, &'static str);

const DEFECTS: &[Defect] = &[
    (
        "wrong RoPE pairing: neighbours for halves",
        "src/model/attention.rs",
        "Pairing::Halves => kernels::rope_halves,",
        "Pairing::Halves => kernels::rope_adjacent,",
    ),
    (
        "missing bias: none is added to any product",
        "src/model/forward.rs",
        "if let Some(bias) = &linear.bias {",
        "if let Some(bias) = linear.bias.as_ref().filter(|bias| bias.is_empty()) {",
    ),
    (
        "wrong norm epsilon: 1e-5 in every model",
        "src/model/config.rs",
        "norm_eps: keys.f32(epsilon)?.ok_or_else(|| keys.missing(epsilon))?,",
        "norm_eps: 1e-5 + 0.0 * keys.f32(epsilon)?.ok_or_else(|| keys.missing(epsilon))?,",
    ),
    (
        "swapped gate and up",
        "src/model/weights.rs",
        r#"["ffn_gate", "ffn_up", "ffn_down"]"#,
        r#"["ffn_up", "ffn_gate", "ffn_down"]"#,
    ),
    (
        "wrong GELU: by the error function",
        "kernels/src/elementwise.rs",
        "    let t = tanh4(F4::splat(0.797_884_6).mul(x).mul(inner));",
        "    let y = x.abs().mul(F4::splat(0.707_106_8));
    let s = inner.div(inner).div(F4::splat(1.0).add(F4::splat(0.327_591_1).mul(y)));
    let mut p = F4::splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_8, -0.284_496_73, 0.254_829_6] {
        p = p.mul(s).add(F4::splat(c));
    }
    let t = F4::splat(1.0).sub(p.mul(s).mul(exp4(F4::splat(0.0).sub(y.mul(y)))));
    let t = x.select_lt(F4::splat(0.0), F4::splat(0.0).sub(t), t);",
    ),
    (
        "off-by-one position: queries turn one further than keys",
        "src/model/attention.rs",
        "turn(head, table.at(self.n_past + t))",
        "turn(head, table.at(self.n_past + t + usize::from(width == self.config.n_q())))",
    ),
    (
        "off-by-one position: the next one's learned embedding",
        "src/model/forward.rs",
        "positions.row(self.n_past + t, &mut self.s.branch[..d]);",
        "positions.row(self.n_past + t + 1, &mut self.s.branch[..d]);",
    ),
    (
        "wrong head grouping: key heads dealt out in turn",
        "src/model/attention.rs",
        "let kv_head = first_head / (self.config.n_head / self.config.n_head_kv);",
        "let kv_head = first_head % self.config.n_head_kv;",
    ),
    (
        "missing soft cap of scores",
        "src/model/attention.rs",
        "if let Some(cap) = self.config.attention_softcap {",
        "if let Some(cap) = self.config.attention_softcap.filter(|cap| *cap < 0.0) {",
    ),
    (
        "missing soft cap of logits",
        "src/model/forward.rs",
        "if let Some(cap) = self.config.logit_softcap {",
        "if let Some(cap) = self.config.logit_softcap.filter(|cap| *cap < 0.0) {",
    ),
    (
        "wrong window: one position too many",
        "src/model/attention.rs",
        "let n_seen = self.config.n_seen(layer);",
        "let n_seen = self.config.n_seen(layer).saturating_add(1);",
    ),
    ("unscaled embedding", "src/model/forward.rs", "scale(row, self.config.embedding_scale);", "scale(row, 1.0);"),
];

/// What a copy needs to build the engine and its test.
const COPIED: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "rust-toolchain.toml",
    "src",
    "kernels",
    "cli",
    "grammar",
    "tests/fixtures/models",
];

/// Plants every defect in turn, and returns by how many models each is caught; fails where it is by none.
pub fn run() -> Result<BTreeMap<&'static str, usize>> {
    let copy = paths::target().join("conformance/defects");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    for path in COPIED.into_iter().chain(["xtask", "tests/common", "tests/architectures.rs"]) {
        copy_all(&paths::root().join(path), &copy.join(path))?;
    }
    // The copy has one test.
    let manifest = fs::read_to_string(copy.join("Cargo.toml"))?;
    let kept =
        manifest.split("[[test]]").filter(|part| !part.starts_with("\nname") || part.contains("\"architectures\""));
    fs::write(copy.join("Cargo.toml"), kept.collect::<Vec<_>>().join("[[test]]"))?;
    ensure!(failures(&copy)? == 0, "tests/architectures.rs fails without any defect");
    let mut caught = BTreeMap::new();
    for (what, file, from, to) in DEFECTS {
        let path = copy.join(file);
        let sound = fs::read_to_string(&path)?;
        fs::write(&path, sound.replace(from, to))?;
        let n = failures(&copy).with_context(|| format!("with the defect \"{what}\""))?;
        fs::write(&path, sound)?;
        ensure!(n > 0, "no test catches the defect \"{what}\"");
        println!("{what}: caught by {n} models");
        caught.insert(*what, n);
    }
    Ok(caught)
}

/// How many tests of the copy fail. That it compiles is asked first, since else every defect would be caught.
fn failures(copy: &Path) -> Result<usize> {
    let cargo = |last: &[&str]| {
        let mut cargo = shell::cargo();
        cargo.current_dir(copy).args(["test", "--quiet", "--package", "pagelm", "--test", "architectures"]);
        cargo.arg("--target-dir").arg(target(copy)).args(last);
        cargo
    };
    shell::run(&mut cargo(&["--no-run"]))?;
    // What is not a comparison with the records is left out: it takes most of the time.
    let mut run: Command = cargo(&["--", "logits_by_transformers"]);
    let output = run.env("RUST_BACKTRACE", "0").output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(n) = text.lines().rev().find_map(n_failed) else { bail!("the tests did not end: {text}") };
    Ok(n)
}

/// The number in `test result: FAILED. 3 passed; 2 failed; …`.
fn n_failed(line: &str) -> Option<usize> {
    line.strip_prefix("test result: ")?.split("; ").find_map(|part| part.strip_suffix(" failed"))?.parse().ok()
}

fn target(copy: &Path) -> PathBuf {
    copy.with_file_name("defects-target")
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::create_dir_all(to.parent().expect("a file is in a folder"))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_has_its_place() {
        for (what, file, from, _) in DEFECTS {
            let source = fs::read_to_string(paths::root().join(file)).unwrap();
            assert_eq!(source.matches(from).count(), 1, "{what}: the text to be changed in {file}");
        }
    }

    #[test]
    fn failures_are_read() {
        assert_eq!(n_failed("test result: FAILED. 90 passed; 3 failed; 0 ignored; 0 measured"), Some(3));
        assert_eq!(n_failed("test architectures"), None);
    }
}
