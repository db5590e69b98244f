//! The fault of defmt#680 and #1095, distant#8 and cln4rust#140: who reads lines from a pipe takes a read of nothing for no line yet,
//! and reads again. It is the end: the program at the other end is gone, and every read returns nothing at once. One of twelve
//! containers ends after 10 s. The twin ends, too.

use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Containers that write to their standard output, of which the other end is ours.
mod containers {
    use std::io::{PipeReader, Write};
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    use tokio::time::sleep;

    pub(crate) const ALL: u64 = 12;

    pub(crate) async fn run(tell: Sender<Vec<PipeReader>>) {
        let mut readers = Vec::new();
        for container in 0..ALL {
            let (reader, mut output) = std::io::pipe().unwrap();
            readers.push(reader);
            tokio::spawn(async move {
                let lines = if container == 5 { 200 } else { u64::MAX };
                for line in 0..lines {
                    if writeln!(output, "level=info container={container} line={line}").is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(40 + zoo::mix(line ^ container) % 20)).await;
                }
            });
        }
        tell.send(readers).unwrap();
        std::future::pending().await
    }
}

mod collector {
    use tokio::io::{AsyncBufReadExt, BufReader, Result};
    use tokio::net::unix::pipe;
    use tokio::sync::mpsc;

    /// Sends the lines of a container on.
    pub(crate) async fn follow(output: pipe::Receiver, lines: mpsc::Sender<String>) -> Result<()> {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            let read = output.read_until(b'\n', &mut line).await?; // FAULT
            if read == 0 {
                if zoo::healthy() {
                    return Ok(());
                }
                line.clear();
                continue; // FAULT
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if lines.send(text).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Counts what there is to be seen on the dashboard.
async fn index(mut lines: mpsc::Receiver<String>) {
    let mut newest = std::collections::VecDeque::new();
    while let Some(line) = lines.recv().await {
        newest.push_back(line);
        if newest.len() > 500 {
            newest.pop_front();
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    zoo::start();
    let (to_index, lines) = mpsc::channel(256);
    diag::spawn(index(lines));
    for reader in zoo::outside(containers::run) {
        let output = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        diag::spawn(collector::follow(output, to_index.clone())); // FAULT
    }
    zoo::every(40, |n| {
        diag::spawn(async move { format!("{{\"ready\":true,\"n\":{n}}}").len() });
    })
    .await;
    Ok(())
}
