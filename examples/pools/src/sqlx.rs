//! sqlx: what it hands out has a value beside it that is dropped with it; how many connections it has is a gauge.

use std::ops::{Deref, DerefMut};

use diag::resource::{InUse, acquire};
use sqlx::pool::PoolConnection;
use sqlx::{Pool, Sqlite, SqliteConnection};

/// A connection that somebody has, until this is dropped.
#[derive(Debug)]
pub struct Taken {
    connection: PoolConnection<Sqlite>,
    _in_use: InUse,
}

/// Says that the caller's line has it: `taken(pool.acquire().await?)`.
#[track_caller]
pub fn taken(connection: PoolConnection<Sqlite>) -> Taken {
    Taken { connection, _in_use: acquire("sqlx connection") }
}

/// Publishes how many connections the pool has, and how many of them nobody has: call it now and then.
pub fn publish(pool: &Pool<Sqlite>) {
    diag::gauge("sqlx_connections").set(pool.size().into());
    diag::gauge("sqlx_idle_connections").set(pool.num_idle() as i64);
}

impl Deref for Taken {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
