//! Reads threads of the test's own. Signals belong to the process: one test at a time.

use std::hint::{black_box, spin_loop};
use std::io::{PipeReader, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use diag_test_support::eventually::eventually;

use super::*;
use crate::stack::testing::names;

/// Held by a test that signals.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    crate::stack::prepare();
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn tid() -> u32 {
    crate::sys::thread_id().expect("threads have ids")
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

/// Reads, and reads again if the machine was too busy for the thread to answer in time.
fn answered(tid: u32, frames: &mut Vec<u64>) -> ThreadState {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let state = read(tid, frames).expect("the thread lives");
        let is_too_busy = matches!(state.stack, Err(NoStack::NoAnswer | NoStack::Busy));
        if !is_too_busy || Instant::now() > until {
            return state;
        }
    }
}

/// Reads until `function` is on the stack, as the thread needs a moment to come there. Gives the names.
fn see(tid: u32, function: &str) -> (ThreadState, Vec<String>) {
    eventually(Duration::from_secs(30), function, || {
        let mut frames = Vec::new();
        let state = answered(tid, &mut frames);
        let names = names(&frames);
        if names.iter().any(|name| name.ends_with(function)) {
            Ok((state, names))
        } else {
            Err((state, names))
        }
    })
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
    let (state, names) = see(tid, "tests::spins");
    shared.stop.store(true, Ordering::Relaxed);
    thread.join().expect("it lives through the readings");
    assert_eq!(state.facts.name.as_deref(), Some("spinner"));
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
    thread.join().expect("it lives through the readings");
}

#[test]
fn a_read_goes_on_after_a_reading() {
    let _alone = alone();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let (tid, thread) = started("reader", move || reads(reader));
    for _ in 0..100 {
        see(tid, "tests::reads");
    }
    writer.write_all(b"x").expect("it reads");
    assert_eq!(thread.join().expect("it lives through the readings").expect("uninterrupted"), b'x');
}

#[test]
fn a_thousand_readings_harm_nothing() {
    let _alone = alone();
    let (shared, theirs) = Shared::new();
    let (tid, thread) = started("spinner", move || {
        // SAFETY: the address of this thread's errno is valid as long as the thread.
        unsafe { *libc::__errno_location() = 123 };
        spins(&theirs);
        crate::sys::errno::get()
    });
    see(tid, "tests::spins");
    let began = shared.rounds.load(Ordering::Relaxed);
    let mut frames = Vec::new();
    for turn in 0..1_000 {
        let state = answered(tid, &mut frames);
        assert!(state.stack.is_ok_and(|depth| depth > 2), "reading {turn}: {state:?}");
    }
    assert!(shared.rounds.load(Ordering::Relaxed) > began, "it went on");
    shared.stop.store(true, Ordering::Relaxed);
    assert_eq!(thread.join().expect("it lives through the readings"), 123, "errno is as it was");
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
        thread.join().expect("it lives through the readings");
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
    let (state, names) = see(tid, "tests::spins");
    shared.stop.store(true, Ordering::Relaxed);
    thread.join().expect("it lives through the readings");
    assert!(state.stack.is_ok_and(|depth| (10..100).contains(&depth)), "{state:?} of 256 KiB: {names:#?}");
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
    let refused = read(tid(), &mut Vec::new()).expect("this thread").stack;
    set_signal(Choice::Off);
    let off = read(tid(), &mut Vec::new()).expect("this thread").stack;
    set_signal(Choice::Free);
    assert_eq!(refused, Err(NoStack::SignalTaken(signal)));
    assert_eq!(off, Err(NoStack::Off));
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
}

#[test]
fn a_thread_that_blocks_the_signal_is_not_asked() {
    let _alone = alone();
    let (shared, theirs) = Shared::new();
    let (tid, thread) = started("deaf", move || {
        // SAFETY: blocks all signals for this thread alone.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
        spins(&theirs);
    });
    while crate::sys::procfs::blocked_signals(tid).is_some_and(|mask| mask == 0) {
        std::thread::yield_now();
    }
    let state = read(tid, &mut Vec::new()).expect("it runs");
    shared.stop.store(true, Ordering::Relaxed);
    thread.join().expect("it was left alone");
    assert!(matches!(state.stack, Err(NoStack::SignalBlocked(_))), "{state:?}");
}

/// Ways to wait that the kernel never restarts after a signal, or that have a time limit, which comes to the same.
/// Each gives `EINTR` if it was interrupted.
mod waits {
    use std::io::{Read, Result};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::ptr::{null, null_mut};
    use std::time::Duration;

    /// Each waits so long.
    const MS: u64 = 1_500;
    const LIMIT: Duration = Duration::from_millis(MS);

    fn done(answer: libc::c_int) -> Result<()> {
        if answer == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    }

    fn stream() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        near.set_read_timeout(Some(LIMIT)).expect("it may have one");
        (near, listener.accept().expect("it connects").0)
    }

    #[inline(never)]
    pub(super) fn in_read() -> Result<()> {
        let (mut near, _far) = stream();
        near.read(&mut [0]).map(drop)
    }

    /// Called through a table, so that no call names the function.
    #[inline(never)]
    pub(super) fn in_read_by_table() -> Result<()> {
        let (near, _far) = stream();
        let mut near: Box<dyn Read> = std::hint::black_box(Box::new(near));
        near.read(&mut [0]).map(drop)
    }

    #[inline(never)]
    pub(super) fn in_receive() -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(LIMIT)).expect("it may have one");
        socket.recv_from(&mut [0]).map(drop)
    }

    #[inline(never)]
    pub(super) fn in_c_receive() -> Result<()> {
        let (near, _far) = stream();
        let mut byte = 0_u8;
        // SAFETY: room for one byte.
        done(unsafe { libc::recv(near.as_raw_fd(), (&raw mut byte).cast(), 1, 0) } as libc::c_int)
    }

    #[inline(never)]
    pub(super) fn in_poll() -> Result<()> {
        // SAFETY: no descriptors.
        done(unsafe { libc::poll(null_mut(), 0, MS as libc::c_int) })
    }

    #[inline(never)]
    pub(super) fn in_select() -> Result<()> {
        let mut limit = libc::timeval { tv_sec: 1, tv_usec: 500_000 };
        // SAFETY: no descriptors.
        done(unsafe { libc::select(0, null_mut(), null_mut(), null_mut(), &raw mut limit) })
    }

    #[inline(never)]
    pub(super) fn in_usleep() -> Result<()> {
        // SAFETY: no preconditions.
        done(unsafe { libc::usleep((MS * 1_000) as libc::c_uint) })
    }

    #[inline(never)]
    pub(super) fn in_nanosleep() -> Result<()> {
        let limit = libc::timespec { tv_sec: 1, tv_nsec: 500_000_000 };
        // SAFETY: a valid time; nobody asks what is left.
        done(unsafe { libc::nanosleep(&raw const limit, null_mut()) })
    }

    #[inline(never)]
    pub(super) fn in_epoll() -> Result<()> {
        // SAFETY: a descriptor of our own, and room for one event.
        unsafe {
            let poll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            let mut event = std::mem::zeroed();
            let answer = done(libc::epoll_wait(poll, &raw mut event, 1, MS as libc::c_int));
            libc::close(poll);
            answer
        }
    }

    #[inline(never)]
    pub(super) fn in_futex() -> Result<()> {
        let word = 0_u32;
        let limit = libc::timespec { tv_sec: 1, tv_nsec: 500_000_000 };
        // SAFETY: a word of our own, which nobody changes.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_futex,
                &raw const word,
                libc::FUTEX_WAIT,
                0,
                &raw const limit,
                null::<u32>(),
                0,
            )
        };
        done(answer as libc::c_int)
    }

    #[inline(never)]
    pub(super) fn in_semaphore() -> Result<()> {
        // SAFETY: a semaphore of our own, and a valid time.
        unsafe {
            let mut semaphore = std::mem::zeroed();
            libc::sem_init(&raw mut semaphore, 0, 0);
            let mut until = std::mem::zeroed::<libc::timespec>();
            libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut until);
            until.tv_sec += 2;
            done(libc::sem_timedwait(&raw mut semaphore, &raw const until))
        }
    }
}

