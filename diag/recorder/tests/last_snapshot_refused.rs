//! What the system refuses of last snapshots is missing and said to be, and the rest is there.
#![cfg(all(feature = "agent", feature = "heap", target_os = "linux", target_arch = "x86_64"))]

mod filter;

use std::path::Path;
use std::process::exit;
use std::thread;
use std::time::Duration;

use diag::Trigger;
use diag_test_support::again::again;
use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;
use diag_test_support::http;
use filter::Who::Process;

const CHILD: &str = "LAST_SNAPSHOT_REFUSED_CHILD";
const SKIPPED: i32 = 77;
const PATIENCE: Duration = Duration::from_secs(60);

/// What is refused, and what the health then says.
const REFUSED: [(&[libc::c_long], &str); 5] = [
    (&[], "last snapshot: works\n"),
    (&[libc::SYS_rt_sigaction], "last snapshot: failed (signal 10 cannot be noticed: "),
    (&[libc::SYS_pread64], "last snapshot: failed (/proc/self/statm cannot be read)"),
    // No file at all: no `/proc`.
    (&[libc::SYS_openat, libc::SYS_open], "last snapshot: failed (resident memory is not told: "),
    // Signals are looked for instead.
    (&[libc::SYS_poll, libc::SYS_ppoll], "last snapshot: works\n"),
];

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves less must say so")]
fn each_part_is_off_alone() {
    if let Ok(child) = std::env::var(CHILD) {
        let (number, folder) = child.split_once(' ').expect("a number and a folder");
        return check(number.parse().expect("a number"), Path::new(folder));
    }
    let mut skipped = 0;
    for (number, (calls, _)) in REFUSED.iter().enumerate() {
        let folder = Folder::new("last-refused");
        let child = format!("{number} {}", folder.display());
        let run = again("each_part_is_off_alone").env(CHILD, child).output().expect("it runs");
        let err = String::from_utf8_lossy(&run.stderr);
        match run.status.code() {
            Some(0) => {}
            Some(SKIPPED) => skipped += 1,
            code => panic!("{calls:?}: {code:?} {err}"),
        }
    }
    if skipped > 0 {
        eprintln!("skipped: {skipped} restrictions, which are not permitted here");
    }
}

fn check(number: usize, folder: &Path) {
    let (calls, expected) = REFUSED[number];
    let has_files = !calls.contains(&libc::SYS_openat);
    if !filter::refuse(Process, calls, libc::EPERM) {
        exit(SKIPPED);
    }
    let builder = diag::Builder::new().env(false).addr(([127, 0, 0, 1], 0)).dir(folder);
    let triggers = [Trigger::Step(1 << 40), Trigger::Signal(libc::SIGUSR1)];
    let guard = builder.every(Duration::from_secs(3_600)).last(triggers).start();
    let text = http::get(guard.agent_addr().expect("it listens"), "/healthz?verbose").text().to_owned();
    assert!(text.contains(expected), "{text}");
    if has_files && !calls.contains(&libc::SYS_rt_sigaction) {
        thread::spawn(|| {
            // SAFETY: a signal to this process, which diag notices.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) }
        });
        let is_kept = |name: &String| name.ends_with("-last-signal.diag");
        eventually(PATIENCE, "the signal's", || {
            let files = std::fs::read_dir(folder).expect("a folder").flatten();
            let names: Vec<_> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
            if names.iter().any(is_kept) { Ok(()) } else { Err(names) }
        });
    }
    exit(0);
}
