//! A task that waits inside of a poll, in calls that a signal would end: captures name the line, and end none.
#![cfg(all(feature = "heap", target_os = "linux", target_arch = "x86_64"))]

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::Snapshot;

const WAIT: Duration = Duration::from_millis(600);

fn failed(answer: libc::c_int) -> Option<std::io::ErrorKind> {
    (answer == -1).then(|| std::io::Error::last_os_error().kind())
}

/// How many of these were seen.
static SEEN: AtomicUsize = AtomicUsize::new(0);
/// The lines that wait.
const LINES: [(&str, u32); 3] = [("reads", line!() + 4), ("polls", line!() + 10), ("sleeps", line!() + 16)];

#[inline(never)]
fn reads(stream: &mut TcpStream) -> Option<std::io::ErrorKind> {
    stream.read(&mut [0]).err().map(|error| error.kind())
}

#[inline(never)]
fn polls() -> Option<std::io::ErrorKind> {
    // SAFETY: no descriptors.
    failed(unsafe { libc::poll(std::ptr::null_mut(), 0, WAIT.as_millis() as libc::c_int) })
}

#[inline(never)]
fn sleeps() -> Option<std::io::ErrorKind> {
    // SAFETY: no preconditions.
    failed(unsafe { libc::usleep(WAIT.as_micros() as libc::c_uint) })
}

/// The place of the held-up task's own code, as function and line of this file.
fn place(snapshot: &Snapshot) -> Option<(String, u32)> {
    let names = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let stack = snapshot.threads.iter().next()?.stack?;
    let is_ours = |file: &str| file.ends_with("held_up_asleep.rs");
    let place = names.stack(stack).find(|place| place.file.as_deref().is_some_and(is_ours))?;
    Some((place.function.rsplit("::").next()?.to_owned(), place.line?))
}

#[test]
fn a_task_that_waits_in_a_poll_is_named_and_left_alone() {
    diag::Builder::new().agent(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let _guard = runtime.enter();
    // Each waits again until it was seen: on a busy machine a capture may take longer than one wait.
    let task = diag::spawn(async move {
        let mut waits: [&mut dyn FnMut() -> Option<std::io::ErrorKind>; 3] =
            [&mut || reads(&mut stream), &mut polls, &mut sleeps];
        let mut results = Vec::new();
        for (place, wait) in waits.iter_mut().enumerate() {
            while SEEN.load(Ordering::Relaxed) <= place && results.len() < 100 {
                results.push((LINES[place].0, wait()));
            }
        }
        results
    });

    let mut places = Vec::new();
    while !task.is_finished() {
        places.extend(place(&diag::snapshot().into_model()));
        let is_seen = |(function, line): &&(&str, u32)| {
            places.iter().filter(|(name, at)| name == function && at == line).count() >= 5
        };
        SEEN.store(LINES.iter().take_while(is_seen).count(), Ordering::Relaxed);
    }
    let interrupted = diag::snapshot()
        .into_model()
        .capture
        .dropped
        .get("system_calls_interrupted")
        .copied()
        .unwrap_or_default();
    let results = runtime.block_on(task).unwrap();
    let ended = results.iter().filter(|(_, error)| *error == Some(std::io::ErrorKind::Interrupted)).count();
    assert_eq!(ended as u64, interrupted, "what slipped is counted: {results:?}");
    assert_eq!(ended, 0, "{results:?}");
    assert_eq!(results[0], ("reads", Some(std::io::ErrorKind::WouldBlock)));
    assert_eq!(SEEN.load(Ordering::Relaxed), LINES.len(), "{places:?}");
}
