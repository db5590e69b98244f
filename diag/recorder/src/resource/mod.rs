//! What a service acquires and gives back: connections of a pool, permits, leases of files.
//!
//! The service says so by a value beside the thing, which is dropped with it. A snapshot then has each that is in use, with the
//! line that acquired it, the task that did, and since when; and how long those were in use that were given back.
//!
//! ```
//! struct Pooled {
//!     connection: Connection,
//!     _in_use: diag::resource::InUse,
//! }
//! # struct Connection;
//!
//! # let connection = Connection;
//! let taken = Pooled { connection, _in_use: diag::resource::acquire("db connection") };
//! drop(taken); // given back
//! ```
//!
//! What a pool keeps while nobody has it says so by a [`Resource`] of its own, which the pool keeps beside it: made, in use, idle,
//! and gone when it is dropped.
//!
//! ```
//! let connection = diag::resource::create("db connection"); // made
//! connection.in_use(); // a task has it: this line, and that task, are told
//! connection.idle(); // and gave it back
//! drop(connection); // closed
//! ```
//!
//! | file | what |
//! |---|---|
//! | `shards` | all that is open, and how long others were, by the thread that opened them |
//! | `pooled` | what is acquired again and again |
//! | `counted` | values of a type |

mod counted;
mod pooled;
mod shards;

use std::fmt;
use std::panic::Location;

pub use counted::Counted;
pub use pooled::{Resource, create};
use shards::{Key, Made};
pub(crate) use shards::{Kind, Open, Place, closed, core_tables, open};

use crate::clock;
use crate::current;

/// Something that is in use until this is dropped.
#[must_use = "it is given back when this is dropped"]
pub struct InUse {
    _key: Key,
}

/// Says that the caller has acquired something that its service calls `name`: use a fixed few, as `"db connection"`. The caller's
/// line is where it was acquired, and the task that runs is its holder.
///
/// It takes a lock for a moment, now and when it is given back, some 50 to 90 ns each; threads share one only if they have more than 64, or if
/// one gives back what another has acquired. Nothing is recorded with
/// `DIAG=off`.
#[track_caller]
pub fn acquire(name: &'static str) -> InUse {
    InUse { _key: Key::open(opened(Kind::InUse, name, Location::caller())) }
}

/// Of this moment and of the task that runs.
fn opened(kind: Kind, name: &'static str, location: &'static Location<'static>) -> Open {
    let place = Place { kind, name, location };
    Open { place, since_ns: clock::coarse_ns(), holder: current::get(), made: None, due_ns: None }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse").finish_non_exhaustive()
    }
}
