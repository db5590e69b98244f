//! How the mirrors stand when the program ends, as its exit code.

use std::process::ExitCode;

use crate::mirror::Last;

/// How the mirrors stand. Exit code 2 is a wrong command line's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All answer: 0.
    Well,
    /// Some do not: 1.
    Degraded,
    /// None does: 3.
    Down,
    /// They could not be asked: 4.
    Unknown,
}

impl Standing {
    /// By how each mirror was found last.
    pub(crate) fn of(mirrors: impl Iterator<Item = Last>) -> Self {
        let (good, bad): (Vec<_>, Vec<_>) = mirrors.partition(|last| *last == Last::Answered);
        match (good.len(), bad.len()) {
            (0, 0) => Standing::Unknown,
            (_, 0) => Standing::Well,
            (0, _) => Standing::Down,
            _ => Standing::Degraded,
        }
    }
}

impl From<Standing> for ExitCode {
    fn from(standing: Standing) -> Self {
        ExitCode::from(match standing {
            Standing::Well => 0,
            Standing::Degraded => 1,
            Standing::Down => 3,
            Standing::Unknown => 4,
        })
    }
}
