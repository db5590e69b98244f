//! One line on standard error that says what a program does or waits for.
//!
//! Only a terminal gets it: logs and pipes stay free of it, and so does standard output always.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(250);

/// Waits until `end`, with a line about it four times a second.
pub async fn wait_until(end: Instant, mut line: impl FnMut() -> String) {
    let left = || end.saturating_duration_since(Instant::now());
    while !left().is_zero() {
        show(&line());
        tokio::time::sleep(left().min(EVERY)).await;
    }
    show("");
}

/// Replaces the line. A terminal that went away is no reason to stop.
pub fn show(line: &str) {
    let mut terminal = io::stderr().lock();
    if terminal.is_terminal() {
        let _ = write!(terminal, "\r\x1b[2K{line}").and_then(|()| terminal.flush());
    }
}
