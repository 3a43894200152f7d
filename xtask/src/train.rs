//! The training pipeline's tests: those of its Python code, which run everywhere, and a short run of the whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stages::Outcome;
use crate::{paths, shell};

/// What train/pyproject.toml asks for to test: nothing that trains.
const PYTEST: &str = "pytest==9.2.0";

/// Steps of the smoke test: enough for a checkpoint, far too few for a story.
const N_STEPS: &str = "20";

/// Runs the unit tests of the Python code, in an environment of their own with nothing but pytest.
pub fn unit_tests() -> Result<Outcome> {
    let venv = paths::target().join("train-tests");
    if shell::output(Command::new("python3").arg("--version"))?.is_none() {
        let how = "Python 3.11 or newer is missing: it runs the tests of train/";
        if shell::is_ci() {
            bail!(how);
        }
        return Ok(Outcome::Skipped(how.to_owned()));
    }
    let python = environment(&venv, &[PYTEST])?;
    let mut pytest = in_train(&python);
    shell::run(pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]))?;
    Ok(Outcome::Passed)
}

/// Prepares the corpora, trains the smallest model for a few steps, exports it, and has the engine write with it.
pub fn smoke_test() -> Result<()> {
    let corpora = paths::root().join("../shared/corpora");
    if !corpora.is_dir() {
        bail!("the training smoke test needs the corpora at {}", corpora.display());
    }
    let python = environment(&paths::root().join("train/.venv"), &["--editable", "train[test]"])?;
    let folder = paths::target().join("train-smoke");
    let (data, out) = (folder.join("data"), folder.join("out"));
    let pipeline = |args: &[&str]| {
        let mut command = in_train(&python);
        command.args(["-m", "pagelm_train", "--data"]).arg(&data).args(args);
        command
    };
    shell::run(pipeline(&["prepare", "--corpora"]).arg(&corpora))?;
    shell::run(pipeline(&["train", "--preset", "smoke", "--steps", N_STEPS, "--out"]).arg(&out))?;
    shell::run(pipeline(&["export", "--out"]).arg(&out))?;
    let model = newest_model(&out)?;
    let mut generate = shell::cargo();
    generate.args(["run", "--quiet", "--package", "pagelm-cli", "--", "generate", "--model"]).arg(model);
    shell::run(generate.args(["--prompt", "Once upon a time", "--n-predict", "20", "--seed", "1"]))?;
    println!("\ntraining: 1 passed, 0 failed");
    Ok(())
}

/// The Python of a virtual environment that has these packages. What was installed is noted in it, so that this is
/// done once.
fn environment(venv: &Path, packages: &[&str]) -> Result<PathBuf> {
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = venv.join("installed.txt");
    let wanted = format!("{}\n{}", packages.join(" "), fs::read_to_string(paths::root().join("train/pyproject.toml"))?);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !python.is_file() {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    shell::run(pip.current_dir(paths::root()))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn in_train(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.current_dir(paths::root().join("train")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn newest_model(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let models =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("q8_0.gguf"));
    let newest = models.max_by_key(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
    newest.with_context(|| format!("the export left no Q8_0 file in {}", folder.display()))
}
