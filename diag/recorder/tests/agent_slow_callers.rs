//! Callers that send their request little by little, or not at all, shut nobody out: whoever asks at once is
//! answered at once.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diag_test_support::http::{connect, get, read};

/// Ten times as many as there once were places.
const SLOW: usize = 80;

#[test]
fn who_asks_at_once_is_answered_at_once() {
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let addr = guard.agent_addr().unwrap();
    let (is_over, sent_away) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| trickle(addr, &is_over, &sent_away));
        // For longer than a slow caller is waited for, twice.
        let end = Instant::now() + Duration::from_secs(5);
        let mut slowest = Duration::ZERO;
        while Instant::now() < end {
            let start = Instant::now();
            assert_eq!(get(addr, "/healthz").text(), "ok\n");
            slowest = slowest.max(start.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    });
    assert!(sent_away.into_inner() >= SLOW as u32, "they were let go, and came again");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    // Those that say nothing at all are told that they are too late, and are not reset.
    let mut silent = connect(addr);
    let answer = read(&mut silent).unwrap();
    assert!(answer.status == 408 && answer.text().contains("2 s"), "{answer:?}");
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    drop(silent);
    let mut crowd: Vec<TcpStream> = (0..300).map(|_| connect(addr)).collect();
    assert_eq!(get(addr, "/healthz").status, 200);
    let more = descriptors() - before - crowd.len();
    assert!(more <= 128, "300 callers hold {more} descriptors of the agent");
    assert_eq!(read(&mut crowd[0]).unwrap().status, 408);
}

/// Holds [`SLOW`] connections, sends a byte of a request on each every second, and opens those again that were
/// closed.
fn trickle(addr: SocketAddr, is_over: &AtomicBool, sent_away: &AtomicU32) {
    let open = || {
        let mut stream = connect(addr);
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").map(|()| stream)
    };
    let mut slow: Vec<TcpStream> = (0..SLOW).flat_map(|_| open()).collect();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_secs(1));
        for stream in &mut slow {
            if stream.write_all(b"X").is_err() {
                sent_away.fetch_add(1, Ordering::Relaxed);
                if let Ok(opened) = open() {
                    *stream = opened;
                }
            }
        }
    }
}
