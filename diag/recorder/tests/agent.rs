//! The agent over real sockets: what it answers, and to whom.

use std::net::TcpListener;

use diag_test_support::http::{ask, get_with};

#[test]
fn the_agent() {
    // Port 0 would do for the test, but a busy port is what has to give way.
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard =
        diag::Builder::new().service("tested").addr(busy.local_addr().unwrap()).token("secret").start();
    let addr = guard.agent_addr().unwrap();
    assert_ne!(addr, busy.local_addr().unwrap());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        diag::spawn(std::future::pending::<()>());
    });
    const FINE: &str = "Host: localhost:9797\r\nAuthorization: Bearer secret\r\n";
    let get = |path: &str, headers: &str| get_with(addr, path, headers);

    let answer = get("/snapshot", FINE);
    let (snapshot, damage) = diag_snapshot::read(&answer.body).unwrap();
    assert_eq!((answer.status, damage.len()), (200, 0));
    assert_eq!((snapshot.process.service.as_str(), snapshot.tasks.len()), ("tested", 1));

    let answer = get("/dump", FINE);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("agent.rs:"));

    let answer = get("/metrics", FINE);
    assert!(answer.status == 200 && answer.text().ends_with("# EOF\n"), "{}", answer.text());
    assert!(answer.text().contains("diag_tasks{site=\"diag/recorder/tests/agent.rs:"), "{}", answer.text());
    let answer = get("/metrics", &format!("{FINE}Accept: text/plain\r\n"));
    assert!(
        answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        answer.head
    );
    assert!(answer.text().contains("# TYPE diag_tasks_spawned_total counter\n"), "{}", answer.text());

    // This service has another allocator.
    for path in ["/debug/pprof/heap", "/export/collapsed"] {
        let answer = get(path, FINE);
        assert!(answer.status == 404 && answer.text().starts_with("the heap is not recorded"), "{path}");
    }
    let index = get("/debug/pprof/", FINE);
    let listed: Vec<&str> = index.text().lines().filter(|line| line.starts_with('/')).collect();
    assert!(!listed.is_empty() && !index.text().contains("/debug/pprof/heap"), "{}", index.text());
    for line in listed {
        let path = line.split(' ').next().unwrap().replace("seconds=30", "seconds=1");
        assert_eq!(get(&path, FINE).status, 200, "{path}");
    }

    assert_eq!(get("/healthz", FINE).text(), "ok\n");
    let answer = get("/healthz?verbose", FINE);
    assert!(answer.text().starts_with("ok\nagent: works\n"), "{}", answer.text());
    assert!(answer.text().contains("\nfiles: off (no DIAG_DIR)\n"), "{}", answer.text());
    assert_eq!(get("/nothing", FINE).status, 404);
    assert_eq!(ask(addr, &format!("POST /dump HTTP/1.1\r\n{FINE}\r\n")).unwrap().status, 405);

    assert_eq!(get("/dump", "Host: svc.example\r\nAuthorization: bearer secret\r\n").status, 200);
    assert_eq!(get("/dump", "Authorization: Bearer secret\r\n").status, 403, "no Host at all");
    assert_eq!(get("/dump", "Host: a\r\nHost: b\r\nAuthorization: Bearer secret\r\n").status, 400);
    assert_eq!(get("/dump", "Host: localhost\r\nAuthorization: Bearer secreT\r\n").status, 401);
    assert_eq!(get("/dump", "Host: localhost\r\n").status, 401);
    let answer = get("/dump", &format!("{FINE}Sec-Fetch-Site: cross-site\r\n"));
    assert!(answer.status == 403 && answer.text().contains("another site"), "{}", answer.text());

    // Each of these ends with an answer, although the agent does not read all that is sent.
    let long = "x".repeat(1 << 20);
    assert_eq!(ask(addr, &format!("GET / HTTP/1.1\r\n{FINE}X: {long}\r\n\r\n")).unwrap().status, 431);
    let posted = format!("POST /dump HTTP/1.1\r\n{FINE}Content-Length: 99999999\r\n\r\n{}", &long[..500_000]);
    assert_eq!(ask(addr, &posted).unwrap().status, 405);
    assert_eq!(ask(addr, "nonsense\r\n\r\n").unwrap().status, 400);

    assert_eq!(diag::Builder::new().start().problems()[0].kind(), diag::ProblemKind::AlreadyStarted);
    diag::init();
}
