//! The agent still answers when the service has no descriptor left: that is when it is asked.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn it_answers() {
    let few = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: a valid limit; this process has no other test.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &few) }, 0);
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let addr = guard.agent_addr().unwrap();
    assert!(healthz(addr).ends_with("ok\n"), "the agent is up, with its spare descriptor");

    let mut all = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        all.push(file);
    }
    for _ in 0..3 {
        // One for the caller, who lives in this process too; none is left for the agent's side.
        all.pop();
        assert!(healthz(addr).ends_with("ok\n"));
        all.extend(File::open("/dev/null"));
    }
}

fn healthz(addr: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
