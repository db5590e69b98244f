//! A series keeps little memory, also where malloc serves it all: what a capture frees goes back to the system.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::Duration;

use diag_test_support::eventually::Patience;
use diag_test_support::folder::Folder;
use diag_test_support::memory::{anonymous_bytes, settled};

const MIB: i64 = 1 << 20;
/// All that captures may keep.
const KEPT_BYTES: i64 = 4 * MIB;
const EVERY: Duration = Duration::from_millis(200);
const FILES: usize = 20;

#[test]
fn a_series_keeps_little() {
    let dir = Folder::new("files-memory");
    let patience = Patience::new(Duration::from_secs(120));
    let _guard = diag::Builder::new().agent(false).dir(&*dir).every(EVERY).keep(FILES + 1).start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        for n in 0..2_000 {
            diag::spawn(async move { tokio::time::sleep(Duration::from_secs(3_600 + n)).await });
        }
    });
    let before = anonymous_bytes();
    let written = || fs::read_dir(&dir).map_or(0, |files| files.flatten().filter(is_whole).count());
    while written() < FILES {
        patience.check("all files are written", written());
        // Those of the service itself come in between, on threads that end.
        std::thread::spawn(|| drop(diag::snapshot().into_model())).join().expect("it captures");
    }
    let kept = settled(before + KEPT_BYTES) - before;
    assert!(kept <= KEPT_BYTES, "{} KiB after {FILES} files", kept >> 10);
}

fn is_whole(file: &fs::DirEntry) -> bool {
    file.path().extension().is_some_and(|kind| kind == "diag")
}
