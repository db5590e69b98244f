//! One line on a terminal that says what is going on; nothing elsewhere.

use std::io::{IsTerminal, Write, stderr};

/// Replaces the line; empty text clears it.
pub(crate) fn show(text: &str) {
    if stderr().is_terminal() {
        // A terminal that cannot be written to is no reason to stop measuring.
        let _ = write!(stderr(), "\r\x1b[2K{text}");
    }
}
