//! A program in a pseudo-terminal, which `script` of util-linux makes.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context as _;

use super::screen::Screen;

const COLUMNS: usize = 200;
const ROWS: usize = 60;

/// A program that draws, and is ended with this.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Screen>>,
}

impl Terminal {
    /// Runs a command of the shell.
    ///
    /// # Errors
    /// If there is no `script`.
    pub fn run(command: &str) -> anyhow::Result<Self> {
        let command = format!("stty cols {COLUMNS} rows {ROWS}; exec {command}");
        let mut child = Command::new("script")
            .args(["-qfec", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("there is no `script` to make a pseudo-terminal with")?;
        let keys = child.stdin.take().context("it has no keyboard")?;
        let mut drawn = child.stdout.take().context("it has no screen")?;
        let screen = Arc::new(Mutex::new(Screen::new(COLUMNS, ROWS)));
        let shared = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(read @ 1..) = drawn.read(&mut bytes) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).feed(&bytes[..read]);
            }
        });
        Ok(Terminal { child, keys, screen })
    }

    /// Presses keys.
    ///
    /// # Errors
    /// If the program is gone.
    pub fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// What is drawn now.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).text()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // `q` ends it; if not, the end of its terminal does.
        _ = self.press("q");
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
