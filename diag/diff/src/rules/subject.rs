//! What a finding is about: an id of what a snapshot knows, which is put into words last.

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::gauge::Gauge;
use diag_analysis::human;
use diag_analysis::source_location::SourceLocation;
use diag_snapshot::DescriptorKind;

use crate::diff::Site;

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// Tasks spawned at a place.
    SpawnSite(Site),
    /// What a function allocates.
    Function(SourceLocation),
    /// Blocks of one kind that a function allocates: it may fill two kinds.
    Blocks {
        /// What they are part of.
        kind: AllocationKind,
        /// Who asked for them.
        function: SourceLocation,
    },
    /// All blocks of one kind, whoever allocates them.
    Kind(AllocationKind),
    /// A part of the process that has no place in the code.
    Process(ProcessPart),
    /// Sockets, or what the service calls by this name, that are opened or acquired at a place.
    Resources {
        /// One of them, in a word or two.
        what: String,
        /// Where.
        place: SourceLocation,
    },
    /// Something that is counted.
    Gauge(Gauge),
    /// Threads of this name; empty if it is not known.
    Thread(String),
}

/// The word for a socket of tokio.
pub(crate) const SOCKET: &str = "socket";

/// A part of the process that has no place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessPart {
    /// All live blocks of the heap.
    Heap,
    /// All tasks that the recorder follows.
    AllTasks,
    /// Tasks that the runtimes count and the recorder does not follow.
    UntrackedTasks,
    /// Free memory that the allocator keeps.
    AllocatorFree,
    /// Threads and their stacks.
    Threads,
    /// Mapped files.
    MappedFiles,
    /// Resident memory that no other part explains.
    UnaccountedMemory,
}

impl ProcessPart {
    /// Returns the word in parentheses that stands for a place in the code.
    pub fn word(self) -> &'static str {
        match self {
            ProcessPart::Heap => "(heap)",
            ProcessPart::AllTasks => "(all tasks)",
            ProcessPart::UntrackedTasks => "(untracked)",
            ProcessPart::AllocatorFree => "(allocator, free)",
            ProcessPart::Threads => "(threads)",
            ProcessPart::MappedFiles => "(mapped files)",
            ProcessPart::UnaccountedMemory => "(memory outside of the Rust heap)",
        }
    }
}

/// A place in a source file, as the compiler saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The file; not safe to print.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<u32>,
    /// The column, from 1, if it is known.
    pub column: Option<u32>,
}

