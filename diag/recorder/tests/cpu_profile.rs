//! A CPU profile over a real socket: who burns, with the spawn sites of the tasks that do, and who may ask.
#![cfg(feature = "cpu-profile")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use diag_test_support::profile;
use diag_test_support::profile::{Profile, Sample};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

static GO_ON: AtomicBool = AtomicBool::new(true);

/// Multiplies so often; what the loop takes does not depend on who calls it.
#[inline(never)]
fn multiply(times: u64) -> u64 {
    (0..times).fold(1, |product, i| black_box((product * (2 * i + 1)) & 0xffff_ffff))
}

#[inline(never)]
fn burns_three_parts() {
    black_box(multiply(300_000));
}

#[inline(never)]
fn burns_one_part() {
    black_box(multiply(100_000));
}

/// The same type for both sites.
async fn burner(burn: fn()) {
    while GO_ON.load(Ordering::Relaxed) {
        burn();
        // Allocates under the handler's feet, and lets the other one run.
        drop(black_box(vec![0_u8; 700_000]));
        tokio::task::yield_now().await;
    }
}

fn get(addr: SocketAddr, path: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).expect("the agent listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let status = std::str::from_utf8(&answer[9..12]).expect("text").parse().expect("a number");
    (status, answer.split_off(head))
}

/// The part of the CPU time of `all` that `is_it` has, and how far off chance may bring it (5 sigma).
fn share(profile: &Profile, all: impl Fn(&Sample) -> bool, is_it: impl Fn(&Sample) -> bool) -> (f64, f64) {
    let samples = profile.sum("samples", &all);
    assert!(samples >= 40, "only {samples} samples");
    let cpu_ns = profile.sum("cpu", &all) as f64;
    (profile.sum("cpu", is_it) as f64 / cpu_ns, 5.0 * (0.1875 / samples as f64).sqrt())
}

/// The lines of the two spawn sites.
fn check(profile: &Profile, three_parts: u32, one_part: u32) {
    let of_site = |line: u32| {
        let site = format!("diag/recorder/tests/cpu_profile.rs:{line}:");
        move |sample: &Sample| sample.labels.get("task_site").is_some_and(|found| found.starts_with(&site))
    };
    let calls = |name: &'static str| {
        move |sample: &Sample| sample.functions.iter().any(|function| function.ends_with(name))
    };
    let of_both = |sample: &Sample| of_site(three_parts)(sample) || of_site(one_part)(sample);
    let (part, error) = share(profile, of_both, of_site(three_parts));
    assert!((part - 0.75).abs() < error, "{part} is not 0.75 +- {error}");

    // Names agree with labels: by the call and by the site it is the same.
    let burns = |sample: &Sample| calls("::burns_three_parts")(sample) || calls("::burns_one_part")(sample);
    let named = profile.sum("samples", burns);
    let right = profile.sum("samples", |sample| {
        calls("::burns_three_parts")(sample) && of_site(three_parts)(sample)
            || calls("::burns_one_part")(sample) && of_site(one_part)(sample)
    });
    assert_eq!(right, named);
    // What takes and frees the block is the burner's as well, and how long that takes is the memory's affair.
    let reaches_the_burner = |sample: &Sample| {
        of_both(sample) && sample.functions.iter().any(|function| function.contains("::burner::"))
    };
    let (whole, all) = (profile.sum("samples", reaches_the_burner), profile.sum("samples", of_both));
    assert!(whole * 10 >= all * 9, "nearly all stacks are whole: {whole} of {all}");
}

#[test]
fn a_profile_tells_which_tasks_burn() {
    let addr = ([127, 0, 0, 1], 0);
    let guard = diag::Builder::new().addr(addr).start();
    let addr = guard.agent_addr().expect("it listens");
    let service = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let three_parts = diag::spawn(burner(burns_three_parts));
            let one_part = diag::spawn(burner(burns_one_part));
            three_parts.await.expect("it ends");
            one_part.await.expect("it ends");
        });
    });
    let line = line!() - 6;

    for wrong in ["0", "301", "-1", "2.5", "", "x"] {
        let (status, text) = get(addr, &format!("/debug/pprof/profile?seconds={wrong}"));
        assert_eq!((status, &*text), (400, &b"seconds is a whole number from 1 to 300\n"[..]), "{wrong:?}");
    }
    // Of two at once, one is told to wait.
    let answers = thread::scope(|scope| {
        let ask = || scope.spawn(|| get(addr, "/debug/pprof/profile?seconds=2"));
        [ask(), ask()].map(|answer| answer.join().expect("no panic"))
    });
    let mut answers = answers.to_vec();
    answers.sort_by_key(|(status, _)| *status);
    let [(200, file), (409, text)] = &answers[..] else { panic!("{:?}", answers.iter().map(|a| a.0)) };
    assert!(text.starts_with(b"another profile is being taken"));
    let profile = profile::read(file);
    assert_eq!(
        (&*profile.default_type, &profile.types[..]),
        ("cpu", &["samples/count".to_owned(), "cpu/nanoseconds".to_owned()][..])
    );
    assert_eq!(profile.period, ("cpu/nanoseconds".to_owned(), 10_101_010));
    check(&profile, line, line + 1);
    assert!(profile.sum("cpu", |_| true) > 400_000_000, "the service had a fifth of a core at least");

    // Ended, a profile leaves nothing running, and another one can be taken.
    assert_eq!(get(addr, "/debug/pprof/profile?seconds=1").0, 200);
    // SAFETY: the action of a signal is replaced; ignoring it is one.
    unsafe { libc::signal(libc::SIGPROF, libc::SIG_IGN) };
    let (status, text) = get(addr, "/debug/pprof/profile?seconds=1");
    assert!(status == 409 && text.starts_with(b"the service uses SIGPROF itself"));
    GO_ON.store(false, Ordering::Relaxed);
    service.join().expect("no panic");
}
