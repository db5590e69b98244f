//! What the memory of a process was at one moment, page by page: a fingerprint of each, no bytes. For processes that do not
//! link diag, and for those of which nothing is left but a core.

#[cfg(feature = "symbols")]
mod core_dump;
mod maps;
mod page;

#[cfg(feature = "symbols")]
pub use core_dump::{CoreError, read_core};
pub use maps::parse_maps;
pub use page::{PAGE_BYTES, Page, pages_of};

use std::fmt;

/// The memory of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryImage {
    /// Ascending.
    pub regions: Vec<Region>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// A range of addresses that one thing is mapped at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// What is mapped there.
    pub kind: RegionKind,
    /// What may be done with it.
    pub access: RegionAccess,
    /// Its pages from the start; those that are missing at the end are [absent](Page::ABSENT).
    pub pages: Vec<Page>,
}

/// What is mapped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegionKind {
    /// The heap that grows by `brk`.
    Heap,
    /// The stack of the first thread.
    Stack,
    /// Memory of no file: of an allocator, of threads' stacks.
    Anonymous,
    /// A file.
    File(String),
    /// What the kernel has put there: `[vdso]`.
    Kernel(String),
}

/// What may be done with a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegionAccess {
    /// Read it.
    pub read: bool,
    /// Write it.
    pub write: bool,
    /// Run code from it.
    pub execute: bool,
}

impl fmt::Display for RegionAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, 'r'), (self.write, 'w'), (self.execute, 'x')];
        letters.iter().filter(|(is_so, _)| *is_so).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

impl Region {
    /// Its name for filters: `heap`, `stack`, or what it is with what may be done: `anon-rw`, `anon-rwx`, `file-rx`.
    pub fn label(&self) -> String {
        match &self.kind {
            RegionKind::Heap => "heap".to_owned(),
            RegionKind::Stack => "stack".to_owned(),
            RegionKind::Anonymous => format!("anon-{}", self.access),
            RegionKind::File(_) => format!("file-{}", self.access),
            RegionKind::Kernel(_) => "kernel".to_owned(),
        }
    }

    /// The file, if one is mapped.
    pub fn file(&self) -> Option<&str> {
        match &self.kind {
            RegionKind::File(path) => Some(path),
            _ => None,
        }
    }

    /// How large it is, used or not.
    pub fn bytes(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The page at so many bytes behind the start.
    pub fn page_at(&self, offset: u64) -> Page {
        let at = usize::try_from(offset / PAGE_BYTES as u64).ok();
        at.and_then(|at| self.pages.get(at)).copied().unwrap_or(Page::ABSENT)
    }
}
