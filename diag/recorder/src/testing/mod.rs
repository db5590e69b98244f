//! Tests that fail when they leak.
//!
//! [`leak_guard`] in any `#[tokio::test]`, or in a `#[test]` that builds a runtime: what the test leaves behind fails it, with the
//! line of its spawn and with what it waits for. [`heap::testing`](crate::heap::testing) is the same for bytes: it sees the whole
//! process, so such a test has a file of its own.
//!
//! ```no_run
//! #[tokio::test]
//! async fn orders_are_taken() {
//!     let guard = diag::testing::leak_guard();
//!     // the test
//!     guard.finish().await;
//! }
//! ```
//!
//! | left behind | how it is told whose it is | beside other tests |
//! |---|---|---|
//! | tasks of [`diag::task`](crate::task) | by who spawned them | yes |
//! | panics of such tasks that nobody was told of | by the task | yes |
//! | tasks of libraries, sockets, workers of a runtime | by who made them, or by the test's runtime; with [`Alloc`](crate::Alloc) | yes |
//! | handles to tasks that have ended | by the task | yes |
//! | child processes | by the thread that started them | those of the test's thread |
//! | values, as permits | the test says which: [`unchanged`](LeakGuard::unchanged) | yes |
//! | threads, descriptors, environment, working directory | not at all | no: [`process_wide`](LeakGuard::process_wide) |
//!
//! A test that has not ended when the process exits, as something called [`exit`](std::process::exit), is told on stderr, and the process
//! ends with 101.
//!
//! A guard begins with a proof: it makes something to be seen, and looks. What it cannot see it says on stderr, and
//! [`strict`](LeakGuard::strict) makes a failure of that.
//!
//! While a guard lives, each spawn of the process is entered in a table, for some 100 ns.
//!
//! | file | what |
//! |---|---|
//! | `guard`, `scope`, `binary` | the guard of a test, the threads that are the test's, and the guard of all tests of a binary |
//! | `remains`, `settle`, `ignored` | what is left at one look, how long to look again, and what is left out |
//! | `tasks`, `panics`, `blocks`, `children`, `process`, `value` | what is looked at |
//! | `unended` | tests that the process does not let end |
//! | `proof` | what a guard can see |
//! | `found`, `leak`, `places` | what is said |
//!
//! Deliberately not here: whether memory grew.

mod binary;
#[cfg_attr(not(samples_heap), path = "no_blocks.rs")]
mod blocks;
mod children;
mod found;
mod guard;
mod ignored;
mod in_use;
mod leak;
mod panics;
mod places;
mod process;
mod proof;
mod remains;
mod scope;
mod settle;
mod tasks;
mod unended;
mod value;

pub use binary::guard_binary;
pub use guard::{LeakGuard, leak_guard};
pub use leak::{Leak, LeakKind, Leaks};
pub use scope::{Scope, ScopeEntered};

use crate::fork::Once;
use crate::settings;
use crate::task::{await_point, learn_runtime, sampling, slab};

/// What the harness ends with if a test fails.
const FAILED: i32 = 101;

/// Makes ready what a start makes ready as well, but for what listens, writes or ticks: a test wants none of that.
fn prepare() {
    static PREPARED: Once<()> = Once::new();
    let _ = PREPARED.get_or_init(|| {
        slab::slab();
        learn_runtime();
        if await_point::prepare() {
            sampling::take_stacks(settings::current().parked);
        }
        #[cfg(samples_heap)]
        let _ = crate::heap::prepare_census();
        process::warm_up();
    });
}

/// The guard itself is no part of the heap that a test looks at.
#[cfg(feature = "heap")]
fn hide() -> impl Sized {
    crate::heap::hide_capture()
}

#[cfg(not(feature = "heap"))]
fn hide() -> impl Sized {}
