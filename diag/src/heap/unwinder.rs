//! Walks by unwind tables with framehop, for code without frame pointers, which is the default.
//!
//! Tables and caches are set up once, before sampling starts; a walk takes one of a fixed number of
//! caches, and when all are in use it gives up: it never waits. Libraries that are loaded later are
//! not known here; a walk through one follows its frame pointer or ends there.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, Module, MustNotAllocateDuringUnwind,
    UnwindRegsNative, Unwinder as _, UnwinderNative,
};

use super::modules::{self, LoadedModule};
use super::stack::{Bounds, Frames, Registers};

type Tables = UnwinderNative<&'static [u8], MustNotAllocateDuringUnwind>;
type Rules = CacheNative<MustNotAllocateDuringUnwind>;

/// More threads than this hardly ever sample at the same moment; each cache takes 40 KiB.
const MAX_CACHES: usize = 16;

/// The tables of all modules and the caches to walk with.
pub(super) struct Unwinder {
    tables: Tables,
    caches: Vec<Cache>,
}

struct Cache {
    taken: AtomicBool,
    rules: UnsafeCell<Rules>,
}

// SAFETY: `rules` is reached only by the thread that set `taken`, see `Cache::with`.
unsafe impl Sync for Cache {}

impl Unwinder {
    /// Finds the modules of the process and builds the caches, through the global allocator.
    pub(super) fn load() -> Self {
        let mut tables = Tables::new();
        modules::loaded().iter().filter_map(unwind_tables).for_each(|module| tables.add_module(module));
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let caches = (0..MAX_CACHES.min(2 * cores)).map(|_| Cache::new()).collect();
        Unwinder { tables, caches }
    }

    /// Fills in the callers of the function that `from` was taken in; `None` if no cache is free.
    pub(super) fn walk(&self, from: Registers, bounds: Bounds, frames: &mut Frames) -> Option<usize> {
        self.caches.iter().find_map(|cache| cache.with(|rules| self.walk_with(rules, from, bounds, frames)))
    }

    fn walk_with(&self, rules: &mut Rules, from: Registers, bounds: Bounds, frames: &mut Frames) -> usize {
        let mut read = |address| bounds.read(address).ok_or(());
        let start = UnwindRegsNative::new(from.ip, from.sp, from.fp);
        let mut walk = self.tables.iter_frames(from.ip, start, rules, &mut read);
        let mut depth = 0;
        while depth < frames.len() {
            match walk.next() {
                Ok(Some(FrameAddress::ReturnAddress(address))) => {
                    frames[depth] = address.get();
                    depth += 1;
                }
                // The function itself, in which the walk starts.
                Ok(Some(FrameAddress::InstructionPointer(_))) => {}
                // The end, or a frame that cannot be left: what was found is right as far as it goes.
                Ok(None) | Err(_) => break,
            }
        }
        depth
    }
}

impl Cache {
    fn new() -> Self {
        Cache { taken: AtomicBool::new(false), rules: UnsafeCell::new(Rules::new_in()) }
    }

    /// Runs `work` with the rules unless another thread has them.
    fn with<T>(&self, work: impl FnOnce(&mut Rules) -> T) -> Option<T> {
        if self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `taken` was false and is true now, so nobody else has the rules until the store.
        let result = work(unsafe { &mut *self.rules.get() });
        self.taken.store(false, Ordering::Release);
        Some(result)
    }
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
