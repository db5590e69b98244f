//! The system refuses memory: whichever mapping of diag's fails, that part is off, the snapshot says so, and the service
//! does not notice. Each in a process of its own, where a filter hands every such system call to a handler.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod filter;

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use diag_test_support::again::again;
use diag_test_support::eventually::eventually;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "REFUSED_MEMORY_CHILD";
const TEST: &str = "any_mapping_may_fail";

/// Of the service's threads: a size that the filter lets pass.
const STACK_BYTES: usize = (2 << 20) + (64 << 10);

/// Which of the calls is refused, counted from 0; below 0 none is.
static REFUSED: AtomicI64 = AtomicI64::new(-1);
/// Calls so far.
static CALLS: AtomicI64 = AtomicI64::new(0);
/// Tasks that have allocated what they do.
static STARTED: AtomicI64 = AtomicI64::new(0);

#[test]
fn any_mapping_may_fail() {
    if let Ok(which) = std::env::var(CHILD) {
        return service(which.parse().expect("a number"));
    }
    let Some(Said { calls, refused: 0, .. }) = run(-1) else {
        return skipped("no filter of system calls is allowed here");
    };
    assert!(calls > 10, "tables, slots, totals: {calls}");
    for which in 0..calls {
        let said = run(which).expect("it was allowed just now");
        // The same part may be tried again in a smaller size, but what was refused is told. How many calls there are
        // depends a little on which thread comes first.
        let is_told = said.refused >= 1 || said.calls <= which;
        assert!(is_told, "call {which} of {calls} was refused and nothing says so: {said:?}");
        // One of the two recorders is off at the most.
        assert!(said.tasks == 100 || said.samples > 0, "call {which}: {said:?}");
    }
    // And all of them.
    let said = run(i64::MAX).expect("it was allowed just now");
    assert!(said.refused > 1 && said.tasks == 0 && said.samples == 0, "{said:?}");
}

#[derive(Debug)]
struct Said {
    calls: i64,
    refused: i64,
    /// Those of a hundred that have a record.
    tasks: i64,
    samples: i64,
}

/// Runs the service in a process of its own; `None` if it can have no filter.
fn run(which: i64) -> Option<Said> {
    let mut run = again(TEST);
    run.env(CHILD, which.to_string());
    // With more, glibc makes mappings of the same kind.
    run.env("MALLOC_ARENA_MAX", "1");
    let run = run.output().expect("it runs");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "call {which}: {text} {}", String::from_utf8_lossy(&run.stderr));
    let numbers = text.lines().find_map(|line| line.split_once("said "))?.1;
    let numbers: Vec<i64> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
    let [calls, refused, tasks, samples] = numbers[..] else { panic!("four numbers") };
    Some(Said { calls, refused, tasks, samples })
}

