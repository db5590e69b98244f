//! Looks at threads of the test's own. Signals belong to the process: one test at a time.

use std::hint::{black_box, spin_loop};
use std::io::{PipeReader, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::*;
use crate::stack::testing::names;

/// Held by a test that signals.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    crate::stack::prepare();
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn tid() -> u32 {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// A thread that runs `work`, and its id.
fn started<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> (u32, JoinHandle<T>) {
    let (send, receive) = mpsc::channel();
    let work = move || {
        send.send(tid()).expect("the test waits");
        work()
    };
    let thread = Builder::new().name(name.to_owned()).spawn(work).expect("a thread");
    (receive.recv().expect("the thread sends"), thread)
}

/// Looks, and looks again if the machine was too busy for the thread to answer in time.
fn answered(tid: u32, frames: &mut Vec<u64>) -> Look {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let look = look(tid, frames).expect("the thread lives");
        if look.stack != Err(NoStack::NoAnswer) || Instant::now() > until {
            return look;
        }
    }
}

/// Looks until `function` is on the stack, as the thread needs a moment to come there. Gives the names.
fn see(tid: u32, function: &str) -> (Look, Vec<String>) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let mut frames = Vec::new();
        let look = answered(tid, &mut frames);
        let names = names(&frames);
        if names.iter().any(|name| name.ends_with(function)) {
            return (look, names);
        }
        assert!(Instant::now() < until, "no {function} in {look:?}: {names:#?}");
    }
}

/// What the threads under test share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    rounds: AtomicU64,
}

impl Shared {
    fn new() -> (Arc<Shared>, Arc<Shared>) {
        let shared = Arc::new(Shared::default());
        (shared.clone(), shared)
    }

    /// True until the test has seen enough.
    fn goes_on(&self) -> bool {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }
}

#[inline(never)]
fn spins(shared: &Shared) {
    while black_box(shared.goes_on()) {
        spin_loop();
    }
}

#[inline(never)]
fn asks_the_time(shared: &Shared) {
    while shared.goes_on() {
        black_box(Instant::now());
    }
}

#[inline(never)]
fn takes_its_own_stack(shared: &Shared) -> bool {
    let mut whole = true;
    while shared.goes_on() {
        let mut frames = [0; crate::stack::MAX_FRAMES];
        whole &= black_box(crate::stack::capture_until(crate::stack::registers(), &mut frames, u64::MAX)) > 3;
    }
    whole
}

#[inline(never)]
fn dives(levels: u32, shared: &Shared) {
    let bytes = black_box([0_u8; 4_096]);
    if levels == 0 {
        spins(shared)
    } else {
        dives(levels - 1, shared)
    }
    black_box(bytes);
}

#[inline(never)]
fn waits(end: &mpsc::Receiver<()>) {
    black_box(end.recv()).expect("the test sends");
}

#[inline(never)]
fn reads(mut pipe: PipeReader) -> std::io::Result<u8> {
    let mut byte = [0];
    // Not `read_exact`, which would hide an interruption.
    black_box(pipe.read(&mut byte)).map(|_| byte[0])
}

#[test]
fn a_running_thread_is_named_with_its_function() {
    let _alone = alone();
    let (shared, theirs) = Shared::new();
    let (tid, thread) = started("spinner", move || spins(&theirs));
    let (look, names) = see(tid, "tests::spins");
    shared.stop.store(true, Ordering::Relaxed);
    thread.join().expect("it lives through the looks");
    assert_eq!(look.facts.name.as_deref(), Some("spinner"));
    assert!(names.iter().any(|name| name.contains("thread_start")), "down to its start: {names:#?}");
}

#[test]
fn a_sleeping_thread_is_named_with_its_function() {
    let _alone = alone();
    let (send, end) = mpsc::channel();
    let (tid, thread) = started("sleeper", move || waits(&end));
    let (_, names) = see(tid, "tests::waits");
    assert_eq!(facts(tid).expect("it waits").state, Some('S'), "{names:#?}");
    send.send(()).expect("it waits");
    thread.join().expect("it lives through the looks");
}

#[test]
fn a_read_goes_on_after_a_look() {
    let _alone = alone();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let (tid, thread) = started("reader", move || reads(reader));
    for _ in 0..100 {
        see(tid, "tests::reads");
    }
    writer.write_all(b"x").expect("it reads");
    assert_eq!(thread.join().expect("it lives through the looks").expect("uninterrupted"), b'x');
}

