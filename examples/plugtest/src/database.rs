//! Databases of suites: a pool of connections to a real file.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// Whoever waits for longer will not get a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pool for a file, which is made if it is not there.
pub(crate) async fn open(file: &Path) -> anyhow::Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(4).acquire_timeout(PATIENCE);
    let pool = pool.connect_with(options(file)).await?; // FAULT pool-per-test
    sqlx::query("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    Ok(pool)
}

/// How a connection to a file is made. What is lost when the machine fails is made anew.
pub(crate) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .busy_timeout(PATIENCE)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off)
}

/// Adds an order, and gives how many there are.
pub(crate) async fn order(pool: &SqlitePool, item: &str) -> anyhow::Result<i64> {
    sqlx::query("INSERT INTO orders (item) VALUES (?)").bind(item).execute(pool).await?;
    let (orders,): (i64,) = sqlx::query_as("SELECT count(*) FROM orders").fetch_one(pool).await?;
    Ok(orders)
}
