//! A line on a terminal for what takes longer than a second.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);

/// Says what is being done once it has taken a second, until dropped. Silent if standard error is
/// not a terminal.
pub(crate) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    pub(crate) fn of(what: String) -> Self {
        if !stderr().is_terminal() {
            return Progress(None);
        }
        let (done, wait) = channel();
        let line = thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // Progress that cannot be shown is not worth a failure.
                let _ = write!(stderr(), "{what} ...");
                let _ = wait.recv();
                let _ = write!(stderr(), "\r\x1b[K");
            }
        });
        Progress(Some((done, line)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, line)) = self.0.take() {
            drop(done);
            // The line must be gone before anything else is printed.
            let _ = line.join();
        }
    }
}
