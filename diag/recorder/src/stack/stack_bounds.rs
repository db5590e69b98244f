//! The stack memory that a walk may read: pages that the kernel has confirmed to be readable, from the
//! stack pointer up to the top of this thread's stack, checked once per thread and depth.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::arch::asm;
use std::cell::Cell;

use super::dependency_log::Memory;
use crate::fork::Once;
use crate::sys::{self, procfs};

const PAGE: u64 = 4096;
/// No deeper stack is checked: 16 MiB in pages.
const MAX_PAGES: u64 = 4096;
/// How much is read of a stack that is not the thread's own, such as a coroutine's.
const FOREIGN_BYTES: u64 = 8 * PAGE;

/// Top of the first thread's stack; none if it could not be found.
static MAIN_TOP: Once<Option<u64>> = Once::new();

thread_local! {
    /// The part of this thread's own stack that is known to be readable.
    static CHECKED: Cell<StackBounds> = const { Cell::new(StackBounds { low: 0, high: 0 }) };
}

/// StackBounds stack memory: the only addresses that a walk may read.
#[derive(Clone, Copy)]
pub(super) struct StackBounds {
    low: u64,
    high: u64,
}

/// Finds the first thread's stack, once. Not to be called from a hook.
pub(super) fn prepare() {
    MAIN_TOP.get_or_init(procfs::main_stack_top);
}

/// True if the stack that `sp` lies in reaches so many bytes further down. The kernel is asked once per thread and
/// depth, as for what lies above; the first thread's stack grows by that, as it does when it is used.
pub(crate) fn has_room(sp: u64, bytes: u64) -> bool {
    // From there up without a gap, so no guard lies in between.
    StackBounds::of(sp.saturating_sub(bytes)).is_some_and(|stack| stack.high > sp)
}

/// True if the system tells what memory can be read.
pub(crate) fn is_told() -> bool {
    let here = 0_u8;
    sys::page_is_readable(std::ptr::from_ref(&here).addr() as u64 / PAGE * PAGE)
}

impl StackBounds {
    /// The readable memory above `sp`; `None` if not even that page is.
    pub(super) fn of(sp: u64) -> Option<StackBounds> {
        let known = CHECKED.get();
        if (known.low..known.high).contains(&sp) {
            return Some(StackBounds { low: sp, ..known });
        }
        let own = if (sp..sp + MAX_PAGES * PAGE).contains(&known.low) {
            // The same stack, deeper than ever before.
            is_readable(sp, known.low).then_some(known)
        } else {
            StackBounds::own_top(sp)
                .filter(|&top| is_readable(sp, top))
                .map(|high| StackBounds { low: sp, high })
        };
        match own {
            Some(own) => {
                CHECKED.set(StackBounds { low: sp, ..own });
                Some(StackBounds { low: sp, ..own })
            }
            None => StackBounds::foreign(sp),
        }
    }

    /// The top of the stack that `sp` would lie in if it were the thread's own: the thread's control
    /// block, which both glibc and musl put at its top, or the top of the first thread's stack.
    fn own_top(sp: u64) -> Option<u64> {
        let tops = [Some(thread_pointer()), MAIN_TOP.get().copied().flatten()];
        tops.into_iter().flatten().filter(|&top| (sp..sp + MAX_PAGES * PAGE).contains(&top)).min()
    }

    /// The readable memory above `sp`, at most `bytes`. Leaves what is known of the thread alone, which a
    /// signal may have caught in the middle of a change.
    pub(super) fn unremembered(sp: u64, bytes: u64) -> Option<StackBounds> {
        let top = StackBounds::own_top(sp).unwrap_or(sp + FOREIGN_BYTES);
        StackBounds::up_to(sp, top.min(sp + bytes))
    }

    /// The next few pages above `sp`, checked anew each time: a coroutine's stack may be unmapped.
    fn foreign(sp: u64) -> Option<StackBounds> {
        StackBounds::up_to(sp, sp + FOREIGN_BYTES)
    }

    /// The pages from that of `sp` to that of `top`, or to the first that cannot be read.
    fn up_to(sp: u64, top: u64) -> Option<StackBounds> {
        let mut high = sp / PAGE * PAGE;
        while high < top && sys::page_is_readable(high) {
            high += PAGE;
        }
        (high > sp).then_some(StackBounds { low: sp, high })
    }

    /// Where it ends.
    pub(super) fn high(self) -> u64 {
        self.high
    }

    /// The word at `address`; `None` outside of the bounds.
    pub(super) fn read(self, address: u64) -> Option<u64> {
        if !address.is_multiple_of(8) || address < self.low || address >= self.high {
            return None;
        }
        let word: u64;
        // SAFETY: an aligned word inside of memory that `is_readable` has confirmed, which is our own
        // stack. In assembler, because it belongs to frames that the compiler knows nothing of here.
        unsafe { asm!("mov {}, [{}]", out(reg) word, in(reg) address, options(nostack, readonly)) };
        Some(word)
    }
}

impl Memory for StackBounds {
    fn read(&mut self, address: u64) -> Option<u64> {
        StackBounds::read(*self, address)
    }
}

/// True if the instruction before this one is a system call. For signal handlers.
pub(crate) fn is_behind_system_call(ip: u64) -> bool {
    const SYSCALL: u16 = 0x050F;
    let Some(at) = ip.checked_sub(2) else { return false };
    if !is_readable(at, ip) {
        return false;
    }
    let code: u16;
    // SAFETY: code of the service's that can be read, as was just made sure. In assembler, because the compiler
    // knows of no object there.
    unsafe { asm!("mov {:x}, [{}]", out(reg) code, in(reg) at, options(nostack, readonly)) };
    code == SYSCALL
}

/// True if every page from `low` to `high` can be read.
fn is_readable(low: u64, high: u64) -> bool {
    (low / PAGE..high.div_ceil(PAGE)).all(|page| sys::page_is_readable(page * PAGE))
}

/// The thread's control block, which begins with its own address (System V ABI, thread-local storage).
fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: the first word of the control block is always readable.
    unsafe { asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    pointer
}
