//! One suite, as a test would run it that has a leak guard.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use diag::testing::leak_guard;
use tokio::runtime::Builder;

use crate::runner::Runner;
use crate::{Fault, Load};

/// What a harness gives of a test that fails.
const FAILED: u8 = 101;

/// What is guarded.
#[derive(Clone, Debug, clap::Args)]
pub struct Guarded {
    /// Folder for the files of the suite.
    dir: PathBuf,
    /// A mistake to make; healthy without.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Which tests the suite has.
    #[arg(long, value_enum, default_value = "mixed")]
    load: Load,
    /// For so many seconds the guard waits for what is about to end.
    #[arg(long, default_value_t = 2)]
    settle: u64,
}

impl Guarded {
    /// Runs it, and says what it leaves behind.
    pub fn run(&self) -> ExitCode {
        match self.test() {
            Ok(None) => ExitCode::SUCCESS,
            Ok(Some(said)) => {
                eprintln!("{said}");
                ExitCode::from(FAILED)
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    /// What the guard says, if it says anything.
    fn test(&self) -> anyhow::Result<Option<String>> {
        fs::create_dir_all(&self.dir)?;
        let dir = fs::canonicalize(&self.dir)?;
        // Outside of the test, as a fixture of all tests is.
        let runner = Runner::new(&dir, self.fault, true)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let guard = leak_guard().strict().settle(Duration::from_secs(self.settle));
            runner.clone().suite(0, self.load).await?;
            anyhow::Ok(guard.try_finish().await.err().map(|leaks| leaks.to_string()))
        })
    }
}
