//! A snapshot before the end, and whatever was to happen then happens all the same: handlers that were there run, default
//! actions are taken, exit codes are what they are. Each in a process of its own, which really ends.
#![cfg(all(feature = "agent", target_os = "linux"))]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, exit};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;
use std::{fs, mem, panic, ptr, thread};

use diag::{Guard, Trigger};
use diag_snapshot::Snapshot;
use diag_test_support::again::again;
use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;
use diag_test_support::http;

/// What the child is to do, and in which folder.
const CHILD: &str = "LAST_SNAPSHOT_CHILD";
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the calling test again, with its folder, and gives how that ended.
fn child(test: &str, folder: &Path) -> ExitStatus {
    let ended = again(test).env(CHILD, folder).output().expect("it runs");
    assert!(
        ended.status.code() != Some(101),
        "{}\n{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    ended.status
}

/// The folder of a child; `None` in the test itself.
fn child_of() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

fn start(dir: &Path, triggers: &[Trigger]) -> Guard {
    let builder = diag::Builder::new().service("ending").env(false).addr(([127, 0, 0, 1], 0)).dir(dir);
    let guard = builder.every(Duration::from_secs(3_600)).last(triggers.iter().copied()).start();
    assert!(guard.problems().is_empty(), "{:?}", guard.problems());
    guard
}

/// The snapshot that was kept for a trigger.
fn kept(dir: &Path, trigger: &str) -> Option<Snapshot> {
    let end = format!("-last-{trigger}.diag");
    let mut paths = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let (snapshot, damages) =
        diag_snapshot::file::read(&paths.find(|path| path.to_string_lossy().ends_with(&end))?).ok()?;
    assert!(damages.is_empty() && snapshot.process.service == "ending");
    assert_eq!(snapshot.capture.cause.as_ref()?.trigger, trigger);
    Some(snapshot)
}

fn wait_for(dir: &Path, trigger: &str) -> Snapshot {
    eventually(PATIENCE, "it is kept", || {
        kept(dir, trigger).ok_or_else(|| fs::read_dir(dir).map(Iterator::count))
    })
}

/// The last signal that a handler of the service's has seen.
static SEEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn see(signal: libc::c_int) {
    SEEN.store(signal, Ordering::Relaxed);
}

fn handle(signal: libc::c_int) {
    // SAFETY: a valid action, whose handler touches an atomic.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = see as extern "C" fn(libc::c_int) as libc::sighandler_t;
        assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
    }
}

fn send(signal: libc::c_int) {
    // SAFETY: a signal to this process.
    unsafe { libc::kill(libc::getpid(), signal) };
}

fn wait_for_ever() -> ! {
    thread::sleep(2 * PATIENCE);
    exit(1)
}

#[test]
fn a_signal_reaches_the_handler_that_was_there() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-signal");
        assert_eq!(child("a_signal_reaches_the_handler_that_was_there", &folder).code(), Some(0));
        return;
    };
    handle(libc::SIGUSR1);
    let _guard = start(&dir, &[Trigger::Signal(libc::SIGUSR1), Trigger::Signal(libc::SIGUSR2)]);
    send(libc::SIGUSR1);
    let cause = wait_for(&dir, "signal").capture.cause.expect("a cause");
    assert_eq!(cause.source, format!("signal {}", libc::SIGUSR1));
    assert_eq!(SEEN.load(Ordering::Relaxed), libc::SIGUSR1);
    // Nobody handles this one: it would end the process.
    send(libc::SIGUSR2);
    eventually(PATIENCE, "it is kept", || {
        let source = kept(&dir, "signal").and_then(|snapshot| Some(snapshot.capture.cause?.source));
        if source == Some(format!("signal {}", libc::SIGUSR2)) { Ok(()) } else { Err(source) }
    });
    assert_eq!(SEEN.load(Ordering::Relaxed), libc::SIGUSR1);
    exit(0);
}

