//! A snapshot in the formats of other tools.
//!
//! Each format is a file of this folder and a name in the list below. `diag export`, the agent's `/export/NAME` and
//! `/debug/pprof/`, and the help of both are made of [`ALL`]. Files of diag's own format are written by
//! [`format::write`](diag_snapshot::write).

mod live;

use std::io;

use crate::Analysis;
use crate::registry::registry;

/// Writes what is in a snapshot as another tool reads it.
///
/// An exporter is total: a snapshot that lies gives a valid file all the same.
pub trait Exporter: Sync {
    /// What it is called on the command line and in URLs: small letters and digits.
    fn name(&self) -> &'static str;

    /// What its files end with, without the first dot.
    fn extension(&self) -> &'static str;

    /// The media type of its files.
    fn content_type(&self) -> &'static str;

    /// What it holds and who reads it, in one line.
    fn about(&self) -> &'static str;

    /// What has to be in a snapshot for this format.
    fn needs(&self) -> Needs;

    /// Writes the whole file to `out`.
    ///
    /// # Errors
    /// Those of `out`; there are no others.
    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()>;
}

/// What has to be in a snapshot for a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The rows and totals that every snapshot has.
    Figures,
    /// The sampled heap with its call stacks.
    Heap,
}

impl Needs {
    /// True if a snapshot with such a heap, or without one, has what is needed.
    pub fn are_met(self, has_heap: bool) -> bool {
        has_heap || self != Needs::Heap
    }
}

registry! {
    Exporter:
    #[cfg(feature = "pprof")]
    pprof,
    collapsed,
    firefox,
    openmetrics,
    prometheus,
    speedscope,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::check_names;

    #[test]
    fn each_format_has_a_name_of_its_own_and_says_what_it_is() {
        let about = |name: &str| by_name(name).map(|format| format.about());
        check_names(ALL.iter().map(|format| (format.name(), format.about())), about);
        for format in ALL {
            let name = format.name();
            assert!(!format.extension().is_empty() && !format.extension().starts_with('.'), "{name}");
            assert!(format.content_type().contains('/'), "{name}");
        }
    }

    #[test]
    fn every_format_has_something_to_say_of_an_empty_snapshot() {
        for format in ALL {
            let mut file = Vec::new();
            format
                .export(&Analysis::new(diag_snapshot::Snapshot::default()), &mut file)
                .expect("memory takes it");
            assert!(!file.is_empty() || format.name() == "collapsed", "{}", format.name());
        }
    }
}
