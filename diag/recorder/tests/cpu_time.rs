//! CPU time is charged to the thread that used it, and the recorder's threads are told from the service's.
#![cfg(target_os = "linux")]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use diag_snapshot::Snapshot;
use diag_snapshot::ThreadCpuRow;

const BURNT: Duration = Duration::from_millis(300);

fn named(snapshot: &Snapshot, name: &str) -> Vec<ThreadCpuRow> {
    let is_named = |row: &ThreadCpuRow| row.name.is_some_and(|own| snapshot.strings.show(own) == name);
    snapshot.thread_cpu.iter().filter(is_named).collect()
}

fn process_ns(snapshot: &Snapshot) -> u64 {
    let resources = &snapshot.capture.resources;
    resources.cpu_user_ns.expect("Linux tells") + resources.cpu_system_ns.expect("Linux tells")
}

/// Uses so much CPU time of this thread, by the thread's own clock.
fn burn(time: Duration) {
    let used = || {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the answer.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    while used() < time {
        black_box((0..1_000_u64).sum::<u64>());
    }
}

#[test]
fn cpu_time_is_told_by_thread() {
    let addr = ([127, 0, 0, 1], 0);
    let _guard = diag::Builder::new().addr(addr).start();
    time_is_charged_to_the_thread_that_used_it();
    threads_of_the_recorder_are_told_from_others();
}

fn time_is_charged_to_the_thread_that_used_it() {
    let before = diag::snapshot().into_model();
    assert!(named(&before, "burner").is_empty());

    let (burnt, done) = (Barrier::new(3), Barrier::new(3));
    let during = thread::scope(|scope| {
        for (name, time) in [("burner", BURNT), ("sleeper", Duration::ZERO)] {
            let (burnt, done) = (&burnt, &done);
            let work = move || {
                burn(time);
                burnt.wait();
                done.wait();
            };
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work).expect("a thread");
        }
        burnt.wait();
        let during = diag::snapshot().into_model();
        done.wait();
        during
    });
    let [burner] = named(&during, "burner")[..] else { panic!("one burner") };
    let [sleeper] = named(&during, "sleeper")[..] else { panic!("one sleeper") };
    let [burnt_ns, slept_ns] = [burner, sleeper].map(|row| row.cpu_ns.expect("Linux tells"));
    let is_as_burnt = |ns: u64| (BURNT..2 * BURNT).contains(&Duration::from_nanos(ns));
    assert!(is_as_burnt(burnt_ns) && slept_ns < burnt_ns / 4, "{burner:?} {sleeper:?}");
    assert!(burner.started_us <= Some(during.capture.to_us) && !burner.is_recorder);
    assert!(process_ns(&during) - process_ns(&before) >= burnt_ns);

    // What a thread has used stays with the process when it has ended.
    let after = diag::snapshot().into_model();
    assert!(named(&after, "burner").is_empty());
    assert!(process_ns(&after) >= process_ns(&during));
}

fn threads_of_the_recorder_are_told_from_others() {
    let pretender = thread::Builder::new().name("diag-pretender".to_owned());
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let pretender = pretender.spawn(move || told.recv()).expect("a thread");
    let is_recorder =
        |name: &str| named(&diag::snapshot().into_model(), name).first().map(|row| row.is_recorder);
    // A thread that is new may not have its name yet.
    let known = |name: &str| {
        (0..1_000).find_map(|_| {
            is_recorder(name).or_else(|| {
                thread::sleep(Duration::from_millis(5));
                None
            })
        })
    };
    assert_eq!(known("diag-agent"), Some(true));
    assert_eq!(known("diag-ticker"), Some(true));
    assert_eq!(known("diag-pretender"), Some(false));
    drop(tell);
    let _ = pretender.join();
}
