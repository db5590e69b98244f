//! A report on the orders of a suite, by code that knows of no runtime: it blocks, on a thread for that.

use std::path::PathBuf;

use sqlx::{Connection, SqliteConnection};
use tokio::runtime::{Builder, Handle};

use crate::runner::Runner;
use crate::{Fault, database};

/// Counts the orders in a file.
pub(crate) fn orders(runner: &Runner, file: PathBuf) -> anyhow::Result<i64> {
    if runner.fault != Some(Fault::RuntimePerTest) {
        return Handle::current().block_on(count(file));
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?; // FAULT runtime-per-test
    let orders = runtime.block_on(count(file));
    runner.keep_runtime(runtime);
    orders
}

async fn count(file: PathBuf) -> anyhow::Result<i64> {
    let mut connection = SqliteConnection::connect_with(&database::options(&file)).await?;
    let (orders,): (i64,) = sqlx::query_as("SELECT count(*) FROM orders").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(orders)
}
