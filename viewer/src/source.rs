//! Where snapshots come from: files, folders that fill, agents of running services.
//!
//! A source is only a list of places; what is in them now is asked by the library, again for every
//! page that needs to know.

use std::path::{Path, PathBuf};

use diag_analysis::symbols::DebugFiles;

use crate::agent::Agent;

/// The places that a viewer looks at.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub(crate) places: Vec<Place>,
    pub(crate) debug: DebugFiles,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Exactly this file, whatever its name.
    File(PathBuf),
    /// The files `*.diag` of this folder, not of folders in it and not what links point to.
    Folder(PathBuf),
    /// A running service.
    Agent(Agent),
}

impl Source {
    /// One snapshot file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Source::place(Place::File(path.into()))
    }

    /// The files `*.diag` in a folder, those that come later too.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Source::place(Place::Folder(path.into()))
    }

    /// A running service.
    pub fn agent(agent: Agent) -> Self {
        Source::place(Place::Agent(agent))
    }

    fn place(place: Place) -> Self {
        Source { places: vec![place], debug: DebugFiles::default() }
    }

    /// The same places, and where to look for the names of what services left without.
    #[must_use]
    pub fn with_debug_files(self, debug: DebugFiles) -> Self {
        Source { debug, ..self }
    }

    /// The places of both.
    #[must_use]
    pub fn and(mut self, other: Source) -> Self {
        self.places.extend(other.places);
        self
    }

    /// What a person typed: a file, a folder or the address of an agent.
    ///
    /// # Errors
    /// If it is none of these, with what to give instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if path.is_dir() {
            Ok(Source::folder(path))
        } else if path.exists() {
            Ok(Source::file(path))
        } else if is_address(text) {
            Agent::parse(text).map(Source::agent)
        } else {
            Err(format!(
                "`{text}` is no file and no folder; for a running service write `http://127.0.0.1:9797`"
            ))
        }
    }
}

/// `http://..` or `host:port`; a bare word is more likely a file that is not there.
fn is_address(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    text.contains("://") || port.is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parsed = match Source::parse(text).as_ref().map(|source| source.places.as_slice()) {
            Ok([Place::File(_)]) => "file".to_owned(),
            Ok([Place::Folder(_)]) => "folder".to_owned(),
            Ok([Place::Agent(agent)]) => agent.authority().to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.clone(),
        };
        assert!(parsed.contains(expected), "{text}: {parsed}");
    }

    #[test]
    fn what_people_type() {
        check(env!("CARGO_MANIFEST_DIR"), "folder");
        check(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "file");
        check("http://127.0.0.1:9797", "127.0.0.1:9797");
        check("localhost:9797", "localhost:9797");
        check("http://localhost", "localhost");
        check("missing.diag", "no file and no folder");
        check("https://localhost", "plain http");
    }
}
