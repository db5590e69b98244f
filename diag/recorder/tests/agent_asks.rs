//! The agent has tasks polled where the question says so, and never else.
#![cfg(all(feature = "agent", feature = "stacks", target_os = "linux", target_arch = "x86_64"))]

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use diag_test_support::eventually::eventually;
use diag_test_support::http::{get, get_with};

#[test]
fn tasks_are_polled_by_request() {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let guard = diag::Builder::new().addr(any_port).start();
    let agent = guard.agent_addr().expect("there is an agent");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let polls = Arc::new(AtomicU64::new(0));
    let counted = polls.clone();
    let _inside = runtime.enter();
    let mut kept = Vec::new();
    diag::spawn(poll_fn(move |cx| -> Poll<()> {
        kept.push(cx.waker().clone());
        counted.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }));
    let asked = |path: &str| {
        let answer = get(agent, path);
        assert_eq!(answer.status, 200, "{path}");
        let (snapshot, _) = diag_snapshot::read(&answer.body).expect("a snapshot");
        (snapshot.capture.parked.map_or(0, |parked| parked.asked), polls.load(Ordering::Relaxed))
    };
    eventually(Duration::from_secs(60), "it is polled", || match polls.load(Ordering::Relaxed) {
        0 => Err("never"),
        _ => Ok(()),
    });
    for path in ["/snapshot", "/snapshot?ask=0", "/snapshot?asks=1", "/snapshot?x"] {
        assert_eq!(asked(path), (0, 1), "{path}");
    }
    assert_eq!(asked("/snapshot?x&ask=1"), (1, 2));
    let dump = get(agent, "/dump?ask=1");
    assert!(dump.text().contains("asked 1 task where they wait"), "{}", dump.text());
    assert_eq!(polls.load(Ordering::Relaxed), 3);
    for path in ["/dump", "/metrics", "/debug/pprof/heap", "/healthz?ask=1"] {
        get(agent, path);
    }
    let wrong = get(agent, "/dump?ask=yes");
    assert!(wrong.status == 400 && wrong.text().starts_with("ask is 1"), "{}", wrong.text());
    // What a browser sends for an image: of a page elsewhere, and of one on another port of this machine.
    let from = |site: &str, path| {
        get_with(agent, path, &format!("Host: localhost\r\nSec-Fetch-Site: {site}\r\n")).status
    };
    for site in ["cross-site", "same-site"] {
        assert_eq!((from(site, "/dump?ask=1"), from(site, "/snapshot?ask=1")), (403, 403), "{site}");
    }
    assert_eq!((from("same-site", "/dump"), polls.load(Ordering::Relaxed)), (200, 3));
    assert_eq!((from("none", "/dump?ask=1"), polls.load(Ordering::Relaxed)), (200, 4));
}
