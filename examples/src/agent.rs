//! A caller of a service's agent.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Has the agent there take a snapshot, on its own thread, and fetches the file.
///
/// # Errors
/// If there is no agent, if it says nothing for `patience`, or if it gives no snapshot.
pub fn snapshot_file(addr: SocketAddr, patience: Duration) -> anyhow::Result<Vec<u8>> {
    file(addr, "/snapshot", patience)
}

/// Fetches what the agent there has at a path.
///
/// # Errors
/// As [`snapshot_file`].
pub fn file(addr: SocketAddr, path: &str, patience: Duration) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&addr, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the agent gave no snapshot");
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("the answer has no end of its head")?;
    Ok(answer.split_off(head + 4))
}
