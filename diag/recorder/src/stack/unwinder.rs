//! Walks by unwind tables with framehop, for code without frame pointers, which is the default.
//!
//! Tables and caches are set up before the first walk. A walk takes one of a fixed number of caches, and
//! when all are in use it gives up: it never waits. When libraries were loaded since, all tables are read
//! anew and put in the place of the old ones, which stay in memory: a walk may be reading them. That is
//! done a limited number of times; a walk through a library that is not known follows its frame pointer
//! or ends there.

use std::cell::UnsafeCell;
use std::num::NonZeroU32;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, Module, MustNotAllocateDuringUnwind,
    UnwindRegsNative, Unwinder as _, UnwinderNative,
};

use super::Registers;
use super::dependency_log::Memory;
use super::module::LoadedModule;
use super::modules;
use crate::fork::{self, Lock, Once};

type Tables = UnwinderNative<&'static [u8], MustNotAllocateDuringUnwind>;
type Rules = CacheNative<MustNotAllocateDuringUnwind>;

/// More threads than this hardly ever walk at the same moment; each cache takes 40 KiB.
const MAX_CACHES: usize = 16;
/// A service that loads libraries for ever must not make us keep tables for ever: each takes some KiB.
const MAX_LOADS: usize = 64;

/// The tables of all modules, null before the first are loaded. Stored with Release when they are whole,
/// read with Acquire, never freed.
static TABLES: AtomicPtr<Tables> = AtomicPtr::new(ptr::null_mut());
static CACHES: Once<Vec<Cache>> = Once::new();

struct Cache {
    /// The process whose thread has it, 0 if none has.
    taken: AtomicU32,
    rules: UnsafeCell<Rules>,
}

// SAFETY: `rules` is reached only by the thread that set `taken`, see `Cache::with`.
unsafe impl Sync for Cache {}

/// All tables that were ever loaded, and the process's count of changes at the last time.
#[derive(Default)]
struct Loads {
    tables: Vec<&'static Tables>,
    changes: Option<u64>,
}

/// Loads the tables, if that was not done since the last change of the process's modules. Uses the global
/// allocator.
pub(super) fn prepare() {
    static LOADS: Lock<Loads> = Lock::new(Loads { tables: Vec::new(), changes: None });
    let mut loads = LOADS.lock();
    CACHES.get_or_init(caches).iter().for_each(Cache::take_over);
    let changes = modules::changes();
    if loads.tables.is_empty() || (loads.changes != changes && loads.tables.len() < MAX_LOADS) {
        let tables: &'static Tables = Box::leak(Box::new(load()));
        // Release: pairs with the Acquire of a walk, which finds the tables whole.
        TABLES.store(ptr::from_ref(tables).cast_mut(), Ordering::Release);
        loads.tables.push(tables);
        loads.changes = changes;
    }
}

/// Fills in the callers of the function that `from` was taken in, the last being that whose stack pointer
/// was `stop`. `None` if no cache is free.
pub(super) fn walk(from: Registers, mut stack: impl Memory, frames: &mut [u64], stop: u64) -> Option<usize> {
    // SAFETY: null, or what `prepare` leaked, which nobody writes to.
    let tables = unsafe { TABLES.load(Ordering::Acquire).as_ref() }?;
    CACHES.get()?.iter().find_map(|cache| {
        cache.with(|rules| {
            let mut at = FrameAddress::from_instruction_pointer(from.ip);
            let mut registers = UnwindRegsNative::new(from.ip, from.sp, from.fp);
            for (depth, frame) in frames.iter_mut().enumerate() {
                let here = pointers(&registers);
                let mut read = |address| stack.read(address).ok_or(());
                // The end, or a frame that cannot be left: what was found is right as far as it goes.
                let Ok(Some(address)) = tables.unwind_frame(at, &mut registers, rules, &mut read) else {
                    return depth;
                };
                stack.went(here, pointers(&registers));
                let Some(caller) = FrameAddress::from_return_address(address) else { return depth };
                *frame = address;
                if registers.sp() >= stop {
                    return depth + 1;
                }
                at = caller;
            }
            frames.len()
        })
    })
}

fn pointers(registers: &UnwindRegsNative) -> Registers {
    Registers { ip: registers.ip(), sp: registers.sp(), fp: registers.bp() }
}

/// Another number for other tables; 0 before the first.
pub(super) fn generation() -> u64 {
    TABLES.load(Ordering::Relaxed).addr() as u64
}

impl Cache {
    /// Runs `work` with the rules unless another thread has them.
    fn with<T>(&self, work: impl FnOnce(&mut Rules) -> T) -> Option<T> {
        // A child that does not know its number yet walks no stacks.
        let process = NonZeroU32::new(fork::known())?.get();
        // Acquire: pairs with the Release below, of whoever had it last.
        self.taken.compare_exchange(0, process, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: nobody had the rules, and nobody else has them until the store.
        let result = work(unsafe { &mut *self.rules.get() });
        self.taken.store(0, Ordering::Release);
        Some(result)
    }

    /// Begins anew with rules that a thread of a parent process was at.
    fn take_over(&self) {
        let (taken, process) = (self.taken.load(Ordering::Relaxed), fork::process().get());
        let is_inherited = taken != 0 && taken != process;
        // Relaxed: that thread is none of this process.
        if is_inherited
            && self.taken.compare_exchange(taken, process, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            // SAFETY: as in `with`. What is half written is not dropped.
            unsafe { self.rules.get().write(Rules::new_in()) };
            self.taken.store(0, Ordering::Release);
        }
    }
}

fn caches() -> Vec<Cache> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let cache = |_| Cache { taken: AtomicU32::new(0), rules: UnsafeCell::new(Rules::new_in()) };
    (0..MAX_CACHES.min(2 * cores)).map(cache).collect()
}

fn load() -> Tables {
    let mut tables = Tables::new();
    modules::loaded().iter().filter_map(unwind_tables).for_each(|module| tables.add_module(module));
    tables
}

fn unwind_tables(module: &LoadedModule) -> Option<Module<&'static [u8]>> {
    let tables = module.pinned_tables()?;
    let sections = ExplicitModuleSectionInfo {
        eh_frame_hdr_svma: Some(tables.index.0),
        eh_frame_hdr: Some(tables.index.1),
        eh_frame_svma: Some(tables.frames.0),
        eh_frame: Some(tables.frames.1),
        ..Default::default()
    };
    Some(Module::new(module.path.clone(), module.memory.clone(), module.base, sections))
}
