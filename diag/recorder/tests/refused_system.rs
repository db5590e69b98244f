//! The system refuses what diag asks of it, a call at a time and all of them: no /proc, filters of system calls, no signal
//! that is free. That part is off, the snapshot and the agent say so, and the service does not notice. Each in a process of
//! its own.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/http.rs"]
mod http;

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diag_snapshot::Snapshot;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "REFUSED_SYSTEM_CHILD";
const TEST: &str = "whatever_is_refused_the_service_goes_on";
const TASKS: usize = 40;

/// Calls that a service can do without, by the names of the manual.
const CALLS: [(&str, i64); 9] = [
    ("openat", libc::SYS_openat),
    ("madvise", libc::SYS_madvise),
    ("mincore", libc::SYS_mincore),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("tgkill", libc::SYS_tgkill),
    ("rt_sigtimedwait", libc::SYS_rt_sigtimedwait),
    ("setpriority", libc::SYS_setpriority),
    ("prlimit64", libc::SYS_prlimit64),
    ("socket", libc::SYS_socket),
];
const ERRORS: [(&str, i32); 2] = [("EPERM", libc::EPERM), ("ENOSYS", libc::ENOSYS)];

const NO_FACTS: [&str; 2] = ["health process facts: failed", "dropped process_facts"];
const NO_SIGNAL: [&str; 2] = ["health stacks of held-up threads: failed", "dropped thread_stacks ("];

#[test]
fn whatever_is_refused_the_service_goes_on() {
    if let Ok(case) = std::env::var(CHILD) {
        return service(&case);
    }
    // The control: what is said below is not said as a rule.
    let calm = run("nothing").expect("it is always allowed");
    for line in [NO_FACTS, NO_SIGNAL].as_flattened() {
        assert!(!calm.contains(line), "{line}: {calm}");
    }
    assert!(calm.contains("threads 2 of them with stacks 2"), "{calm}");
    assert!(calm.contains("health process facts: works"), "{calm}");

    let mut skipped = Vec::new();
    let mut says = |case: &str, expected: &[&str]| match run(case) {
        Some(said) => expected.iter().for_each(|line| assert!(said.contains(line), "{case}, {line}: {said}")),
        None => skipped.push(case.to_owned()),
    };
    for (error, _) in ERRORS {
        for (call, _) in CALLS {
            let expected: &[&str] = match call {
                "openat" => &NO_FACTS,
                "tgkill" => &["dropped thread_stacks (the thread ended, or the system forbids to signal it)"],
                "socket" => &["init the agent could not start"],
                _ => &[],
            };
            says(&format!("{error} {call}"), expected);
        }
        says(&format!("{error} all"), &["dropped process_facts"]);
    }
    says("no /proc", &NO_FACTS);
    says("signals", &NO_SIGNAL);
    if !skipped.is_empty() {
        print_skipped(&skipped);
    }
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn print_skipped(cases: &[String]) {
    eprintln!("skipped {} cases, which this machine does not allow: {}", cases.len(), cases.join(", "));
}

/// Runs the service in a process of its own; what it said, or `None` if the case cannot be had here.
fn run(case: &str) -> Option<String> {
    let itself = std::env::current_exe().expect("this test has a path");
    let mut run = Command::new(itself);
    run.args(["--exact", TEST, "--nocapture", "--test-threads=1"]).env(CHILD, case);
    let run = run.output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{case}: {said} {}", String::from_utf8_lossy(&run.stderr));
    if said.contains("not allowed") {
        return None;
    }
    assert!(said.contains("served"), "{case}: {said}");
    Some(said)
}

/// Takes away what the case says; false if that is not allowed here.
fn refuse(case: &str) -> bool {
    match case.split_once(' ') {
        Some(("no", "/proc")) => leave_proc(),
        Some((error, call)) => {
            let error = ERRORS.iter().find(|(name, _)| *name == error).expect("one of these").1;
            let calls: Vec<i64> =
                CALLS.iter().filter(|(name, _)| call == "all" || *name == call).map(|call| call.1).collect();
            filter(&calls, error)
        }
        None if case == "signals" => take_signals(),
        None => true,
    }
}

/// Forty tasks beside a thread that runs in one poll and one that sleeps in one.
#[expect(clippy::print_stdout, reason = "that is how it answers")]
fn service(case: &str) {
    if !refuse(case) {
        return println!("not allowed");
    }
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let started = diag::Builder::new().addr(any_port).try_init();
    started.as_ref().err().inspect(|error| println!("init {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build();
    let runtime = runtime.expect("a runtime");
    let go_on = Arc::new(AtomicBool::new(true));
    let _inside = runtime.enter();
    let held_up = [true, false].map(|spins| {
        let go_on = go_on.clone();
        diag::spawn(async move { hold_up(&go_on, spins) })
    });
    let (bell, _) = tokio::sync::watch::channel(());
    let task = |n: usize, mut bell: tokio::sync::watch::Receiver<()>| async move {
        let block = black_box(vec![7_u8; 200 << 10]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        bell.changed().await.expect("it is rung");
        n + block.len()
    };
    let tasks: Vec<_> = (0..TASKS).map(|n| diag::spawn(task(n, bell.subscribe()))).collect();
    let snapshot = snapshot_when_held_up();
    assert!(snapshot.tasks.len() >= TASKS, "{} tasks", snapshot.tasks.len());
    assert!(!snapshot.heap.as_ref().expect("it is sampled").samples.is_empty());
    diag_snapshot::read(&diag_snapshot::write(&snapshot)).expect("it is a file like any other");
    snapshot.capture.dropped.keys().for_each(|dropped| println!("dropped {dropped}"));
    let with_stack = snapshot.threads.iter().filter(|thread| thread.stack.is_some()).count();
    println!("threads {} of them with stacks {with_stack}", snapshot.threads.len());
    if let Some(addr) = started.ok().as_ref().and_then(diag::Guard::agent_addr) {
        let health = http::get(addr, "/healthz?verbose");
        health.text().lines().for_each(|line| println!("health {line}"));
    }
    go_on.store(false, Ordering::Relaxed);
    bell.send(()).expect("they listen");
    runtime.block_on(async {
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("it ends as ever"), n + (200 << 10));
        }
        for task in held_up {
            task.await.expect("it ends as ever");
        }
    });
    println!("served");
}

fn hold_up(go_on: &AtomicBool, spins: bool) {
    while go_on.load(Ordering::Relaxed) {
        if spins { std::hint::spin_loop() } else { std::thread::sleep(Duration::from_millis(200)) }
    }
}

/// A snapshot in which the two are held up, and were asked for their stacks; without /proc they are not to be seen.
fn snapshot_when_held_up() -> Snapshot {
    let is_late = |snapshot: &Snapshot| {
        snapshot
            .capture
            .dropped
            .keys()
            .any(|dropped| dropped.contains("did not answer") || dropped.contains("too often"))
    };
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(60));
        let snapshot = diag::snapshot();
        let knows_no_threads = snapshot.capture.dropped.contains_key("process_facts");
        if knows_no_threads || (snapshot.threads.len() == 2 && !is_late(&snapshot)) {
            return snapshot;
        }
    }
    panic!("nobody was found");
}