#[test]
fn sigterm_ends_the_process_as_it_would() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-term");
        assert_eq!(child("sigterm_ends_the_process_as_it_would", &folder).signal(), Some(libc::SIGTERM));
        assert!(kept(&folder, "term").is_some());
        return;
    };
    let _guard = start(&dir, &[Trigger::Terminate]);
    send(libc::SIGTERM);
    wait_for_ever();
}

#[test]
fn sigterm_reaches_the_handler_that_was_there() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-term-handled");
        assert_eq!(child("sigterm_reaches_the_handler_that_was_there", &folder).code(), Some(7));
        return;
    };
    handle(libc::SIGTERM);
    let _guard = start(&dir, &[Trigger::Terminate]);
    send(libc::SIGTERM);
    wait_for(&dir, "term");
    // The second time as well.
    SEEN.store(0, Ordering::Relaxed);
    send(libc::SIGTERM);
    eventually(PATIENCE, "it is handled", || match SEEN.load(Ordering::Relaxed) {
        libc::SIGTERM => Ok(()),
        other => Err(other),
    });
    exit(7);
}

/// tokio's handler calls the one before it, which then must not end the process.
#[test]
fn sigterm_leaves_a_later_handler_its_way() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-term-later");
        assert_eq!(child("sigterm_leaves_a_later_handler_its_way", &folder).code(), Some(9));
        return;
    };
    let _guard = start(&dir, &[Trigger::Terminate]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let kind = tokio::signal::unix::SignalKind::terminate();
        let mut asked = tokio::signal::unix::signal(kind).expect("a handler");
        send(libc::SIGTERM);
        asked.recv().await.expect("it comes");
    });
    wait_for(&dir, "term");
    // Whoever took the default action would have by the time that a second one is kept.
    fs::remove_dir_all(&dir).expect("the files go");
    eventually(PATIENCE, "another one", || {
        send(libc::SIGTERM);
        thread::sleep(Duration::from_millis(20));
        kept(&dir, "term").ok_or(())
    });
    exit(9);
}

/// As without diag: it has no thread that could take a snapshot.
#[test]
fn a_forked_child_is_ended_at_once() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-fork");
        assert_eq!(child("a_forked_child_is_ended_at_once", &folder).code(), Some(0));
        assert!(kept(&folder, "term").is_none());
        return;
    };
    let _guard = start(&dir, &[Trigger::Terminate]);
    let mut status = 0;
    // SAFETY: the child makes system calls only.
    unsafe {
        let forked = libc::fork();
        if forked == 0 {
            libc::kill(libc::getpid(), libc::SIGTERM);
            libc::sleep(120);
            libc::_exit(1);
        }
        assert_eq!(libc::waitpid(forked, &raw mut status, 0), forked);
    }
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM, "{status}");
    exit(0);
}

#[test]
fn a_panic_reaches_the_hook_that_was_there() {
    static WAS_KEPT: AtomicBool = AtomicBool::new(false);
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-panic");
        assert_eq!(child("a_panic_reaches_the_hook_that_was_there", &folder).code(), Some(0));
        return;
    };
    let seen = dir.clone();
    panic::set_hook(Box::new(move |_| WAS_KEPT.store(kept(&seen, "panic").is_some(), Ordering::Relaxed)));
    let _guard = start(&dir, &[Trigger::Panic]);
    let panics = || thread::spawn(|| panic!("as a test")).join().is_err();
    assert!(panics() && WAS_KEPT.load(Ordering::Relaxed), "the snapshot is there when the hook runs");
    let source = wait_for(&dir, "panic").capture.cause.expect("a cause").source;
    assert!(source.contains("last_snapshot.rs:"), "{source}");
    // The next one is too soon, and counted.
    assert!(panics());
    let dropped = diag::snapshot().into_model().capture.dropped;
    assert_eq!(dropped.get("last_snapshots_too_soon"), Some(&1), "{dropped:?}");
    exit(0);
}

#[test]
fn an_exit_keeps_its_code() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-exit");
        assert_eq!(child("an_exit_keeps_its_code", &folder).code(), Some(3));
        assert!(kept(&folder, "exit").is_some());
        return;
    };
    let _guard = start(&dir, &[Trigger::Exit]);
    exit(3);
}

