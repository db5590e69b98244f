//! The agent over real sockets: what it answers, to whom, and that it cannot be worn down.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

fn ask(addr: SocketAddr, request: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(head + 4))
}

fn get(addr: SocketAddr, path: &str, headers: &str) -> (u16, Vec<u8>) {
    ask(addr, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n"))
}

#[test]
fn the_agent() {
    // Port 0 would do for the test, but a busy port is what has to give way.
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard =
        diag::Builder::new().service("tested").addr(busy.local_addr().unwrap()).token("secret").try_init();
    let addr = guard.unwrap().agent_addr().unwrap();
    assert_ne!(addr, busy.local_addr().unwrap());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        diag::spawn(std::future::pending::<()>());
    });
    const FINE: &str = "Host: localhost:9797\r\nAuthorization: Bearer secret\r\n";

    let (status, bytes) = get(addr, "/snapshot", FINE);
    let (snapshot, damage) = diag_snapshot::read(&bytes).unwrap();
    assert_eq!((status, damage.len()), (200, 0));
    assert_eq!((snapshot.process.service.as_str(), snapshot.tasks.len()), ("tested", 1));

    let (status, text) = get(addr, "/dump", FINE);
    assert_eq!(status, 200);
    assert!(String::from_utf8(text).unwrap().contains("agent.rs:"));

    let (status, text) = get(addr, "/metrics", FINE);
    let text = String::from_utf8(text).unwrap();
    assert!(status == 200 && text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("diag_tasks{site=\"diag/tests/agent.rs:"), "{text}");
    // This service has another allocator.
    let (status, text) = get(addr, "/debug/pprof/heap", FINE);
    assert!(status == 404 && text.starts_with(b"the heap is not recorded"));

    assert_eq!(get(addr, "/healthz", FINE), (200, b"ok\n".to_vec()));
    let (status, text) = get(addr, "/healthz?verbose", FINE);
    let text = String::from_utf8(text).unwrap();
    assert!(status == 200 && text.starts_with("ok\nagent: works\nfiles: off (no DIAG_DIR)\n"), "{text}");
    assert_eq!(get(addr, "/nothing", FINE).0, 404);
    assert_eq!(ask(addr, &format!("POST /dump HTTP/1.1\r\n{FINE}\r\n")).0, 405);
    assert_eq!(get(addr, "/dump", "Host: evil.example\r\nAuthorization: Bearer secret\r\n").0, 403);
    assert_eq!(get(addr, "/dump", "Authorization: Bearer secret\r\n").0, 403, "no Host at all");
    assert_eq!(get(addr, "/dump", "Host: localhost\r\nAuthorization: Bearer secreT\r\n").0, 401);
    assert_eq!(get(addr, "/dump", "Host: localhost\r\n").0, 401);

    // Callers that send nothing take places; those who come after are turned away, then served again.
    let idle: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
    drop(idle);
    while std::panic::catch_unwind(|| get(addr, "/healthz", FINE)).is_err() {}

    assert!(matches!(diag::Builder::new().try_init(), Err(diag::InitError::AlreadyInitialized)));
    diag::init();
}
