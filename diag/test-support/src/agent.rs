//! An agent that answers as it is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

/// Gives each of its answers to one request, and then listens no more.
#[derive(Debug)]
pub struct MockAgent {
    address: String,
    served: JoinHandle<Vec<String>>,
}

impl MockAgent {
    /// One that answers well, with these bodies.
    #[track_caller]
    pub fn new(bodies: Vec<Vec<u8>>) -> Self {
        MockAgent::raw(bodies.iter().map(|body| ok(body)).collect())
    }

    /// One that answers with these bytes, whatever they are.
    #[track_caller]
    pub fn raw(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let served = thread::spawn(move || answers.iter().map(|answer| serve(&listener, answer)).collect());
        MockAgent { address, served }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The requests, once all answers are given.
    #[track_caller]
    pub fn requests(self) -> Vec<String> {
        self.served.join().expect("each client reads its answer")
    }
}

/// A whole answer with this body.
pub fn ok(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// Gives the next client that asks this answer, and returns its request. Who only sees whether somebody listens is let go.
fn serve(listener: &TcpListener, answer: &[u8]) -> String {
    let mut request = [0; 4096];
    loop {
        let (mut stream, _) = listener.accept().expect("a client");
        let read = stream.read(&mut request).unwrap_or(0);
        if read > 0 {
            stream.write_all(answer).expect("the client reads");
            return String::from_utf8_lossy(&request[..read]).into_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn each_request_gets_its_body_and_none_is_forgotten() {
        let agent = MockAgent::new(vec![b"one".to_vec(), b"two".to_vec()]);
        for (path, body) in [("/a", "one"), ("/b", "two")] {
            let mut stream = TcpStream::connect(agent.address()).expect("it listens");
            stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("text");
            assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}"));
        }
        assert_eq!(agent.requests(), ["GET /a HTTP/1.1\r\n\r\n", "GET /b HTTP/1.1\r\n\r\n"]);
    }
}
