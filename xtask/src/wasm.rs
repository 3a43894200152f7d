//! The engine's builds for the browser: one per set of wasm features, each made by cargo, by wasm-bindgen and then by
//! [`crate::compact`].
//!
//! There is no wasm-opt: it was tried (binaryen 132, -O2 to -O4 and -Oz), and makes the modules 6 % smaller but what
//! travels 1 % larger, since LLVM's own code compresses better.
//!
//! The standard library is compiled along with the engine, for size and with panics that trap at once: the prebuilt one
//! brings 18 KB of formatting for messages that nobody would see, since a trap reaches the page as an error anyway. Stable
//! cargo does that when it is told that it may (`RUSTC_BOOTSTRAP`).
//!
//! A module with an instruction that the browser does not know does not validate, so every set of features is a build
//! of its own, and the page picks one when it loads.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::{compact, fresh, opcodes, paths, shell};

/// The target of the builds that ship.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The target of the engine's own unit tests: wasm with just enough of a system around it for the test harness.
pub const TEST_TARGET: &str = "wasm32-wasip1";

/// Nothing of what a panic would say: a trap reaches the page as an error anyway. `{:?}` prints nothing then.
const SMALL: [&str; 4] =
    ["-Zunstable-options", "-Cpanic=immediate-abort", "-Zlocation-detail=none", "-Zfmt-debug=none"];

/// One build of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The folder of the build in pkg/dist, and what `model.info.build` says.
    pub name: &'static str,
    /// For rustc's `-C target-feature`.
    pub features: &'static str,
}

/// Every build of the engine, the most widely supported one first.
pub const VARIANTS: [Variant; 4] = [
    Variant { name: "simd128", features: "+simd128" },
    Variant { name: "relaxed", features: "+simd128,+relaxed-simd" },
    Variant { name: "simd128-threads", features: "+simd128,+atomics,+bulk-memory,+mutable-globals" },
    Variant { name: "relaxed-threads", features: "+simd128,+relaxed-simd,+atomics,+bulk-memory,+mutable-globals" },
];

/// What goes with a module, beside it.
const SCRIPTS: [&str; 2] = ["pagelm.js", "pagelm.d.ts"];

/// What makes a memory that several instances share: it comes from outside and can grow to all that 32 bits address, and
/// the linker keeps what wasm-bindgen needs to give each instance a stack and thread-locals of its own.
const SHARED_MEMORY: [&str; 9] = [
    "--shared-memory",
    "--import-memory",
    "--max-memory=4294967296",
    "--export=__heap_base",
    "--export=__stack_pointer",
    "--export=__wasm_init_tls",
    "--export=__tls_size",
    "--export=__tls_align",
    "--export=__tls_base",
];

impl Variant {
    /// Cargo for this build: its features, and a target folder of its own, so that the builds do not displace each
    /// other's intermediate files.
    pub fn cargo(&self, subcommand: &str, target: &str) -> Command {
        let mut command = shell::cargo();
        command.args([subcommand, "--target", target, "--config"]);
        command.arg(format!("target.{target}.rustflags=[\"-C\", \"target-feature={}\"]", self.features));
        command.arg("--target-dir").arg(self.target_dir());
        command
    }

    /// Whether this build has the relaxed instructions.
    pub fn is_relaxed(&self) -> bool {
        self.features.contains("relaxed-simd")
    }

    /// Whether its memory can be shared by threads.
    pub fn has_threads(&self) -> bool {
        self.features.contains("atomics")
    }

    /// What ships: the folder of this build in pkg/dist.
    pub fn dist(&self) -> PathBuf {
        paths::pkg_dist().join(self.name)
    }

    /// The module as it ships, but with its name section, so that functions can be told by name.
    pub fn named_module(&self) -> PathBuf {
        self.target_dir().join("named/pagelm_bg.wasm")
    }

    fn target_dir(&self) -> PathBuf {
        paths::target().join("wasm").join(self.name)
    }

    fn compiled_module(&self) -> PathBuf {
        self.target_dir().join(TARGET).join("wasm/pagelm.wasm")
    }

