//! Parts that are tests of the crates, with more or fewer cases.

use crate::run::{cargo, run};

/// A test that says how much it tries by a variable.
pub struct Part {
    /// Its name on the command line.
    pub name: &'static str,
    what: &'static str,
    package: &'static str,
    test: &'static str,
    /// Exact names of the tests, as `cargo test` takes them.
    filter: &'static str,
    variable: &'static str,
    quick: usize,
    full: usize,
    release: bool,
}

/// All of them.
pub const PARTS: &[Part] = &[];

impl Part {
    /// Runs it. Returns what it was, how much was tried, and whether it passed.
    pub fn run(
        &self,
        full: bool,
        rounds: Option<usize>,
    ) -> Result<(String, usize, Result<(), String>), String> {
        let count = rounds.unwrap_or(if full { self.full } else { self.quick });
        let mut words = vec!["test", "--locked", "--quiet", "--package", self.package, "--test", self.test];
        words.extend((full && self.release).then_some("--release"));
        let mut build = cargo(&words);
        build.arg("--no-run");
        run(build)?;
        words.push(self.filter);
        let mut command = cargo(&words);
        command.env(self.variable, count.to_string());
        Ok((self.what.to_owned(), count, run(command)))
    }
}
