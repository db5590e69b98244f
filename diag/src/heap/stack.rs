//! The call stack of a sample: return addresses, without a lock, an allocation or a stray read.
//!
//! A self-test at start compares the chain of frame pointers with what the unwind tables say of the
//! same stack. If the chain is whole (the service was built with `-C force-frame-pointers=yes`) it is
//! followed, which is ten times faster; otherwise framehop reads the tables (`unwinder.rs`). Never
//! libgcc's unwinder: its lock has hung services.
//!
//! A walk reads nothing but memory that the kernel has confirmed to be readable: from the stack
//! pointer up to the top of this thread's stack, checked page by page once per thread and depth.
//! Names are not looked up here but in `symbols.rs`, far from the service's threads.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::arch::asm;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::unwinder::Unwinder;

/// Deeper stacks lose their outermost frames.
pub(super) const MAX_FRAMES: usize = 128;
/// The addresses of a stack, innermost first.
pub(super) type Frames = [u64; MAX_FRAMES];

const PAGE: u64 = 4096;
/// No deeper stack is checked: 16 MiB in pages.
const MAX_PAGES: u64 = 4096;
/// How much is read of a stack that is not the thread's own, such as a coroutine's.
const FOREIGN_PAGES: u64 = 8;
/// The outermost frames are libc's, which has no frame pointers: so many may be missing.
const C_FRAMES: usize = 4;

static UNWINDER: OnceLock<Unwinder> = OnceLock::new();
static POINTERS_WHOLE: OnceLock<bool> = OnceLock::new();
/// Top of the first thread's stack, 0 if it could not be found.
static MAIN_TOP: AtomicU64 = AtomicU64::new(0);
static WITHOUT_STACK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The part of this thread's own stack that is known to be readable.
    static CHECKED: Cell<Bounds> = const { Cell::new(Bounds { low: 0, high: 0 }) };
}

/// Where a walk starts.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    pub(super) ip: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
}

/// Readable stack memory: the only addresses that a walk may read.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    low: u64,
    high: u64,
}

/// Loads the unwind tables and tests the frame pointers. Not to be called from the hook.
pub(super) fn prepare() {
    MAIN_TOP.store(main_stack_top().unwrap_or(0), Ordering::Relaxed);
    let unwinder = UNWINDER.get_or_init(Unwinder::load);
    POINTERS_WHOLE.get_or_init(|| pointers_are_whole(unwinder));
}

/// How stacks are taken, in the words of the snapshot.
pub(crate) fn method() -> &'static str {
    match (POINTERS_WHOLE.get(), UNWINDER.get()) {
        (Some(true), _) => "frame-pointers",
        (_, Some(_)) => "framehop",
        _ => "none",
    }
}

/// Samples whose stack could not be taken, since start.
pub(crate) fn without_stack() -> u64 {
    WITHOUT_STACK.load(Ordering::Relaxed)
}

/// Fills in the callers of the function that `from` was taken in, which must not have returned yet.
/// Gives how many there are; 0 if the stack cannot be walked now.
pub(super) fn capture(from: Registers, frames: &mut Frames) -> usize {
    let depth = Bounds::of(from.sp).map_or(0, |bounds| match (POINTERS_WHOLE.get(), UNWINDER.get()) {
        (Some(true), _) => follow_pointers(from, bounds, frames),
        (_, Some(unwinder)) => unwinder.walk(from, bounds, frames).unwrap_or(0),
        _ => 0,
    });
    if depth == 0 {
        WITHOUT_STACK.fetch_add(1, Ordering::Relaxed);
    }
    depth
}

impl Bounds {
    /// The readable memory above `sp`; `None` if not even that page is.
    fn of(sp: u64) -> Option<Bounds> {
        let known = CHECKED.get();
        if (known.low..known.high).contains(&sp) {
            return Some(Bounds { low: sp, ..known });
        }
        let own = if (sp..sp + MAX_PAGES * PAGE).contains(&known.low) {
            // The same stack, deeper than ever before.
            readable(sp, known.low).then_some(known)
        } else {
            Bounds::own_top(sp).filter(|&top| readable(sp, top)).map(|high| Bounds { low: sp, high })
        };
        match own {
            Some(own) => {
                CHECKED.set(Bounds { low: sp, ..own });
                Some(Bounds { low: sp, ..own })
            }
            None => Bounds::foreign(sp),
        }
    }

