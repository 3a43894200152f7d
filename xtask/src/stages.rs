//! A run of named stages: each has a heading, a failed one does not hold up the others, and a summary ends the run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How a stage went, if it did not fail.
pub enum Outcome {
    /// It ran, and all is well.
    Passed,
    /// It did not run; why, and how one gets it to run.
    Skipped(String),
}

enum Verdict {
    Passed,
    Skipped(String),
    Failed(String),
}

struct Record {
    name: &'static str,
    verdict: Verdict,
    time: Duration,
}

/// The stages that have run so far.
#[derive(Default)]
pub struct Stages {
    records: Vec<Record>,
}

impl Stages {
    /// Runs a stage that either passes or fails; returns whether it passed.
    pub fn run(&mut self, name: &'static str, stage: impl FnOnce() -> Result<()>) -> bool {
        self.run_or_skip(name, || stage().map(|()| Outcome::Passed))
    }

    /// Runs a stage that may also find that it cannot run here; returns whether it passed.
    pub fn run_or_skip(&mut self, name: &'static str, stage: impl FnOnce() -> Result<Outcome>) -> bool {
        eprintln!("\n━━ {name} ━━");
        let start = Instant::now();
        let verdict = match stage() {
            Ok(Outcome::Passed) => Verdict::Passed,
            Ok(Outcome::Skipped(why)) => Verdict::Skipped(why),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        };
        if let Verdict::Failed(why) | Verdict::Skipped(why) = &verdict {
            eprintln!("{why}");
        }
        let passed = matches!(verdict, Verdict::Passed);
        self.records.push(Record { name, verdict, time: start.elapsed() });
        passed
    }

    /// Notes a stage that cannot run because one that it builds on failed.
    pub fn blocked(&mut self, name: &'static str, by: &str) {
        let verdict = Verdict::Failed(format!("not run: needs the stage \"{by}\", which failed"));
        self.records.push(Record { name, verdict, time: Duration::ZERO });
    }

    /// Prints the summary; fails if any stage did.
    pub fn finish(self) -> Result<()> {
        println!("\n━━ summary ━━");
        for Record { name, verdict, time } in &self.records {
            let seconds = time.as_secs_f64();
            match verdict {
                Verdict::Passed => println!("  passed   {name} ({seconds:.1} s)"),
                Verdict::Skipped(why) => println!("  skipped  {name}: {why}"),
                Verdict::Failed(why) => {
                    // The whole of it stands where the stage ran.
                    println!("  FAILED   {name} ({seconds:.1} s): {}", why.lines().next().unwrap_or_default());
                }
            }
        }
        let n_passed = self.count(|verdict| matches!(verdict, Verdict::Passed));
        let n_failed = self.count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let n_skipped = self.count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        println!("\nstages: {n_passed} passed, {n_failed} failed, {n_skipped} skipped");
        if n_failed > 0 {
            bail!("{n_failed} of {} stages failed", self.records.len());
        }
        Ok(())
    }

    fn count(&self, wanted: impl Fn(&Verdict) -> bool) -> usize {
        self.records.iter().filter(|record| wanted(&record.verdict)).count()
    }
}
