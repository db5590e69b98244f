//! What captures of all kinds leave in the memory of a service that idles.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use diag_analysis::Analysis;
use diag_analysis::memory_breakdown::MemoryBreakdown;
use diag_test_support::folder::Folder;
use diag_test_support::memory::{anonymous_bytes, settled};

const MIB: i64 = 1 << 20;
/// All that captures may keep.
const KEPT_BYTES: i64 = 4 * MIB;
const EVERY: Duration = Duration::from_millis(200);

/// Asks for these again and again, beside a series of files and captures of the service's own. So much may be taken for the
/// service's between two captures of an idle one.
pub(crate) fn captures_keep_little(paths: &[&str], unaccounted_mib: i64) {
    let dir = Folder::new("capture-memory");
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let builder = diag::Builder::new().addr(addr).heap_rate(16 << 10);
    let guard = builder.dir(&*dir).every(EVERY).keep(5).start();
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
        for path in paths {
            assert!(ask(agent, path) > 100, "{path}");
        }
        let kept = settled(before + KEPT_BYTES) - before;
        assert!(kept <= KEPT_BYTES, "{} KiB after {} captures", kept >> 10, (round + 1) * paths.len());
        splits.push(Analysis::new(diag::snapshot().into_model()).memory().expect("Linux tells").clone());
    }
    // The first captures are where names are met first.
    let [first, .., last] = &splits[..] else { panic!("some rounds") };
    let more = last.unaccounted_bytes - first.unaccounted_bytes;
    assert!(more.abs() <= unaccounted_mib * MIB, "{} KiB: {first:#?} {last:#?}", more >> 10);
    let files = std::fs::read_dir(&dir).map_or(0, Iterator::count);
    assert!(files >= 3, "{files} files beside that");
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