    /// The top of the stack that `sp` would lie in if it were the thread's own: the thread's control
    /// block, which both glibc and musl put at its top, or the top of the first thread's stack.
    fn own_top(sp: u64) -> Option<u64> {
        let tops = [thread_pointer(), MAIN_TOP.load(Ordering::Relaxed)];
        tops.into_iter().filter(|&top| (sp..sp + MAX_PAGES * PAGE).contains(&top)).min()
    }

    /// The next few pages above `sp`, checked anew each time: a coroutine's stack may be unmapped.
    fn foreign(sp: u64) -> Option<Bounds> {
        let mut high = sp / PAGE * PAGE;
        while high < sp + FOREIGN_PAGES * PAGE && page_is_readable(high) {
            high += PAGE;
        }
        (high > sp).then_some(Bounds { low: sp, high })
    }

    /// The word at `address`; `None` outside of the bounds.
    pub(super) fn read(self, address: u64) -> Option<u64> {
        if !address.is_multiple_of(8) || address < self.low || address >= self.high {
            return None;
        }
        let word: u64;
        // SAFETY: an aligned word inside of memory that `readable` has confirmed, which is our own
        // stack. In assembler, because it belongs to frames that the compiler knows nothing of here.
        unsafe { asm!("mov {}, [{}]", out(reg) word, in(reg) address, options(nostack, readonly)) };
        Some(word)
    }
}

/// The chain of frame pointers: each points at its caller's, and above it lies the return address.
fn follow_pointers(from: Registers, bounds: Bounds, frames: &mut Frames) -> usize {
    let mut fp = from.fp;
    for (depth, frame) in frames.iter_mut().enumerate() {
        let (Some(next), Some(address @ 1..)) = (bounds.read(fp), bounds.read(fp.wrapping_add(8))) else {
            return depth;
        };
        *frame = address;
        if next <= fp {
            return depth + 1;
        }
        fp = next;
    }
    MAX_FRAMES
}

/// True if both ways tell the same of the stack that we are called on.
#[inline(never)]
fn pointers_are_whole(unwinder: &Unwinder) -> bool {
    let (mut by_pointers, mut by_tables) = ([0; MAX_FRAMES], [0; MAX_FRAMES]);
    let here = registers();
    let Some(bounds) = Bounds::of(here.sp) else { return false };
    let whole = unwinder.walk(here, bounds, &mut by_tables).unwrap_or(0);
    let found = follow_pointers(here, bounds, &mut by_pointers);
    found > C_FRAMES && found + C_FRAMES >= whole && by_tables.starts_with(&by_pointers[..found])
}

/// True if every page from `low` to `high` can be read.
fn readable(low: u64, high: u64) -> bool {
    (low / PAGE..high.div_ceil(PAGE)).all(|page| page_is_readable(page * PAGE))
}

/// Asks the kernel, which answers instead of faulting: a signal mask is copied from the address
/// before the request is found to be nonsense. Nothing is changed, and no sandbox forbids this call.
fn page_is_readable(page: u64) -> bool {
    const NONSENSE: libc::c_int = -1;
    // SAFETY: the kernel checks the address itself, and the invalid request changes no mask.
    let answer = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NONSENSE, page, 0_usize, 8_usize) };
    // SAFETY: the address of this thread's errno is valid as long as the thread.
    answer == -1 && unsafe { *libc::__errno_location() } == libc::EINVAL
}

/// The upper end of the mapping that the kernel calls `[stack]`.
fn main_stack_top() -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[stack]"))?;
    let (_, rest) = line.split_once('-')?;
    u64::from_str_radix(rest.split_once(' ')?.0, 16).ok()
}

/// The registers at one instruction of the function that this is inlined into.
#[inline(always)]
pub(super) fn registers() -> Registers {
    let (ip, sp, fp): (u64, u64, u64);
    // SAFETY: copies three registers, reads no memory.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) ip, out(reg) sp, out(reg) fp,
             options(nomem, nostack, preserves_flags));
    }
    Registers { ip, sp, fp }
}

/// The thread's control block, which begins with its own address (System V ABI, thread-local storage).
fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: the first word of the control block is always readable.
    unsafe { asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    pointer
}
