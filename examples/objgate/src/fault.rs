//! Mistakes to make, one at a time.

use clap::ValueEnum;

/// A mistake that the gateway makes if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Each upload builds a client of its own, and all of them are kept for the shutdown.
    ClientPerCall,
    /// The one task that watches the quota takes a connection each time, and gives none back.
    StuckSingleton,
    /// A download that finds nothing forgets its permit.
    ForgottenPermit,
    /// What is asked of the store has no deadline.
    NoDeadline,
    /// Of a preview only the first bytes are read, and the rest of the body is kept.
    BodyNotDrained,
    /// Parts that are sent again do not hear that their upload was cancelled.
    CancelNotPassed,
    /// Nobody tells the store that an upload is given up.
    OrphanedParts,
    /// Each reload starts a watcher, and none is stopped.
    ReloadWatcher,
    /// The task that gives up idle uploads panics.
    DeadEvictor,
    /// Idle buffers are kept by tenant and request, and never found again.
    IdleKeys,
}

impl Fault {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// The lines of this package that are marked as those of a fault, as `src/store.rs:17`: `// FAULT NAME` stands at their end.
pub fn lines(fault: Fault) -> Vec<String> {
    let mark = format!("// FAULT {}", fault.name());
    let marked = |&(file, text): &(&str, &str)| {
        let lines = text.lines().zip(1..).filter(|(line, _)| line.ends_with(&mark));
        lines.map(|(_, number)| format!("src/{file}.rs:{number}")).collect::<Vec<_>>()
    };
    SOURCES.iter().flat_map(marked).collect()
}

const SOURCES: [(&str, &str); 9] = [
    ("download", include_str!("download.rs")),
    ("gateway", include_str!("gateway.rs")),
    ("idle", include_str!("idle.rs")),
    ("preview", include_str!("preview.rs")),
    ("quota", include_str!("quota.rs")),
    ("reload", include_str!("reload.rs")),
    ("store", include_str!("store.rs")),
    ("upload", include_str!("upload.rs")),
    ("uploads", include_str!("uploads.rs")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_line() {
        for fault in Fault::value_variants() {
            assert!(!lines(*fault).is_empty(), "{}", fault.name());
        }
    }

    #[test]
    fn every_mark_names_a_fault() {
        let all: usize = Fault::value_variants().iter().map(|fault| lines(*fault).len()).sum();
        let marks =
            SOURCES.iter().flat_map(|(_, text)| text.lines()).filter(|line| line.contains("// FAULT"));
        assert_eq!(marks.count(), all);
    }
}