#[test]
fn no_system_call_of_a_sleeping_thread_is_interrupted() {
    const READINGS: usize = 40;
    let _alone = alone();
    type Wait = fn() -> std::io::Result<()>;
    let ways: [(&str, Wait); 11] = [
        ("waits::in_read", waits::in_read),
        ("waits::in_read_by_table", waits::in_read_by_table),
        ("waits::in_receive", waits::in_receive),
        ("waits::in_c_receive", waits::in_c_receive),
        ("waits::in_poll", waits::in_poll),
        ("waits::in_select", waits::in_select),
        ("waits::in_usleep", waits::in_usleep),
        ("waits::in_nanosleep", waits::in_nanosleep),
        ("waits::in_epoll", waits::in_epoll),
        ("waits::in_futex", waits::in_futex),
        ("waits::in_semaphore", waits::in_semaphore),
    ];
    let before = signal::ENDED_CALLS.times();
    let threads = ways.map(|(name, wait)| (name, started(name, wait)));
    let mut stacks = Vec::new();
    for (_, (tid, _)) in &threads {
        // Until it sleeps: on its way there it may be signalled.
        while facts(*tid).is_none_or(|facts| facts.state != Some('S')) {
            std::thread::yield_now();
        }
    }
    for _ in 0..READINGS {
        for (name, (tid, thread)) in &threads {
            let mut frames = Vec::new();
            let seen = read(*tid, &mut frames);
            assert!(thread.is_finished() || seen.is_some_and(|state| state.stack.is_ok()), "{name}");
            stacks.push((*name, thread.is_finished(), frames));
        }
    }
    let interrupted = signal::ENDED_CALLS.times() - before;
    for (name, (_, thread)) in threads {
        let end = thread.join().expect("it lives through the readings");
        let error = end.err().map(|error| error.kind());
        assert_ne!(error, Some(std::io::ErrorKind::Interrupted), "{name}");
    }
    assert_eq!(interrupted, 0);
    let addresses: Vec<u64> = stacks.iter().flat_map(|(_, _, frames)| frames.iter().copied()).collect();
    let mut all = names(&addresses).into_iter();
    let mut seen = 0;
    for (name, is_finished, frames) in stacks {
        let names: Vec<String> = all.by_ref().take(frames.len()).collect();
        let is_named = names.iter().any(|function| function.ends_with(name));
        assert!(is_named || is_finished, "{name}: {names:#?}");
        seen += usize::from(is_named);
        assert!(is_finished || names.iter().any(|name| name.contains("thread_start")), "{name}: {names:#?}");
    }
    assert!(seen >= ways.len() * READINGS / 2, "{seen} readings in time");
}

#[test]
fn a_thread_that_is_none_gives_nothing() {
    // Not a thread of ours, whatever it is.
    assert!(read(1, &mut Vec::new()).is_none_or(|_| std::process::id() == 1));
    assert!(read(0, &mut Vec::new()).is_none());
}
