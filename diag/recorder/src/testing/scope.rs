//! Threads on which what is spawned is a test's.

use std::marker::PhantomData;

use crate::current::{self, CurrentTask};
use crate::task::lineage;

/// For other threads of a test, made by [`LeakGuard::scope`](super::LeakGuard::scope).
///
/// ```
/// let guard = diag::testing::leak_guard();
/// let scope = guard.scope();
/// let thread = std::thread::spawn(move || {
///     let _entered = scope.enter();
///     let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
///     runtime.block_on(async { diag::spawn(async {}).await.unwrap() });
/// });
/// thread.join().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    root: CurrentTask,
}

impl Scope {
    pub(super) fn new(root: CurrentTask) -> Self {
        Scope { root }
    }

    /// What the calling thread spawns outside of tasks is the test's until the result is dropped.
    pub fn enter(&self) -> ScopeEntered {
        ScopeEntered { _entered: Entered::new(self.root, false) }
    }
}

/// See [`Scope::enter`].
#[derive(Debug)]
#[must_use = "dropped at once, nothing is entered"]
pub struct ScopeEntered {
    _entered: Entered,
}

/// The thread is in the tree of a test until this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    root: CurrentTask,
    before: CurrentTask,
    /// Whether the tree ends with it.
    is_root: bool,
    is_left: bool,
    not_send: PhantomData<*const ()>,
}

impl Entered {
    /// Of the test's own thread.
    pub(super) fn root(root: CurrentTask) -> Self {
        Entered::new(root, true)
    }

    fn new(root: CurrentTask, is_root: bool) -> Self {
        Entered { root, before: current::replace(root), is_root, is_left: false, not_send: PhantomData }
    }

    /// As its drop.
    pub(super) fn leave(&mut self) {
        if std::mem::replace(&mut self.is_left, true) {
            return;
        }
        // Guards may be dropped in another order than they were made in.
        if current::get() == self.root {
            current::replace(self.before);
        }
        if self.is_root {
            lineage::end(self.root);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
    }
}
