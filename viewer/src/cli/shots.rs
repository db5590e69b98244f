//! Snapshots of a running service, in the order in which they are taken: in hand, and in a folder if somebody wants them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diag_analysis::Analysis;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_diff::Series;
use diag_diff::series::Member as _;
use diag_snapshot::{Keep, file};
use diag_viewer::agent::Agent;

use super::exit::Failure;
use super::output::note;
use super::snap::{Asked, take};

/// So many are in hand and in the folder at once, the newest in any case.
const KEPT: usize = 24;
const NEWEST: usize = 8;

/// Who is asked, and how long.
pub(super) struct From {
    pub(super) agent: Agent,
    pub(super) token: Option<String>,
    pub(super) within: Duration,
}

/// See the module.
pub(super) struct Shots {
    from: From,
    debug: DebugFiles,
    folder: Option<PathBuf>,
    members: Vec<Shot>,
}

/// A snapshot, and the file that it is kept in.
struct Shot {
    analysis: Analysis,
    path: Option<PathBuf>,
}

impl Shots {
    /// None yet. The folder is made.
    pub(super) fn new(from: From, debug: DebugFiles, folder: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        }
        Ok(Shots { from, debug, folder, members: Vec::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes one more, and gives up what is too many.
    pub(super) fn take(&mut self) -> Result<(), Failure> {
        let shot = self.shot()?;
        self.members.push(shot);
        for gone in Keep::new(NEWEST, KEPT).thin(&mut self.members, |shot| shot.analysis.taken_unix_us()) {
            gone.remove();
        }
        Ok(())
    }

    /// All of them. They stay in the order in which they came: a clock that is set back is no matter.
    pub(super) fn series(&self) -> Result<Series<&Analysis>, Failure> {
        let members = self.members.iter().map(|shot| &shot.analysis).collect();
        Series::as_given(members).map_err(Failure::NotComparable)
    }

    fn shot(&self) -> Result<Shot, Failure> {
        let From { agent, token, within } = &self.from;
        let asked =
            Asked { token: token.as_deref(), within: *within, ask: false, holders: false, cpu_seconds: None };
        let (mut snapshot, bytes) = take(agent, &asked)?;
        let name = |folder: &PathBuf| folder.join(format!("{}.diag", snapshot.taken_unix_us()));
        let path = self.folder.as_ref().map(name);
        if let Some(path) = &path {
            file::write(path, &bytes).map_err(|error| Failure::Unreadable(error.to_string()))?;
        }
        for told in fill_in(&mut snapshot, &self.debug) {
            note(&told.to_string());
        }
        Ok(Shot { analysis: Analysis::new(snapshot), path })
    }
}

impl Shot {
    /// Removes the file. That it cannot be removed does not change what is found.
    fn remove(self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            note(&format!("{} stays: {error}", path.display()));
        }
    }
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::Unreadable(format!("cannot make the folder {}: {error}", folder.display()))
}
