//! Connections of pools as diag knows them: made, in use where and by whom, idle, closed.

pub mod deadpool;
pub mod sqlx;
