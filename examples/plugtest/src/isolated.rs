//! Tests that change what belongs to the process, each in one of its own. Such a process has a database, which is let to it until it
//! says that it has given it back.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use diag::Counted;
use diag::resource::{InUse, acquire};
use diag::task::spawn_blocking;
use diag::testing::leak_guard;
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Builder;

use crate::runner::Runner;
use crate::{Fault, database};

/// What the process says last.
const GIVEN_BACK: &str = "given back\n";

/// A database is to be given back within so long.
const TERM: Duration = Duration::from_secs(6);

/// The database of a process, as long as it has it.
pub(crate) struct Lease(#[expect(dead_code, reason = "it is given back when this is dropped")] InUse);

/// How the test in it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum End {
    Return,
    Exit,
    Abort,
}

/// Runs one, and takes its database back.
pub(crate) async fn test(runner: &Runner, file: PathBuf) -> anyhow::Result<()> {
    let in_use = acquire("leased database"); // FAULT exit abort
    let lease = Counted::new(Lease(in_use)); // FAULT exit abort
    let lease = lease.expect_dropped(TERM);
    let end = match runner.fault {
        Some(Fault::Exit) if runner.is_every_other() => End::Exit,
        Some(Fault::Abort) if runner.is_every_other() => End::Abort,
        _ => End::Return,
    };
    let mut command = command(&file, end, runner.is_guarded)?;
    // A busy machine takes its time to start a process, and who starts it waits for that.
    let output = spawn_blocking(move || command.output()).await?.context("starting a process")?;
    if output.stdout == GIVEN_BACK.as_bytes() {
        drop(lease);
    } else {
        // It may be in use: who has it has not said anything.
        runner.keep_lease(lease);
    }
    ensure!(output.status.success(), "{}", output.status);
    Ok(())
}

fn command(file: &Path, end: End, is_guarded: bool) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("isolated").arg(file).args(["--end", &diag_trial::name(&end)]);
    if is_guarded {
        command.arg("--guarded");
    } else {
        command.env("DIAG", "off");
    }
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    Ok(command)
}

/// One test in a process of its own.
#[derive(Clone, Debug, clap::Args)]
pub struct Isolated {
    /// Its database.
    file: PathBuf,
    /// How it ends.
    #[arg(long, value_enum)]
    end: End,
    /// Whether it has a leak guard.
    #[arg(long)]
    guarded: bool,
}

/// Removes the database when the test is over, and says so.
struct Teardown(PathBuf);

impl Drop for Teardown {
    fn drop(&mut self) {
        // Who waits for it sees that nothing is said.
        if fs::remove_file(&self.0).is_ok() {
            let _ = std::io::stdout().write_all(GIVEN_BACK.as_bytes());
        }
    }
}

impl Isolated {
    /// Runs it.
    ///
    /// # Errors
    /// If the database is none.
    pub fn run(&self) -> anyhow::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let guard = if self.guarded { Some(leak_guard()) } else { None };
            let done = self.test().await;
            if let Some(guard) = guard {
                guard.finish().await;
            }
            done
        })
    }

    async fn test(&self) -> anyhow::Result<()> {
        let _teardown = Teardown(self.file.clone());
        let folder = self.file.parent().context("it is in a folder")?;
        let mut connection = SqliteConnection::connect_with(&database::options(&self.file)).await?;
        // What makes it a test for a process of its own.
        std::env::set_current_dir(folder)?;
        sqlx::query("CREATE TABLE visits (id INTEGER PRIMARY KEY)").execute(&mut connection).await?;
        match self.end {
            End::Return => Ok(connection.close().await?),
            End::Exit => std::process::exit(0),
            End::Abort => std::process::abort(),
        }
    }
}
