//! For tests: a service that runs, and what is said of it while it does.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diag_diff::Policy;
use diag_diff::report::text;

use crate::case::{Answer, Case};
use crate::wanted::Wanted;

/// A fault is found after 10 to 18 s on a machine that has nothing else to do.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The snapshot that a healthy service is judged by: a fault is found sooner.
const LAST: &str = "06.diag";

/// A process that runs until this is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if it was to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program with its policy.
#[derive(Clone, Debug)]
pub struct Live {
    program: PathBuf,
    policy: Policy,
}

impl Live {
    /// Of the program at this path.
    ///
    /// # Panics
    /// If the policy is none.
    pub fn new(program: &str, policy: &str) -> Self {
        Live { program: program.into(), policy: Policy::parse(policy).expect("it is a policy") }
    }

    /// Runs a case until that is so of what is said of it and of its folder.
    ///
    /// # Errors
    /// The last that was said, if it takes too long.
    ///
    /// # Panics
    /// If it does not start.
    pub fn runs_until(
        &self,
        case: &Case,
        mut is_so: impl FnMut(&Answer, &Path) -> bool,
    ) -> Result<(), Option<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("run");
        let mut command = Command::new(&self.program);
        command.arg("run").arg(&dir).args(&case.arguments).env("RUST_BACKTRACE", "0");
        command.args(["--every", "3", "--seconds", &(PATIENCE.as_secs() * 2).to_string()]);
        let child = command.stdout(Stdio::null()).spawn().expect("it starts");
        let _running = Running(child);
        let (begun, mut last) = (Instant::now(), None);
        while begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(500));
            // Before the second snapshot there is nothing to judge.
            let Ok(answer) = case.judge(&dir, &self.policy) else { continue };
            if is_so(&answer, &dir) {
                return Ok(());
            }
            last = Some(text::render(&answer.report));
        }
        Err(last)
    }

    /// Runs a case until its fault is found.
    ///
    /// # Panics
    /// If it is not.
    pub fn is_found(&self, case: &Case) {
        let found = self.runs_until(case, |answer, _| answer.is_right);
        assert_eq!(found, Ok(()), "{} was not found", case.name);
    }

    /// Runs a healthy case for as long as faults take to be found, and until it has done its load: what is wanted of these faults, each
    /// with its lines, is not said of it.
    ///
    /// # Panics
    /// If it is.
    pub fn is_silent(
        &self,
        healthy: &Case,
        faults: &[(Wanted, Vec<String>)],
        has_done: impl Fn(&Path) -> bool,
    ) {
        let was_judged = self.runs_until(healthy, |answer, dir| {
            if !dir.join(LAST).exists() || !has_done(dir) {
                return false;
            }
            for (wanted, lines) in faults {
                let said = wanted.found(&answer.report, lines);
                assert_eq!(said, None, "{}", text::render(&answer.report));
            }
            true
        });
        assert_eq!(was_judged, Ok(()), "it did not do its load");
    }
}
