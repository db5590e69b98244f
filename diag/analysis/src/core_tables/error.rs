//! Why there is no snapshot in a core.

use std::fmt;
use std::path::PathBuf;

use super::layout::{NoLayout, VERSION};
use super::memory::OtherExecutable;

/// Why there is no snapshot in a core.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreTablesError {
    /// The file is no core that can be read.
    Unreadable(PathBuf),
    /// Nothing in it says where tables are.
    NoTables,
    /// What says so is not whole.
    Damaged,
    /// The tables are of a version that is not understood.
    OtherVersion {
        /// That of the tables.
        version: u32,
        /// That of the recorder.
        diag_version: String,
    },
    /// The file that was given as the executable is not the one that ran.
    OtherExecutable {
        /// Build id in the core.
        core: Option<String>,
        /// Build id of the file, if it is one that has some.
        file: Option<String>,
    },
}

/// A sentence, safe to print.
impl fmt::Display for CoreTablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = |id: &Option<String>| id.as_deref().map_or("none".to_owned(), crate::human::name);
        match self {
            CoreTablesError::Unreadable(path) => {
                write!(f, "{} is no ELF core of a process of 64 bits, or cannot be read", path.display())
            }
            CoreTablesError::NoTables => f.write_str(
                "no tables of diag are in the core: the process does not link diag, its version is older than cores \
                 can be read of, or the core has not the memory that the process wrote to",
            ),
            CoreTablesError::Damaged => f.write_str("what says where the tables of diag are is damaged in the core"),
            CoreTablesError::OtherVersion { version, diag_version } => write!(
                f,
                "the tables in the core are of version {version}, of diag {}, and this reads version {VERSION}: use \
                 the `diag` command of that version",
                crate::human::name(diag_version)
            ),
            CoreTablesError::OtherExecutable { core, file } => write!(
                f,
                "the executable is not the one that ran: its build id is {}, and the core has {}",
                id(file),
                id(core)
            ),
        }
    }
}

impl std::error::Error for CoreTablesError {}

impl From<NoLayout> for CoreTablesError {
    fn from(why: NoLayout) -> Self {
        match why {
            NoLayout::Missing => CoreTablesError::NoTables,
            NoLayout::Damaged => CoreTablesError::Damaged,
            NoLayout::Other(version, diag_version) => CoreTablesError::OtherVersion { version, diag_version },
        }
    }
}

impl From<OtherExecutable> for CoreTablesError {
    fn from(OtherExecutable { core, file }: OtherExecutable) -> Self {
        CoreTablesError::OtherExecutable { core, file }
    }
}
