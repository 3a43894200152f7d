//! Every named step of the forward pass against PyTorch, whose hooks recorded it in f64: `tests/fixtures/sites`, made by
//! `tests/conformance/sites.py`. The built-in story model, a published small one, and a model for each norm and nonlinearity.
//!
//! What is measured is printed under `PAGELM_SHOW_DEVIATIONS=1`.

mod common;

use common::data::{always, floats, needs};
use common::made::Made;
use common::recorded;
use libtest_mimic::{Arguments, Trial};
use pagelm::inspect::{Kept, Selection, trace};
use pagelm::model::Site;
use pagelm::session::Session;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Of the largest value of a step.
const TOLERANCE: f32 = 1e-4;

/// What was recorded: of the whole text, at these positions.
#[derive(Deserialize)]
struct Record {
    /// From the project's root; none for the models of `tests/fixtures/models`.
    file: Option<String>,
    tokens: Vec<u32>,
    positions: Vec<usize>,
    sites: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sites")
}

fn main() -> ExitCode {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter_map(|file| file.strip_suffix(".json").map(String::from)).collect();
    names.sort();
    let trials = names.into_iter().map(|name| {
        let record: Record =
            serde_json::from_slice(&std::fs::read(folder().join(format!("{name}.json"))).unwrap()).unwrap();
        let beside = record.file.as_deref().and_then(|file| file.strip_prefix("../shared/")).map(String::from);
        let what = format!("{name}_at_every_step");
        match beside {
            Some(file) => needs(&[&file], &what, move || compare(&name, &record)),
            None => always(&what, move || compare(&name, &record)),
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect::<Vec<Trial>>()).exit_code()
}

fn compare(name: &str, record: &Record) {
    let file = match &record.file {
        Some(file) => {
            Made::read(&std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()).dequantized()
        }
        None => recorded::read(name).file,
    };
    let model = file.load();
    let sites: Vec<Site> = record.sites.iter().map(|name| site(name)).collect();
    let passed: Vec<Site> = Site::ALL.into_iter().filter(|site| site.width(&model).is_ok()).collect();
    assert_eq!(sites, passed, "{name}: every step that this model passes is recorded");
    let config = model.config();
    let (layers, heads) = ((0..config.n_layer).collect(), (0..config.n_head).collect());
    let selection = Selection { sites, layers, heads, positions: record.positions.clone() };
    let mut got: Vec<Vec<f32>> = Vec::new();
    let mut session = Session::new(model, None).unwrap();
    let keep = &mut |kept: Kept<'_>| match kept {
        Kept::Size(n) => got.push(vec![0.0; n]),
        Kept::Values(i, at, values) => got[i][at..at + values.len()].copy_from_slice(values),
    };
    trace(&mut session, &record.tokens, &selection, keep).unwrap();
    let want = floats(&std::fs::read(folder().join(format!("{name}.f32"))).unwrap());
    let mut rest = &want[..];
    for (site, got) in record.sites.iter().zip(&got) {
        let (want, after) = rest.split_at(got.len());
        rest = after;
        let largest = want.iter().fold(0f32, |max, x| max.max(x.abs()));
        let found = got.iter().zip(want).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / largest;
        if std::env::var_os("PAGELM_SHOW_DEVIATIONS").is_some() {
            println!("{name} {site}: {found:.1e}");
        }
        assert!(found <= TOLERANCE, "{name}, {site}: the deviation is {found:.2e}");
    }
    assert!(rest.is_empty(), "{name}: all that is recorded is compared");
}

fn site(name: &str) -> Site {
    Site::ALL.into_iter().find(|site| site.name() == name).unwrap()
}
