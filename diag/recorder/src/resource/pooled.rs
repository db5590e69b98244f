//! What is acquired again and again: the connections of a pool.

use std::fmt;
use std::panic::Location;

use diag_snapshot::ResourceState;

use super::{Key, Kind, Made, Open, Place, opened};
use crate::clock;
use crate::current::{self, CurrentTask};

/// Something that a pool keeps, made by [`create`]: it is in use, or idle, until this is dropped and it is closed.
///
/// Who keeps a connection beside it has one value for both, and a pool that drops the connection closes it:
///
/// ```
/// struct Connection { socket: Socket, state: diag::resource::Resource }
/// # struct Socket;
/// # let connection = Connection { socket: Socket, state: diag::resource::create("db connection") };
/// ```
#[must_use = "it is closed when this is dropped"]
pub struct Resource {
    key: Key,
    made: Place,
}

/// Says that a pool has made something that its service calls `name`: use a fixed few, as `"db connection"`. The caller's line
/// is where it was made.
///
/// This, each change of its state and its end take a lock for a moment, some 50 to 90 ns. Nothing is recorded with `DIAG=off`.
#[track_caller]
pub fn create(name: &'static str) -> Resource {
    let location = Location::caller();
    let open = opened(Kind::InUse, name, location);
    let made = Made { at: open.place, ns: open.since_ns, state: ResourceState::Created };
    let key = Key::open(Open { holder: CurrentTask::NONE, made: Some(made), ..open });
    Resource { key, made: open.place }
}

impl Resource {
    /// Somebody acquires it: the caller's line is where, and the task that runs is its holder. If it was in use, it was given
    /// back before.
    #[track_caller]
    pub fn in_use(&self) {
        self.enter(ResourceState::InUse, Place { location: Location::caller(), ..self.made }, current::get());
    }

    /// It was given back, and nobody has it; without effect if nobody had.
    pub fn idle(&self) {
        self.enter(ResourceState::Idle, self.made, CurrentTask::NONE);
    }

    fn enter(&self, state: ResourceState, place: Place, holder: CurrentTask) {
        self.key.change(|open| {
            let was_in_use = open.is_in_use();
            let Some(made) = open.made.as_mut().filter(|_| was_in_use || state == ResourceState::InUse)
            else {
                return false;
            };
            made.state = state;
            (open.place, open.holder, open.since_ns) = (place, holder, clock::coarse_ns());
            was_in_use
        });
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("name", &self.made.name).finish_non_exhaustive()
    }
}