    fn compile(&self) -> Result<()> {
        let mut cargo = self.cargo("build", TARGET);
        cargo.args(["--profile", "wasm", "--package", "pagelm", "--lib"]);
        cargo.args(["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size", "--config"]);
        let mut flags = SMALL.map(str::to_owned).to_vec();
        if self.has_threads() {
            flags.extend(SHARED_MEMORY.map(|argument| format!("-Clink-arg={argument}")));
        }
        cargo.arg(format!("target.{TARGET}.rustflags={flags:?}"));
        cargo.env("RUSTC_BOOTSTRAP", "1");
        // Builds print at the same time: no progress bars.
        cargo.env("CARGO_TERM_PROGRESS_WHEN", "never");
        shell::run(&mut cargo)
    }

    /// wasm-bindgen's JS beside the module, twice: with names for the checks, and without for the network.
    fn bind(&self) -> Result<()> {
        let shipped = self.dist().join("pagelm_bg.wasm");
        let xtask = std::env::current_exe()?;
        if fresh::is_fresh(&[&shipped, &self.named_module()], &[&self.compiled_module(), &xtask]) {
            return Ok(());
        }
        eprintln!("wasm-bindgen: {}", self.dist().display());
        Bindgen::new()
            .web(true)?
            .input_path(self.compiled_module())
            .typescript(true)
            .omit_default_module_path(false)
            .demangle(false)
            .generate(self.named_module().parent().expect("the module is in a folder"))
            .with_context(|| format!("wasm-bindgen failed on the {} build", self.name))?;
        self.compact()?;
        self.ship()
    }

    /// Makes wasm-bindgen's output smaller where it lies.
    fn compact(&self) -> Result<()> {
        let module = self.named_module();
        let paths = SCRIPTS.map(|name| module.with_file_name(name));
        let mut scripts = paths.iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
        fs::write(&module, compact::compact(&fs::read(&module)?, &mut scripts)?)?;
        paths.iter().zip(scripts).try_for_each(|(path, script)| Ok(fs::write(path, script)?))
    }

    /// Copies the output to pkg/dist, the module without its names. The code section is the same to the byte, so what
    /// the checks find in the named module holds for the shipped one.
    fn ship(&self) -> Result<()> {
        let dist = self.dist();
        fs::create_dir_all(&dist).with_context(|| format!("cannot create {}", dist.display()))?;
        let named = self.named_module();
        for name in SCRIPTS {
            fs::copy(named.with_file_name(name), dist.join(name)).with_context(|| format!("cannot copy {name}"))?;
        }
        let stripped = opcodes::without_custom_sections(&fs::read(&named)?)?;
        fs::write(dist.join("pagelm_bg.wasm"), stripped).context("cannot write the module")
    }
}

/// Makes every build and puts it into pkg/dist.
pub fn build() -> Result<()> {
    add_target(TARGET)?;
    add_standard_library_source()?;
    // Link-time optimization is one long step on one core, and so is making modules compact: the builds run side by side.
    side_by_side(Variant::compile)?;
    side_by_side(Variant::bind)
}

/// Does a step for every build at the same time.
fn side_by_side(step: fn(&Variant) -> Result<()>) -> Result<()> {
    std::thread::scope(|scope| {
        let steps = VARIANTS.map(|variant| scope.spawn(move || step(&variant)));
        let results = steps.map(|thread| thread.join().expect("a step does not panic"));
        results.into_iter().collect::<Result<Vec<()>>>().map(|_| ())
    })
}

/// Adds a target's standard library to the toolchain, if it is not there.
pub fn add_target(target: &str) -> Result<()> {
    if is_installed(target)? {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]).current_dir(paths::root());
    shell::run(&mut rustup).with_context(|| {
        format!(
            "Rust's standard library for {target} is missing, and rustup could not add it. Install it by rustup or \
             by your system's package manager, and run this again"
        )
    })
}

/// Adds the standard library's source to the toolchain, if it is not there.
fn add_standard_library_source() -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(paths::root());
    let Some(sysroot) = shell::output(&mut rustc)? else {
        bail!("rustc is missing: install Rust from https://rustup.rs")
    };
    if PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rust-src"]).current_dir(paths::root());
    shell::run(&mut rustup).context(
        "the source of Rust's standard library is missing, and rustup could not add it. Install the component rust-src \
         by rustup or by your system's package manager, and run this again",
    )
}

fn is_installed(target: &str) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(paths::root());
    let Some(libdir) = shell::output(&mut rustc)? else {
        bail!("rustc is missing: install Rust from https://rustup.rs")
    };
    Ok(fs::read_dir(libdir).is_ok_and(|mut entries| entries.next().is_some()))
}
