//! What the tests of a suite do.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use diag::task::spawn_blocking;
use sqlx::SqlitePool;

use crate::mock::Mock;
use crate::runner::Runner;
use crate::scratch::Scratch;
use crate::suite::Suite;
use crate::{Fault, database, isolated, refund, report};

/// What a test writes by mail.
static LETTER: [u8; 32 << 10] = [b'x'; 32 << 10];
/// How many of them.
const LETTERS: usize = 4;
/// A test that takes long.
const LONG: Duration = Duration::from_secs(3);

/// What a test does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Orders something, and has mails written of it.
    Order,
    /// Has its refund checked by a task beside it, which panics.
    Refund,
    /// Has a scratch folder.
    Scratch,
    /// Changes what belongs to the process.
    Isolated,
    /// Reports on the suite, blocking.
    Report,
    /// Has the file of the suite watched.
    Watched,
    /// Takes long.
    Slow,
}

impl Body {
    /// Runs as the test of this number.
    pub(crate) async fn run(self, suite: &Suite, number: usize) -> anyhow::Result<()> {
        let runner = &suite.runner;
        match self {
            Body::Order => order(suite).await,
            Body::Refund => refund::test(runner).await,
            Body::Scratch => {
                let runner = runner.clone();
                spawn_blocking(move || scratch(&runner)).await?
            }
            Body::Isolated => {
                let name = format!("isolated-{}-{number}.db", suite.facts.number);
                isolated::test(runner, runner.dir.join(name)).await
            }
            Body::Report => report(suite).await,
            Body::Watched => watched(suite).await,
            Body::Slow => {
                order(suite).await?;
                tokio::time::sleep(LONG).await;
                order(suite).await
            }
        }
    }
}

async fn order(suite: &Suite) -> anyhow::Result<()> {
    let (pool, mock) = (pool(suite).await?, mock(&suite.runner));
    for letter in 1..=LETTERS {
        let orders = database::order(&pool, "a book").await?;
        ensure!(orders > 0, "nothing was ordered");
        let sent = mock.send(&LETTER).await?;
        ensure!(sent >= letter, "a mail was not sent");
        suite.runner.mails.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The pool for a test: that of its suite.
async fn pool(suite: &Suite) -> anyhow::Result<SqlitePool> {
    if suite.runner.fault != Some(Fault::PoolPerTest) {
        return Ok(suite.pool.clone());
    }
    let pool = database::open(&suite.facts.file).await?;
    suite.runner.keep_pool(pool.clone());
    Ok(pool)
}

/// The mock for a test: its own.
fn mock(runner: &Runner) -> Mock {
    if runner.fault == Some(Fault::SharedMock) { runner.shared_mock() } else { Mock::start() }
}

fn scratch(runner: &Runner) -> anyhow::Result<()> {
    let scratch = Scratch::create(&runner.dir, &runner.scratches)?;
    std::fs::write(scratch.path.join("notes"), LETTER.as_slice())?;
    if runner.fault == Some(Fault::Forget) && runner.is_every_other() {
        // So that somebody can look into it.
        std::mem::forget(scratch);
    }
    Ok(())
}

async fn report(suite: &Suite) -> anyhow::Result<()> {
    let (runner, file) = (suite.runner.clone(), suite.facts.file.clone());
    let orders = spawn_blocking(move || report::orders(&runner, file)).await??;
    ensure!(orders > 0, "there are no orders");
    Ok(())
}

async fn watched(suite: &Suite) -> anyhow::Result<()> {
    let largest = suite.runner.watch.watch(&suite.facts);
    database::order(&suite.pool, "a lamp").await?;
    // The watcher looks once at least, and goes on to the end of the suite.
    while largest.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
