//! Captures of every kind, any number of them, keep a few MiB and no more, also where malloc serves all that they allocate.
#![cfg(all(feature = "agent", target_os = "linux"))]

mod kept;

#[test]
fn captures_keep_little_in_malloc() {
    // All that is kept: malloc does not tell whose its memory is. It was up to 3 MiB.
    kept::captures_keep_little(&["/snapshot", "/dump", "/metrics"], 4);
}
