//! The audit log: a line of JSON for each thing done, with the id of the request that asked for it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

/// Lines that may wait to be written; one more is lost, and no request waits for the disk.
const WAITING: usize = 1024;

/// Where what is done is told to.
#[derive(Clone)]
pub(crate) struct Audit(mpsc::Sender<Line>);

#[derive(Serialize)]
struct Line {
    unix_ms: u128,
    request_id: Option<String>,
    action: &'static str,
    key: String,
    outcome: String,
}

impl Audit {
    /// Starts to write into a new file.
    pub(crate) async fn start(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).await.with_context(|| format!("cannot make {}", path.display()))?;
        let (tell, lines) = mpsc::channel(WAITING);
        diag::spawn(write(lines, BufWriter::new(file)));
        Ok(Audit(tell))
    }

    /// Writes down what was done, for the request that is being served here.
    pub(crate) fn tell(&self, action: &'static str, key: &str, outcome: impl ToString) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let line = Line {
            unix_ms: now.as_millis(),
            request_id: diag_tracing::current_trace_id(),
            action,
            key: key.to_owned(),
            outcome: outcome.to_string(),
        };
        // A full queue is the disk's fault, and no reason to fail a request.
        let _ = self.0.try_send(line);
    }
}

async fn write(mut lines: mpsc::Receiver<Line>, mut file: BufWriter<File>) {
    while let Some(line) = lines.recv().await {
        let Ok(mut text) = serde_json::to_vec(&line) else { continue };
        text.push(b'\n');
        if file.write_all(&text).await.is_err() {
            return;
        }
        if lines.is_empty() && file.flush().await.is_err() {
            return;
        }
    }
}