impl Subject {
    /// Returns which kind of thing it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::SpawnSite(_) => "spawn_site",
            Subject::Function(_) => "function",
            Subject::Blocks { .. } => "blocks",
            Subject::Kind(_) => "allocation_kind",
            Subject::Process(_) => "process",
            Subject::Resources { .. } => "resources",
            Subject::Gauge(_) => "gauge",
            Subject::Thread(_) => "thread",
        }
    }

    /// Returns the spawn site, if it is about one.
    pub fn site(&self) -> Option<&Site> {
        if let Subject::SpawnSite(site) = self { Some(site) } else { None }
    }

    /// Returns the allocating function, if it is about one.
    pub fn function(&self) -> Option<&SourceLocation> {
        match self {
            Subject::Function(function) | Subject::Blocks { function, .. } => Some(function),
            _ => None,
        }
    }

    /// Returns `file:line:column`, `file:line`, or a word in parentheses; safe to print.
    pub fn location(&self) -> String {
        match self {
            Subject::SpawnSite(site) => site.to_string(),
            Subject::Function(function)
            | Subject::Blocks { function, .. }
            | Subject::Resources { place: function, .. } => function.location(),
            Subject::Kind(kind) => format!("({} blocks)", kind.as_str()),
            Subject::Process(part) => part.word().to_owned(),
            Subject::Gauge(gauge) => format!("({gauge})"),
            Subject::Thread(name) if name.is_empty() => "(thread without a name)".to_owned(),
            Subject::Thread(name) => format!("(thread {})", human::name(name)),
        }
    }

    /// Returns the place in a source file, if it has one.
    pub fn position_in_source(&self) -> Option<SourcePosition> {
        let file = match self {
            Subject::SpawnSite(site) => site.file.clone(),
            Subject::Function(function)
            | Subject::Blocks { function, .. }
            | Subject::Resources { place: function, .. } => function.file.as_deref()?.to_owned(),
            Subject::Kind(_) | Subject::Process(_) | Subject::Gauge(_) | Subject::Thread(_) => return None,
        };
        let [line, column] = self.position().map(|number| Some(number).filter(|&number| number > 0));
        // `(other sites)` is no file.
        let is_file = !file.is_empty() && !file.starts_with('(');
        is_file.then_some(SourcePosition { file, line, column })
    }

    /// Returns the type of the future or the name of the function there.
    pub fn name(&self) -> Option<String> {
        match self {
            Subject::SpawnSite(site) => Some(site.type_name.clone()),
            Subject::Function(function) => Some(function.function.to_string()),
            Subject::Resources { place, .. } => {
                Some(place.function.to_string()).filter(|function| !function.is_empty())
            }
            Subject::Blocks { kind, function } => Some(format!("{} in {}", kind.as_str(), function.function)),
            Subject::Kind(_) | Subject::Process(_) | Subject::Gauge(_) | Subject::Thread(_) => None,
        }
    }

    /// Returns true if what the other is about is a part of this.
    pub(super) fn contains(&self, other: &Subject) -> bool {
        match self {
            _ if self == other => true,
            Subject::Kind(_) => other.function().is_some(),
            Subject::Process(ProcessPart::Heap) => {
                other.function().is_some() || matches!(other, Subject::Kind(_))
            }
            Subject::Process(ProcessPart::AllTasks) => other.site().is_some(),
            Subject::Gauge(Gauge::Descriptors(DescriptorKind::Socket)) => {
                matches!(other, Subject::Resources { what, .. } if what == SOCKET)
            }
            _ => false,
        }
    }

    /// The location without line and column.
    pub(super) fn file(&self) -> String {
        match self {
            Subject::SpawnSite(site) => human::name(&site.file),
            Subject::Function(function)
            | Subject::Blocks { function, .. }
            | Subject::Resources { place: function, .. } => {
                SourceLocation { line: None, ..function.clone() }.location()
            }
            Subject::Kind(_) | Subject::Process(_) | Subject::Gauge(_) | Subject::Thread(_) => {
                self.location()
            }
        }
    }

    /// Line and column; 0 for what it has not.
    pub(super) fn position(&self) -> [u32; 2] {
        match self {
            Subject::SpawnSite(site) => [site.line, site.column],
            Subject::Function(function)
            | Subject::Blocks { function, .. }
            | Subject::Resources { place: function, .. } => [function.line.unwrap_or(0), 0],
            Subject::Kind(_) | Subject::Process(_) | Subject::Gauge(_) | Subject::Thread(_) => [0; 2],
        }
    }
}

impl From<&Site> for Subject {
    fn from(site: &Site) -> Self {
        Subject::SpawnSite(site.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_location_without_its_position() {
        let site = |file: &str| {
            let (file, type_name) = (file.to_owned(), "svc::work".to_owned());
            Subject::SpawnSite(Site { file, line: 9, column: 5, type_name })
        };
        let function = |file: Option<&str>, line| {
            let (function, file) = ("svc::keep".into(), file.map(Into::into));
            Subject::Function(SourceLocation { function, file, line })
        };
        for (subject, location, file, position) in [
            (site("src/a.rs"), "src/a.rs:9:5", "src/a.rs", [9, 5]),
            (site("C:/a.rs"), "C:/a.rs:9:5", "C:/a.rs", [9, 5]),
            (site(""), ":9:5", "", [9, 5]),
            (function(Some("src/a.rs"), Some(9)), "src/a.rs:9", "src/a.rs", [9, 0]),
            (function(Some("src/a.rs"), None), "src/a.rs", "src/a.rs", [0, 0]),
            (function(None, None), "svc::keep", "svc::keep", [0, 0]),
            (Subject::Process(ProcessPart::UntrackedTasks), "(untracked)", "(untracked)", [0, 0]),
        ] {
            assert_eq!((&*subject.location(), &*subject.file()), (location, file));
            assert_eq!(subject.position(), position, "{location}");
        }
    }
}
