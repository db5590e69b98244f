//! A service whose panics abort: tasks that end in every way but that one, captures by all ways, and a verdict.
//!
//! Run: `CARGO_PROFILE_DEV_PANIC=abort cargo run -p diag --example panics_abort`
#![expect(clippy::print_stdout, reason = "prints a verdict")]

use std::future::pending;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;

use diag_snapshot::Outcome;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

fn main() -> ExitCode {
    if cfg!(panic = "unwind") {
        println!("UNPROVEN: this build unwinds; set CARGO_PROFILE_DEV_PANIC=abort");
        return ExitCode::FAILURE;
    }
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let diag = diag::Builder::new().addr(any_port).start();
    let addr = diag.agent_addr().expect("the agent runs");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let snapshot = runtime.expect("a runtime").block_on(async {
        diag::spawn(async { vec![1_u8; 1 << 20] }).await.expect("it ends");
        let aborted = diag::spawn(pending::<()>());
        aborted.abort();
        aborted.await.expect_err("it was aborted");
        let parked = diag::spawn(async { tokio::sync::Notify::new().notified().await });
        let blocking = diag::task::spawn_blocking(move || {
            for path in
                ["/healthz?verbose", "/dump", "/dump?ask=1", "/snapshot", "/metrics", "/debug/pprof/heap"]
            {
                get(addr, path);
            }
            diag::snapshot().into_model()
        });
        let snapshot = blocking.await.expect("it ends");
        parked.abort();
        snapshot
    });
    let ends = |outcome| snapshot.ends.iter().filter(|end| end.outcome == outcome).count();
    let (done, cancelled, live) = (ends(Outcome::Done), ends(Outcome::Cancelled), snapshot.tasks.len());
    let is_good = done == 1 && cancelled + ends(Outcome::NeverPolled) == 1 && live >= 1;
    println!(
        "{}: {done} done, {cancelled} cancelled, {live} live, {} samples, with panics that abort",
        if is_good { "good" } else { "WRONG" },
        snapshot.heap.map_or(0, |heap| heap.samples.len()),
    );
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn get(addr: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(addr).expect("the agent listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
}
