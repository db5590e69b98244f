//! A suite: tests that share a database, with all plugins told of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use diag::task::JoinSet;
use sqlx::SqlitePool;
use tokio::sync::Semaphore;

use crate::body::Body;
use crate::plugin::Verdict;
use crate::runner::Runner;
use crate::{Fault, Load, database};

/// What plugins know of a suite.
pub(crate) struct Facts {
    pub(crate) number: u64,
    /// Its database.
    pub(crate) file: PathBuf,
}

/// A suite that runs.
pub(crate) struct Suite {
    pub(crate) runner: Arc<Runner>,
    pub(crate) facts: Facts,
    pub(crate) pool: SqlitePool,
    permits: Semaphore,
}

impl Suite {
    /// Runs the tests of a load, and leaves nothing of them.
    pub(crate) async fn run(runner: Arc<Runner>, number: u64, load: Load) -> anyhow::Result<()> {
        let facts = Facts { number, file: runner.dir.join(format!("suite-{number}.db")) };
        let pool = database::open(&facts.file).await?;
        let suite = Suite { runner, facts, pool, permits: Semaphore::new(load.parallel()) };
        let suite = Arc::new(suite);
        suite.clone().tests(&load.bodies()).await?;
        suite.close().await
    }

    /// The first alone: if it fails, so does the rest.
    async fn tests(self: Arc<Self>, bodies: &[Body]) -> anyhow::Result<()> {
        let Some((first, rest)) = bodies.split_first() else { return Ok(()) };
        let is_late = self.runner.fault == Some(Fault::LateInit);
        if !is_late {
            self.begin().await?;
        }
        self.clone().test(*first, 0).await?;
        if is_late {
            self.begin().await?;
        }
        let mut tests = JoinSet::new();
        for (body, number) in rest.iter().zip(1..) {
            tests.spawn(self.clone().test(*body, number));
        }
        while let Some(ended) = tests.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn begin(&self) -> anyhow::Result<()> {
        for plugin in self.runner.plugins() {
            plugin.begin(&self.facts).await?;
        }
        Ok(())
    }

    async fn test(self: Arc<Self>, body: Body, number: usize) -> anyhow::Result<()> {
        let _permit = self.permits.acquire().await?;
        let verdict = match body.run(&self, number).await {
            Ok(()) => Verdict::Passed,
            Err(_) => Verdict::Failed,
        };
        self.runner.count(verdict).fetch_add(1, Ordering::Relaxed);
        for plugin in self.runner.plugins() {
            plugin.ended(&self.facts, body, verdict).await?;
        }
        Ok(())
    }

    async fn close(&self) -> anyhow::Result<()> {
        for plugin in self.runner.plugins() {
            plugin.end(&self.facts).await?;
        }
        self.pool.close().await;
        Ok(tokio::fs::remove_file(&self.facts.file).await?)
    }
}