/// From here on these calls fail, on this thread and those that it starts; false if no filter is allowed.
fn filter(calls: &[i64], error: i32) -> bool {
    let step = |code: u32, k: u32, jt: u8| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    // The number of the call; for each that is refused a jump to the end; then what is allowed, and the end.
    let mut code = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (n, &call) in calls.iter().enumerate() {
        let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        code.push(step(jump, call as u32, (calls.len() - n) as u8));
    }
    let end = libc::BPF_RET | libc::BPF_K;
    code.push(step(end, libc::SECCOMP_RET_ALLOW, 0));
    code.push(step(end, libc::SECCOMP_RET_ERRNO | error as u32, 0));
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    // SAFETY: a filter as the kernel defines them, which it copies.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}

/// Moves to a root folder without any file; false if that is not allowed.
fn leave_proc() -> bool {
    let empty = std::env::temp_dir().join(format!("diag-no-proc-{}", std::process::id()));
    std::fs::create_dir_all(&empty).expect("the temporary folder can be written");
    let is_inside = std::os::unix::fs::chroot(&empty).is_ok() && std::env::set_current_dir("/").is_ok();
    if !is_inside {
        std::fs::remove_dir(&empty).expect("it was made above");
    }
    is_inside
}

/// The service has a handler for every real-time signal.
fn take_signals() -> bool {
    extern "C" fn handle(_: libc::c_int) {}
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).all(|signal| {
        // SAFETY: a handler that does nothing.
        unsafe { libc::signal(signal, handle as *const () as libc::sighandler_t) != libc::SIG_ERR }
    })
}