#[test]
fn nothing_is_kept_that_nobody_asked_for() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-off");
        assert_eq!(child("nothing_is_kept_that_nobody_asked_for", &folder).signal(), Some(libc::SIGTERM));
        assert!(folder.names().is_empty(), "{:?}", folder.names());
        return;
    };
    let guard = start(&dir, &[]);
    let addr = guard.agent_addr().expect("it listens");
    let health = http::get(addr, "/healthz?verbose");
    assert!(health.text().contains("last snapshot: off (no DIAG_LAST)\n"), "{}", health.text());
    assert!(post(addr).contains("404"));
    let _ = thread::spawn(|| panic!("as a test")).join();
    send(libc::SIGTERM);
    wait_for_ever();
}

/// The answer to `POST /last`.
fn post(addr: std::net::SocketAddr) -> String {
    use std::io::{Read as _, Write as _};
    let mut caller = http::connect(addr);
    let request =
        format!("POST /last HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    caller.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    caller.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn who_asks_gets_the_path_and_a_budget_tells_its_gap() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-http");
        assert_eq!(child("who_asks_gets_the_path_and_a_budget_tells_its_gap", &folder).code(), Some(0));
        return;
    };
    let guard = start(&dir, &[Trigger::Http, Trigger::Budget(1)]);
    let cause = wait_for(&dir, "budget").capture.cause.expect("a cause");
    assert!(cause.used_bytes > Some(1 << 20) && cause.source == "/proc/self/statm", "{cause:?}");
    assert_eq!((cause.limit_bytes, cause.gap_bytes), (Some(1), Some(0)));
    let first = eventually(PATIENCE, "the first of the day", || {
        let names = fs::read_dir(&dir).expect("a folder").flatten().map(|entry| entry.path());
        names.into_iter().find(|path| path.to_string_lossy().contains("/ending-day-")).ok_or(())
    });
    let (first, _) = diag_snapshot::file::read(&first).expect("a snapshot");
    assert_eq!(first.capture.cause.expect("a cause").trigger, "first");

    let addr = guard.agent_addr().expect("it listens");
    let answer = post(addr);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("-last-http.diag\n"), "{answer}");
    assert_eq!(wait_for(&dir, "http").capture.cause.expect("a cause").source, "POST /last");
    let is_of_series =
        |name: String| name.ends_with(".diag") && !name.contains("-last-") && !name.contains("-day-");
    let names = fs::read_dir(&dir).expect("a folder").flatten().map(|entry| entry.file_name());
    assert_eq!(
        names.filter_map(|name| name.into_string().ok()).filter(|name| is_of_series(name.clone())).count(),
        0
    );
    exit(0);
}

#[test]
fn five_failures_open_the_fuse_and_each_is_counted() {
    let Some(dir) = child_of() else {
        let folder = Folder::new("last-fuse");
        assert_eq!(child("five_failures_open_the_fuse_and_each_is_counted", &folder).code(), Some(0));
        return;
    };
    let in_the_way = dir.join("file");
    fs::write(&in_the_way, "in the way").expect("a file");
    let guard = start(&in_the_way, &[Trigger::Http]);
    let addr = guard.agent_addr().expect("it listens");
    let health = || http::get(addr, "/healthz?verbose").text().to_owned();
    assert!(health().contains("last snapshot: works\n"));
    for _ in 0..5 {
        let answer = post(addr);
        assert!(answer.starts_with("HTTP/1.1 503") && !answer.contains("five in a row"), "{answer}");
    }
    assert!(health().contains("last snapshot: failed (a last snapshot could not be kept: "), "{}", health());
    // The way is free, but nothing is tried.
    fs::remove_file(&in_the_way).expect("it goes");
    let answer = post(addr);
    assert!(answer.contains("five in a row failed"), "{answer}");
    let capture = diag::snapshot().into_model().capture;
    assert_eq!(capture.dropped.get("last_snapshots_dropped"), Some(&6), "{:?}", capture.dropped);
    exit(0);
}