/// A hundred tasks on two threads and a heap that grows, as if nothing was.
#[expect(clippy::print_stdout, reason = "that is how it answers")]
fn service(which: i64) {
    REFUSED.store(which, Ordering::Relaxed);
    if !refusal::install() {
        return;
    }
    diag::Builder::new().agent(false).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_stack_size(STACK_BYTES).build();
    let runtime = runtime.expect("a runtime");
    let blocks: Vec<Vec<u8>> = runtime.block_on(async {
        let (sender, _) = tokio::sync::watch::channel(());
        let task = |i: usize, mut receiver: tokio::sync::watch::Receiver<()>| async move {
            let block = black_box(vec![7_u8; 200 << 10]);
            let small: Vec<Vec<u8>> = (0..100).map(|_| black_box(vec![1; 1_000])).collect();
            STARTED.fetch_add(1, Ordering::Relaxed);
            let _ = receiver.changed().await;
            assert!(small.iter().all(|small| small.len() == 1_000));
            (i, block)
        };
        let tasks: Vec<_> = (0..100).map(|i| diag::spawn(task(i, sender.subscribe()))).collect();
        // This is no worker's thread.
        eventually(Duration::from_secs(60), "all have started", || match STARTED.load(Ordering::Relaxed) {
            100.. => Ok(()),
            started => Err(started),
        });
        let snapshot = diag::snapshot().into_model();
        // What the capture itself was refused is in the next one.
        let calls = CALLS.load(Ordering::Relaxed);
        let space = diag::snapshot().into_model().capture.resources.address_space.expect("it is told");
        let samples = snapshot.heap.as_ref().map_or(0, |heap| heap.samples.len());
        let unrecorded = snapshot.capture.dropped.get("tasks_unrecorded").copied().unwrap_or(0);
        // What has no record may be in the census all the same, which has room from before the filter: the test's own harness has made
        // a channel that is aligned as tokio's are.
        let recorded = snapshot.tasks.iter().filter(|task| task.polls_are_known()).count();
        assert_eq!(recorded as u64 + unrecorded, 100, "{:?}", snapshot.capture.dropped);
        println!("said {calls} {} {recorded} {samples}", space.refused);
        sender.send(()).expect("they listen");
        let mut blocks = Vec::new();
        for (i, task) in tasks.into_iter().enumerate() {
            let (at, block) = task.await.expect("it ends as ever");
            assert_eq!(at, i);
            blocks.push(block);
        }
        blocks
    });
    assert!(blocks.iter().all(|block| block.iter().all(|&byte| byte == 7)));
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Mappings that are not backed, and parts of them that become writable, are made by a handler, which refuses some.
mod refusal {
    use std::mem::zeroed;
    use std::ptr;

    use super::filter::{self, Who, step};
    use super::*;

    /// Beyond what the calls have as arguments: the handler's own pass.
    const PASS: i64 = 0x5eed;
    /// Flags of the mappings in question. A stack of a thread has one more.
    const UNBACKED: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    /// What is made writable at once is a multiple of this.
    const CHUNK: u32 = 256 << 10;

    /// Filters the calling thread and those that it starts; false if that is not allowed.
    pub(super) fn install() -> bool {
        // SAFETY: a handler that touches two atomics and makes one system call.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(libc::SIGSYS, &action, ptr::null_mut()), 0);
        }
        filter::install(Who::Thread, &mut program())
    }

    fn program() -> [libc::sock_filter; 15] {
        let word = |offset: u32| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
        let argument = |number: u32| word(16 + 8 * number);
        let jump = |test: u32, value: u32, yes, no| step(libc::BPF_JMP | test | libc::BPF_K, value, yes, no);
        let end = |action: u32| step(libc::BPF_RET | libc::BPF_K, action, 0, 0);
        [
            word(0),
            jump(libc::BPF_JEQ, libc::SYS_mmap as u32, 1, 0),
            jump(libc::BPF_JEQ, libc::SYS_mprotect as u32, 4, 10),
            // A mapping: its flags, then the descriptor, of which it has none.
            argument(3),
            jump(libc::BPF_JEQ, UNBACKED as u32, 0, 8),
            argument(4),
            jump(libc::BPF_JEQ, u32::MAX, 7, 6),
            // Made writable: the size, which has the bits of no smaller part, the access, and an argument that the call does not have.
            argument(1),
            jump(libc::BPF_JSET, CHUNK - 1, 4, 0),
            argument(2),
            jump(libc::BPF_JEQ, (libc::PROT_READ | libc::PROT_WRITE) as u32, 0, 2),
            argument(3),
            jump(libc::BPF_JEQ, PASS as u32, 0, 1),
            end(libc::SECCOMP_RET_ALLOW),
            end(libc::SECCOMP_RET_TRAP),
        ]
    }

    extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let refused = REFUSED.load(Ordering::Relaxed);
        // SAFETY: the kernel's own description of what was interrupted.
        let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let argument = |register: libc::c_int| registers[register as usize];
        let (number, first, second, third) = (
            argument(libc::REG_RAX),
            argument(libc::REG_RDI),
            argument(libc::REG_RSI),
            argument(libc::REG_RDX),
        );
        let result = if call == refused || refused == i64::MAX {
            -i64::from(libc::ENOMEM)
        } else if number == libc::SYS_mmap {
            let flags = argument(libc::REG_R10);
            // SAFETY: the call that was asked for, with another descriptor, which anonymous memory has no use for.
            unsafe { raw(number, [first, second, third, flags, -2, 0]) }
        } else {
            // SAFETY: the call that was asked for.
            unsafe { raw(number, [first, second, third, PASS, 0, 0]) }
        };
        registers[libc::REG_RAX as usize] = result;
    }

    /// # Safety
    /// As for the call.
    unsafe fn raw(number: i64, [a, b, c, d, e, f]: [i64; 6]) -> i64 {
        let result: i64;
        // SAFETY: the kernel's calling convention; the rest by the promise of the caller.
        unsafe {
            std::arch::asm!(
                "syscall", inlateout("rax") number => result,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
                lateout("rcx") _, lateout("r11") _
            );
        }
        result
    }
}
