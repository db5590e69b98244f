//! Captures of every kind, any number of them, keep a few MiB and no more, which the split of resident memory calls ours.
#![cfg(all(feature = "agent", target_os = "linux"))]

mod kept;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[test]
fn captures_keep_little() {
    kept::captures_keep_little(&["/snapshot", "/dump", "/metrics", "/debug/pprof/heap"], 2);
}
