//! The training pipeline's tests: those of its Python code, which run everywhere, and a short run of the whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::stages::Outcome;
use crate::{paths, shell};

/// What the tests of the Python code import, in the versions of train/pyproject.toml: nothing that trains.
const TEST_PACKAGES: [&str; 3] = ["pytest==9.2.0", "jinja2==3.1.6", "numpy==2.4.6"];

/// Steps of each training in the smoke test: enough for a checkpoint, far too few for a story.
const N_STEPS: &str = "20";

/// Every stage of both models, in small. Each model's `--out` is a folder of its own.
const STAGES: [(&str, &[&str]); 10] = [
    ("story", &["prepare", "--small"]),
    ("story", &["tokenizer", "--small", "--vocab", "1024"]),
    ("story", &["train", "--preset", "smoke", "--steps", N_STEPS, "--rows", "4"]),
    ("story", &["export"]),
    ("story", &["evaluate", "--small"]),
    ("tasks", &["prepare", "--small"]),
    ("tasks", &["tokenizer", "--small", "--vocab", "1536"]),
    ("tasks", &["train", "--preset", "smoke", "--ctx", "512", "--steps", N_STEPS, "--rows", "4"]),
    ("tasks", &["export"]),
    ("tasks", &["evaluate", "--small"]),
];

/// Runs the unit tests of the Python code, in an environment of their own.
pub fn unit_tests() -> Result<Outcome> {
    let venv = paths::target().join("train-tests");
    if shell::output(Command::new("python3").arg("--version"))?.is_none() {
        let how = "Python 3.11 or newer is missing: it runs the tests of train/";
        if shell::is_ci() {
            bail!(how);
        }
        return Ok(Outcome::Skipped(how.to_owned()));
    }
    let python = environment(&venv, &TEST_PACKAGES)?;
    let mut pytest = in_train(&python);
    shell::run(pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]))?;
    Ok(Outcome::Passed)
}

/// Runs every stage of the pipeline end to end on a small scale, then has the engine write with both models.
pub fn smoke_test() -> Result<()> {
    let corpora = paths::root().join("../shared/corpora");
    if !corpora.is_dir() {
        bail!("the training smoke test needs the corpora at {}", corpora.display());
    }
    let python = environment(&paths::root().join("train/.venv"), &["--editable", "train[test]"])?;
    let folder = paths::target().join("train-smoke");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let started = Instant::now();
    for (model, stage) in STAGES {
        let out = folder.join(model);
        let mut command = in_train(&python);
        command.args(["-m", "pagelm_train", "--data"]).arg(folder.join("data")).args(stage).args(["--model", model]);
        match stage[0] {
            "prepare" => command.arg("--corpora").arg(&corpora),
            "tokenizer" => &mut command,
            _ => command.arg("--out").arg(out),
        };
        if (model, stage[0]) == ("tasks", "train") {
            command.arg("--init").arg(folder.join("story/story-f16.gguf"));
        }
        println!("\n== {model}: {} ({:.0} s)", stage[0], started.elapsed().as_secs_f32());
        shell::run(&mut command)?;
    }
    for (model, prompt) in [("story", "Once upon a time"), ("tasks", "<|user|>Tell me a story.<|assistant|>")] {
        let mut generate = shell::cargo();
        generate.args(["run", "--quiet", "--package", "pagelm-cli", "--", "generate", "--parse-special", "--model"]);
        generate.arg(folder.join(model).join(format!("{model}-q8_0.gguf")));
        shell::run(generate.args(["--prompt", prompt, "--n-predict", "20", "--seed", "1"]))?;
    }
    println!("\ntraining: {} stages passed in {:.0} s", STAGES.len(), started.elapsed().as_secs_f32());
    Ok(())
}

/// The Python of a virtual environment that has these packages. What was installed is noted in it, so that this is
/// done once.
pub fn environment(venv: &Path, packages: &[&str]) -> Result<PathBuf> {
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
