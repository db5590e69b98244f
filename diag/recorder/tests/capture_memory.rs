//! Captures of every kind, any number of them, keep a few MiB and no more, which the split of resident memory calls ours.
#![cfg(all(feature = "agent", target_os = "linux"))]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use diag_analysis::Analysis;
use diag_analysis::memory_breakdown::MemoryBreakdown;
use diag_test_support::memory::{anonymous_bytes, settled};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const MIB: i64 = 1 << 20;
/// All that captures may keep.
const KEPT_BYTES: i64 = 4 * MIB;
/// What may be taken for the service's between two captures of an idle one.
const UNACCOUNTED_BYTES: i64 = 2 * MIB;
const PATHS: [&str; 4] = ["/snapshot", "/dump", "/metrics", "/debug/pprof/heap"];

#[test]
fn captures_keep_little() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let guard = diag::Builder::new().addr(addr).heap_rate(16 << 10).start();
    let agent = guard.agent_addr().expect("there is an agent");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let held: Vec<Vec<u8>> = runtime.block_on(async {
        for n in 0..2_000 {
            diag::spawn(async move { tokio::time::sleep(Duration::from_secs(3_600 + n)).await });
        }
        (0..10_000).map(|n| vec![1; 500 + n % 3_000]).collect()
    });
    std::thread::sleep(Duration::from_millis(200));
    let before = anonymous_bytes();
    let mut splits: Vec<MemoryBreakdown> = Vec::new();
    for round in 0..12 {
        for path in PATHS {
            assert!(ask(agent, path) > 100, "{path}");
        }
        let kept = settled(before + KEPT_BYTES) - before;
        assert!(kept <= KEPT_BYTES, "{} KiB after {} captures", kept >> 10, (round + 1) * PATHS.len());
        splits.push(Analysis::new(diag::snapshot().into_model()).memory().expect("Linux tells").clone());
    }
    // The first captures are where names are met first.
    let [first, .., last] = &splits[..] else { panic!("some rounds") };
    let more = last.unaccounted_bytes - first.unaccounted_bytes;
    assert!(more.abs() <= UNACCOUNTED_BYTES, "{} KiB: {first:#?} {last:#?}", more >> 10);
    drop(held);
}

/// Asks the agent; gives the size of its answer.
fn ask(agent: SocketAddr, path: &str) -> usize {
    let mut stream = TcpStream::connect(agent).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = [0; 4_096];
    let mut bytes = 0;
    // Without room for all of it, which would be memory of ours.
    while let Ok(read @ 1..) = stream.read(&mut answer) {
        assert!(bytes > 0 || answer.starts_with(b"HTTP/1.1 200"), "{path}");
        bytes += read;
    }
    bytes
}
