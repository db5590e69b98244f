//! A task that waits inside of a poll on a machine without a core to spare: when it is woken it is ready to run, and still
//! in its system call. Captures end none of these calls.
#![cfg(all(feature = "heap", target_os = "linux", target_arch = "x86_64"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// As a driver does that waits for its device.
const WAIT_MS: libc::c_int = 5;
const TIME: Duration = Duration::from_secs(5);

#[test]
fn a_thread_that_waits_for_a_core_gets_no_signal() {
    diag::Builder::new().agent(false).init();
    let is_over = Arc::new(AtomicBool::new(false));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let busy: Vec<_> = (0..3 * cores)
        .map(|_| {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || while !is_over.load(Ordering::Relaxed) {})
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _in_runtime = runtime.enter();
    let task = diag::spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            let (mut waits, mut ended) = (0_u64, 0_u64);
            while !is_over.load(Ordering::Relaxed) {
                // SAFETY: no descriptors.
                let answer = unsafe { libc::poll(std::ptr::null_mut(), 0, WAIT_MS) };
                waits += 1;
                ended += u64::from(answer == -1);
            }
            (waits, ended)
        }
    });
    let started = Instant::now();
    let (mut captures, mut seen) = (0_u64, 0_u64);
    // On a busy machine few captures find it with a stack.
    while started.elapsed() < TIME || seen <= 5 && started.elapsed() < 20 * TIME {
        captures += 1;
        seen += u64::from(diag::snapshot().into_model().threads.iter().any(|thread| thread.stack.is_some()));
    }
    is_over.store(true, Ordering::Relaxed);
    let (waits, ended) = runtime.block_on(task).expect("it ends");
    busy.into_iter().for_each(|thread| thread.join().expect("it ends"));
    assert!(waits > 50 && seen > 5, "{captures} captures, {seen} with a stack, {waits} waits");
    assert_eq!(ended, 0, "of {waits} waits, in {captures} captures");
}
