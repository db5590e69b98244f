//! diag and [console-subscriber](console_subscriber) in one process.
//!
//! They do not know each other, and need not: diag wraps the futures that are spawned through it and has the others from
//! the memory of their cells; tokio itself makes a span of each task for console-subscriber. So each task is in both once,
//! under the same id and the same line, whoever spawned it. `tests/agree.rs` holds that.
//!
//! What tokio tells console-subscriber needs `--cfg tokio_unstable`; diag does not, and works with it.

use std::net::SocketAddr;
use std::time::Duration;

/// How often console-subscriber tells its clients what is new.
const PUBLISHED_EVERY: Duration = Duration::from_millis(100);

/// Starts both: console-subscriber listens on `console`. In which order does not matter; both come before the first spawn.
pub fn start(console: impl Into<SocketAddr>, diag: diag::Builder) -> diag::Guard {
    let builder = console_subscriber::ConsoleLayer::builder();
    builder.server_addr(console.into()).publish_interval(PUBLISHED_EVERY).init();
    diag.start()
}