#[test]
fn a_thousand_looks_harm_nothing() {
    let _alone = alone();
    let (shared, theirs) = Shared::new();
    let (tid, thread) = started("spinner", move || {
        // SAFETY: the address of this thread's errno is valid as long as the thread.
        unsafe { *libc::__errno_location() = 123 };
        spins(&theirs);
        crate::errno::get()
    });
    see(tid, "tests::spins");
    let began = shared.rounds.load(Ordering::Relaxed);
    let mut frames = Vec::new();
    for turn in 0..1_000 {
        let look = answered(tid, &mut frames);
        assert!(look.stack.is_ok_and(|depth| depth > 2), "look {turn}: {look:?}");
    }
    assert!(shared.rounds.load(Ordering::Relaxed) > began, "it went on");
    shared.stop.store(true, Ordering::Relaxed);
    assert_eq!(thread.join().expect("it lives through the looks"), 123, "errno is as it was");
}

#[test]
fn wherever_the_signal_strikes() {
    let _alone = alone();
    for (work, function) in [
        (asks_the_time as fn(&Shared), "tests::asks_the_time"),
        (|shared| assert!(takes_its_own_stack(shared)), "tests::takes_its_own_stack"),
        (|shared| dives(20, shared), "tests::dives"),
    ] {
        let (shared, theirs) = Shared::new();
        let (tid, thread) = started("worker", move || work(&theirs));
        see(tid, function);
        let stack = |_| {
            let mut frames = Vec::new();
            answered(tid, &mut frames).stack.expect("it answers");
            frames
        };
        let stacks: Vec<Vec<u64>> = (0..200).map(stack).collect();
        shared.stop.store(true, Ordering::Relaxed);
        thread.join().expect("it lives through the looks");
        let mut all = names(&stacks.concat()).into_iter();
        for stack in stacks {
            let names: Vec<String> = all.by_ref().take(stack.len()).collect();
            assert!(names.iter().any(|name| name.ends_with(function)), "{function}: {names:#?}");
        }
    }
}

#[test]
fn a_stack_too_deep_to_copy_loses_its_outer_end() {
    let _alone = alone();
    let (shared, theirs) = Shared::new();
    let (tid, thread) = started("diver", move || dives(100, &theirs));
    let (look, names) = see(tid, "tests::spins");
    shared.stop.store(true, Ordering::Relaxed);
    thread.join().expect("it lives through the looks");
    assert!(look.stack.is_ok_and(|depth| (10..100).contains(&depth)), "{look:?} of 256 KiB: {names:#?}");
}

#[test]
fn a_signal_of_the_service_is_left_alone() {
    extern "C" fn service(_: libc::c_int) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let _alone = alone();
    let signal = libc::SIGRTMAX() - 1;
    // SAFETY: the handler only counts.
    unsafe { libc::signal(signal, service as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    set_signal(Choice::Number(signal));
    let refused = look(tid(), &mut Vec::new()).expect("this thread").stack;
    set_signal(Choice::Off);
    let off = look(tid(), &mut Vec::new()).expect("this thread").stack;
    set_signal(Choice::Free);
    assert_eq!(refused, Err(NoStack::SignalTaken(signal)));
    assert_eq!(off, Err(NoStack::Off));
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
}

#[test]
fn a_thread_that_blocks_the_signal_is_not_asked() {
    let _alone = alone();
    let (send, end) = mpsc::channel();
    let (tid, thread) = started("deaf", move || {
        // SAFETY: blocks all signals for this thread alone.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
        waits(&end);
    });
    while blocked::blocked_signals(tid).is_some_and(|mask| mask == 0) {
        std::thread::yield_now();
    }
    let look = look(tid, &mut Vec::new()).expect("it waits");
    send.send(()).expect("it waits");
    thread.join().expect("it was left alone");
    assert!(matches!(look.stack, Err(NoStack::SignalBlocked(_))), "{look:?}");
}

#[test]
fn a_thread_that_is_none_gives_nothing() {
    // Not a thread of ours, whatever it is.
    assert!(look(1, &mut Vec::new()).is_none_or(|_| std::process::id() == 1));
    assert!(look(0, &mut Vec::new()).is_none());
}
