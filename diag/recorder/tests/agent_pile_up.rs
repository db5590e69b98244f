//! Callers that do not wait for their answer, as a scraper whose time-out is shorter than a capture: they cost
//! the service no thread and no memory each, and an honest caller is answered in between.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use diag_test_support::http::{connect, get};

/// So many that a capture takes longer than these callers wait.
const TASKS: usize = 60_000;
const AT_ONCE: usize = 10;
const ROUNDS: usize = 100;

#[test]
fn impatient_callers_cost_two_captures_at_most() {
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).parked(0).start();
    let addr = guard.agent_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _runtime = runtime.enter();
    for _ in 0..TASKS {
        diag::spawn(std::future::pending::<()>());
    }

    // Names are looked up, buffers are grown: what a capture takes for good it has taken then.
    for _ in 0..3 {
        assert_eq!(get(addr, "/snapshot").status, 200);
    }
    let (before, one) = (now("VmRSS:"), peak_of(|| assert_eq!(get(addr, "/snapshot").status, 200)));
    let threads = now("Threads:");
    let mut most_threads = 0;
    let peak = peak_of(|| {
        for round in 0..ROUNDS {
            let hasty: Vec<TcpStream> = (0..AT_ONCE).map(|_| hasty(addr, round)).collect();
            thread::sleep(Duration::from_millis(20));
            drop(hasty);
            most_threads = most_threads.max(now("Threads:"));
            if round % 10 == 9 {
                assert_eq!(get(addr, "/snapshot").status, 200, "an honest caller");
            }
        }
    });
    assert!(most_threads <= threads + 1, "{threads} threads became {most_threads}");
    // In KiB, with some room for what the allocator makes of it.
    let most = before + 2 * one.saturating_sub(before) + 16 * 1024;
    assert!(peak <= most, "{before} KiB at rest, {one} KiB with one capture, {peak} KiB with a crowd");
}

/// A caller that asks for one thing or the other.
fn hasty(addr: SocketAddr, round: usize) -> TcpStream {
    let path = ["/snapshot", "/dump", "/metrics"][round % 3];
    let mut stream = connect(addr);
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    stream
}

/// The largest resident memory while this runs, KiB.
fn peak_of(work: impl FnOnce()) -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    work();
    now("VmHWM:")
}

/// A figure of this process.
fn now(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}
