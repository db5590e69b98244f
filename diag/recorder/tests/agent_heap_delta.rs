//! A difference of the heap over a real socket: what came, less what went, in the time that was asked for.

use std::sync::Mutex;
use std::time::Duration;

use diag_test_support::http;
use diag_test_support::profile;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

static STORE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

#[inline(never)]
fn keeps(blocks: usize) -> Vec<Vec<u8>> {
    (0..blocks).map(|_| vec![1; 1_000]).collect()
}

#[inline(never)]
fn keeps_as_ever(blocks: usize) -> Vec<Vec<u8>> {
    (0..blocks).map(|_| vec![1; 1_000]).collect()
}

#[inline(never)]
fn keeps_for_now(blocks: usize) -> Vec<Vec<u8>> {
    (0..blocks).map(|_| vec![1; 1_000]).collect()
}

#[test]
fn a_difference_has_what_came_less_what_went() {
    let addr = ([127, 0, 0, 1], 0);
    let guard = diag::Builder::new().addr(addr).heap(diag::HeapMode::Full).start();
    let addr = guard.agent_addr().expect("it listens");
    let (as_ever, for_now) = (keeps_as_ever(300), keeps_for_now(200));
    // From now on names are known, and a capture takes milliseconds.
    assert_eq!(http::get(addr, "/debug/pprof/heap").status, 200);
    let asked = std::thread::spawn(move || http::get(addr, "/debug/pprof/heap?seconds=4"));
    // The first moment is taken at once, the second four seconds later.
    std::thread::sleep(Duration::from_secs(2));
    let second = http::get(addr, "/debug/pprof/heap?seconds=1");
    assert_eq!((second.status, second.text()), (409, "another difference of the heap is being taken\n"));
    STORE.lock().expect("no panic under it").extend(keeps(500));
    drop(for_now);
    let answer = asked.join().expect("it is answered");
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(answer.head.contains("filename=\"heap-delta.pb.gz\""), "{}", answer.head);

    let profile = profile::read(&answer.body);
    let of = |function: &'static str| {
        move |sample: &profile::Sample| sample.functions.iter().any(|name| name.ends_with(function))
    };
    // The outer vector is one block more.
    assert!((500..=501).contains(&profile.sum("inuse_objects", of("::keeps"))), "{profile:#?}");
    assert!((500..=501).contains(&profile.sum("alloc_objects", of("::keeps"))));
    assert!((-201..=-200).contains(&profile.sum("inuse_objects", of("::keeps_for_now"))));
    assert_eq!(profile.sum("alloc_objects", of("::keeps_for_now")), 0);
    assert!(!profile.samples.iter().any(of("::keeps_as_ever")), "nothing was added there");
    drop(as_ever);

    for wrong in ["0", "301", "x", ""] {
        let answer = http::get(addr, &format!("/debug/pprof/heap?seconds={wrong}"));
        assert_eq!((answer.status, answer.text()), (400, "seconds is a whole number from 1 to 300\n"));
    }
}
