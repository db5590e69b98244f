//! The log: a line of JSON for each check, with the six keys that collectors of logs ask for.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::report::{Outcome, Report};

/// A line of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When it was written, in UTC.
    pub timestamp: jiff::Timestamp,
    /// `info`, or `warn` of what did not go well.
    pub level: String,
    /// `mirrorprobe`.
    pub service_name: String,
    /// The check, 32 hexadecimal digits.
    pub trace_id: String,
    /// This line of it, 16 hexadecimal digits.
    pub span_id: String,
    /// What there is to say.
    pub message: String,
}

impl Line {
    fn new(level: &str, trace_id: &str, message: String) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Line {
            timestamp: jiff::Timestamp::now(),
            level: level.to_owned(),
            service_name: "mirrorprobe".to_owned(),
            trace_id: trace_id.to_owned(),
            span_id: format!("{:016x}", NEXT.fetch_add(1, Ordering::Relaxed)),
            message,
        }
    }

    fn of(report: &Report) -> Self {
        let went_well = matches!(report.outcome, Outcome::Answered | Outcome::Cached);
        Line::new(if went_well { "info" } else { "warn" }, &report.id, report.to_string())
    }
}

/// Writes a line for each report, until nobody tells any more.
pub(crate) async fn write(mut reports: Receiver<Arc<Report>>, mut out: impl Write) -> std::io::Result<()> {
    loop {
        let line = match reports.recv().await {
            Ok(report) => Line::of(&report),
            Err(RecvError::Lagged(missed)) => {
                Line::new("warn", &"0".repeat(32), format!("{missed} reports were missed"))
            }
            Err(RecvError::Closed) => return out.flush(),
        };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
        if reports.is_empty() {
            out.flush()?;
        }
    }
}
