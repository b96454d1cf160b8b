//! Parts that are tests of the crates, with more or fewer cases.

use crate::run::{cargo, output};

/// A test that says how much it tries by a variable.
pub struct Part {
    /// Its name on the command line.
    pub name: &'static str,
    what: &'static str,
    package: &'static str,
    /// Its whole name.
    test: &'static str,
    variable: &'static str,
    quick: usize,
    full: usize,
    release: bool,
}

/// All of them.
pub const PARTS: &[Part] = &[
    Part {
        name: "simulation",
        what: "seeds of the simulation",
        package: "rectify-apply",
        test: "simulation::invariants_hold_for_all_seeds",
        variable: "RECTIFY_SIM_SEEDS",
        quick: 1_000,
        full: 1_000_000,
        release: true,
    },
    Part {
        name: "power",
        what: "states of claims, results, fences and before-images after a power cut",
        package: "rectify-sdk",
        test: "power::what_was_answered_survives_a_power_cut",
        variable: "RECTIFY_POWER_STATES",
        quick: 2_000,
        full: 20_000,
        release: false,
    },
    Part {
        name: "power",
        what: "states of the journal after a power cut, from a trace of its writes and syncs",
        package: "rectify-store",
        test: "power::what_was_acknowledged_survives_a_power_loss_at_any_moment",
        variable: "RECTIFY_POWER_LOSS",
        quick: 60,
        full: 2_000,
        release: false,
    },
    Part {
        name: "audit",
        what: "random changes of an audit log",
        package: "rectify-audit",
        test: "mutations::each_random_change_is_found",
        variable: "RECTIFY_AUDIT_MUTATIONS",
        quick: 2_000,
        full: 100_000,
        release: true,
    },
];

impl Part {
    /// Runs it. Returns what it was, how much was tried, and whether it passed.
    pub fn run(
        &self,
        full: bool,
        rounds: Option<usize>,
    ) -> Result<(String, usize, Result<(), String>), String> {
        let count = rounds.unwrap_or(if full { self.full } else { self.quick });
        let mut words = vec!["test", "--locked", "--quiet", "--package", self.package, "--test", "it"];
        words.extend((full && self.release).then_some("--release"));
        let mut command = cargo(&words);
        command.args(["--", "--exact", self.test, "--nocapture"]);
        command.env(self.variable, count.to_string());
        // A test that has another name now would not be run, and nothing would fail.
        let passed = output(command).and_then(|text| {
            let text = String::from_utf8_lossy(&text).into_owned();
            let ran = text.contains("test result: ok. 1 passed");
            if ran { Ok(()) } else { Err(format!("{} did not run: {text}", self.test)) }
        });
        Ok((self.what.to_owned(), count, passed))
    }
}

/// Measures the journal: what it said, and whether many records at a time go as much faster as they should.
pub fn journal() -> Result<(String, bool), String> {
    let said = output(cargo(&["bench", "--locked", "--quiet", "--package", "rectify-store"]))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = |begin: &str| said.lines().map(str::trim).find_map(|line| line.strip_prefix(begin));
    let (Some(rates), Some(verdict)) = (line("journal: "), line("at least 1.50 times is wanted: ")) else {
        return Err(format!("the benchmark of the journal says something else: {said}"));
    };
    Ok((rates.to_owned(), verdict == "good"))
}
