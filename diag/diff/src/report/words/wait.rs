//! [`Wait`] in words.

use std::fmt;

use super::count;
use crate::rules::wait::Wait;

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::All { at } => f.write_str(at),
            Wait::Most { at, tasks, asked } => write!(f, "{at} ({} of {} asked)", count(tasks), count(asked)),
        }
    }
}
