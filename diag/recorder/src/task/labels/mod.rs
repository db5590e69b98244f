//! Labels of tasks: what a task is for, said by the service, and handed on to whatever that task spawns.
//!
//! They lie beside the record, which has a pointer and a flag: a task without any pays for neither. A task that is
//! spawned inside of another shares its labels, so that one more task with the same costs a count. Polls of a task with
//! labels, and of a future in a [scope](super::Scope), put them in force on their thread; a spawn takes what is in force.
//!
//! | file | what |
//! |---|---|
//! | `set` | the labels of a task with its name, shared and never changed |
//! | `keys` | keys by their number |
//! | `value` | what is kept of a value |
//! | `in_force` | which labels a spawn on this thread takes |

pub(super) mod in_force;
mod keys;
mod set;
pub(super) mod value;

pub(crate) use keys::keys_table;
pub(crate) use set::{COLUMNS, LINK_BYTES, Labels};
