//! Captures of every kind, any number of them, keep a few MiB and no more, which the split of resident memory calls ours,
//! also where malloc serves all that they allocate.
#![cfg(all(feature = "agent", target_os = "linux"))]

mod kept;

#[test]
fn captures_keep_little_in_malloc() {
    kept::captures_keep_little(&["/snapshot", "/dump", "/metrics"]);
}
