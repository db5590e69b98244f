//! A caller of the agent: raw sockets, so that it may be as rude as it likes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// As 200.
    pub status: u16,
    /// Status line and headers, in small letters.
    pub head: String,
    /// Whatever follows these.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, which it must be.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// A connection that does not wait for ever.
pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("the agent listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a valid time");
    stream
}

/// Sends `request` and reads until the other side hangs up. An error is a connection that was reset.
pub fn ask(addr: SocketAddr, request: &str) -> io::Result<Answer> {
    let mut stream = connect(addr);
    stream.write_all(request.as_bytes())?;
    read(&mut stream)
}

/// Reads an answer to its end.
pub fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.ok_or(io::ErrorKind::UnexpectedEof)? + 4);
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    Ok(Answer { status: head[9..12].parse().expect("a status"), head, body })
}

/// `GET path` with these headers, each with its line's end.
pub fn get_with(addr: SocketAddr, path: &str, headers: &str) -> Answer {
    ask(addr, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n")).expect("an answer")
}

/// `GET path`, as anybody on this machine asks.
pub fn get(addr: SocketAddr, path: &str) -> Answer {
    get_with(addr, path, "Host: localhost\r\n")
}
