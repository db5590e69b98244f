//! A child that was forked and goes on without `exec` is a service like any other: it has an agent, files, a clock
//! and an instance number of its own as soon as it starts them. That it waits for no thread of its parent's, however
//! busy that is, is what the proof `forks` shows.
#![cfg(all(feature = "agent", unix))]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use diag_snapshot::Snapshot;
use diag_test_support::again::again;
use diag_test_support::eventually::eventually;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs one of the tests of this file as a process of its own, and gives what it printed.
fn output_of(test: &str) -> String {
    let run = again(test).env("FORKS_CHILD", "1").stdin(Stdio::null()).output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{err}");
    out.into_owned()
}

fn is_process() -> bool {
    std::env::var_os("FORKS_CHILD").is_some()
}

/// Forks; gives the child's id.
fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: glibc keeps its allocator usable in a child, and what the child calls besides is diag.
    match unsafe { libc::fork() } {
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: leaves without anything of the parent's being run.
            unsafe { libc::_exit(libc::c_int::from(done.is_err())) }
        }
        child => child,
    }
}

/// Waits until the child has ended well; false if it has not, or hangs.
fn ended_well(child: libc::pid_t) -> bool {
    let until = Instant::now() + PATIENCE;
    let mut status = -1;
    // SAFETY: waits for our own child, and there is a place for the answer.
    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > until {
            // SAFETY: ends our own child.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    status == 0
}

fn agent() -> SocketAddr {
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let addr = guard.agent_addr().expect("it listens");
    std::mem::forget(guard);
    addr
}

/// What the agent there says; an error if nobody listens, or nobody answers.
fn snapshot_from(addr: SocketAddr) -> std::io::Result<Snapshot> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /snapshot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    Ok(diag_snapshot::read(&answer[head..]).expect("a snapshot").0)
}

/// A runtime with a task in it, as a service has. Of one thread: those of a parent that are parked at the fork stay in the
/// table of parking_lot, and of such children that have threads of their own to park, one in thirty dies or hangs of it, with
/// tokio alone.
fn service() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { drop(diag::spawn(std::future::pending::<()>())) });
    runtime
}

/// Tells the test an agent's process and address.
fn tell(addr: SocketAddr) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listens: {} {addr}", std::process::id()).expect("the test reads");
}

/// What processes told.
fn told(output: &str) -> Vec<(u32, SocketAddr)> {
    let line = |line: &str| {
        let (pid, addr) = line.split_once("listens: ")?.1.split_once(' ')?;
        Some((pid.parse().ok()?, addr.parse().ok()?))
    };
    output.lines().filter_map(line).collect()
}

#[test]
fn a_daemon_is_asked_as_any_service_is() {
    if is_process() {
        let parents = agent();
        tell(parents);
        let _parents_tasks = service();
        fork(|| {
            // The parent leaves, whose threads may keep its socket for a moment after the child is an orphan; what was inherited
            // would be open for ever.
            eventually(PATIENCE, "the parent has left, and what was inherited is closed", || {
                if TcpStream::connect(parents).is_err() { Ok(()) } else { Err("somebody listens") }
            });
            let own = diag::Builder::new().addr(parents).start();
            assert_eq!(diag::Builder::new().start().problems()[0].kind(), diag::ProblemKind::AlreadyStarted);
            let _own_tasks = service();
            tell(own.agent_addr().expect("it listens"));
            // Holds the output open, by which the test knows that it lives.
            std::thread::sleep(PATIENCE);
        });
        std::process::exit(0);
    }
    let mut run = again("a_daemon_is_asked_as_any_service_is")
        .env("FORKS_CHILD", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().expect("a pipe")));
    let mut next = || {
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("listens: ")));
        told(&line.expect("it tells").expect("text"))[0]
    };
    let (parent, _) = next();
    let (daemon, addr) = next();
    assert!(run.wait().expect("our own child").success());
    let snapshot = snapshot_from(addr).expect("the daemon answers");
    assert_eq!((snapshot.process.pid, daemon != parent), (daemon, true));
    assert_eq!(snapshot.tasks.len(), 1, "its own task, and none of its parent's");
    assert_eq!(snapshot.capture.dropped["tasks_of_parent_process"], 1);
    let [runtime] = &snapshot.capture.runtimes[..] else { panic!("{:?}", snapshot.capture.runtimes) };
    assert_eq!(runtime.alive_tasks, Some(1));
}

#[test]
fn a_server_that_forks_workers_is_one_service_a_worker() {
    if !is_process() {
        output_of("a_server_that_forks_workers_is_one_service_a_worker");
        return;
    }
    let parents = agent();
    let _tasks = service();
    let ours = diag::snapshot().into_model();
    // By a pipe, through which workers tell their address and learn that all is done.
    let (mut telling, teller) = std::io::pipe().expect("a pipe");
    let (ending, end) = std::io::pipe().expect("a pipe");
    let worker = || {
        let (mut teller, mut ending) = (teller.try_clone().unwrap(), ending.try_clone().unwrap());
        let end = end.try_clone().unwrap();
        fork(move || {
            drop(end);
            let guard = diag::Builder::new().addr(parents).start();
            let _tasks = service();
            // By one write, as workers share the pipe.
            let line = format!("listens: {} {}\n", std::process::id(), guard.agent_addr().unwrap());
            teller.write_all(line.as_bytes()).unwrap();
            let _ = ending.read(&mut [0]);
        })
    };
    let workers = [(); 3].map(|()| worker());
    drop(teller);
    let mut text = String::new();
    while told(&text).len() < workers.len() || !text.ends_with('\n') {
        let mut some = [0; 256];
        let len = telling.read(&mut some).expect("workers tell");
        assert!(len > 0, "a worker ended: {text}");
        text.push_str(std::str::from_utf8(&some[..len]).expect("text"));
    }
    let mut instances = vec![ours.process.instance];
    for (pid, addr) in told(&text) {
        assert_ne!(addr, parents);
        let snapshot = snapshot_from(addr).expect("a worker answers");
        assert_eq!((snapshot.process.pid, snapshot.tasks.len()), (pid, 1));
        assert!(snapshot.process.started_unix_us >= ours.process.started_unix_us);
        instances.push(snapshot.process.instance);
    }
    instances.sort_unstable();
    instances.dedup();
    assert_eq!(instances.len(), workers.len() + 1, "each is an instance of its own");
    assert_eq!(snapshot_from(parents).expect("the parent answers").process.pid, std::process::id());
    // Workers may hold it open for each other, so each is told by a byte.
    (&end).write_all(&[0; 3]).expect("workers read");
    assert!(workers.into_iter().all(ended_well));
}
