//! A service that replaces itself by `exec` while a CPU profile of it is taken: the program that comes after lives.
#![cfg(all(feature = "cpu-profile", target_os = "linux", target_arch = "x86_64"))]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diag_test_support::again::again;
use diag_test_support::eventually::eventually;

fn ask_for_a_profile(addr: SocketAddr, seconds: u32) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("the agent listens");
    write!(stream, "GET /debug/pprof/profile?seconds={seconds} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it reads");
    stream
}

/// True once a profile is being taken: then a second one is refused.
fn is_profiled(addr: SocketAddr) -> bool {
    let mut start = [0; 12];
    ask_for_a_profile(addr, 1).read_exact(&mut start).expect("it answers");
    start.ends_with(b"409")
}

fn service() -> ! {
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let addr = guard.agent_addr().expect("it listens");
    let _profile = ask_for_a_profile(addr, 60);
    eventually(Duration::from_secs(60), "the profile begins", || {
        if is_profiled(addr) { Ok(()) } else { Err(addr) }
    });
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(100) {
        std::hint::black_box(started);
    }
    // Half a second of CPU time, with no handler for any signal.
    let work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo the new program lives";
    let error = Command::new("/bin/sh").arg("-c").arg(work).exec();
    panic!("no shell: {error}");
}

#[test]
fn no_timer_outlives_the_program() {
    if std::env::var_os("CPU_PROFILE_EXEC_CHILD").is_some() {
        service();
    }
    let run = again("no_timer_outlives_the_program")
        .env("CPU_PROFILE_EXEC_CHILD", "1")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}: {out}\n{err}", run.status);
    assert!(out.contains("the new program lives"), "{out}\n{err}");
}
