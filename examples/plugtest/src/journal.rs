//! The journal: a line for each test that has ended.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use diag::task::spawn_blocking;

use crate::body::Body;
use crate::plugin::{Plugin, Step, Verdict, nothing};
use crate::suite::Facts;

/// Writes `results.log`.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Mutex<File>>);

impl Journal {
    pub(crate) fn create(dir: &Path) -> anyhow::Result<Self> {
        Ok(Journal(Arc::new(Mutex::new(File::create(dir.join("results.log"))?))))
    }

    fn write(&self, line: &str) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }
}

impl Plugin for Journal {
    fn begin<'a>(&'a self, _: &'a Facts) -> Step<'a> {
        nothing()
    }

    fn ended<'a>(&'a self, suite: &'a Facts, body: Body, verdict: Verdict) -> Step<'a> {
        let (journal, line) = (self.clone(), format!("suite {} {body:?} {verdict:?}\n", suite.number));
        // A disk may take its time.
        Box::pin(async move { Ok(spawn_blocking(move || journal.write(&line)).await??) })
    }

    fn end<'a>(&'a self, _: &'a Facts) -> Step<'a> {
        nothing()
    }
}
