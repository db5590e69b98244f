//! Where the file of a module, or one with its debug info, may lie.
//!
//! The path of a module comes from the snapshot, perhaps a stranger's: it is only followed to a regular file,
//! and a file is only read on if its build id is the snapshot's.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use diag_symbols::{Detail, ElfFile};

use super::Note;

/// Where distributions keep debug files.
const SYSTEM_DIR: &str = "/usr/lib/debug";
/// How deep a folder is searched; that of a distribution's kind is not searched but known.
const MAX_DEPTH: usize = 3;
/// So many files of a folder are looked at.
const MAX_FILES: usize = 20_000;

/// The folders in which debug files are looked for, besides where the modules and the system have them.
#[derive(Clone, Debug, Default)]
pub struct DebugFiles {
    dirs: Vec<PathBuf>,
    /// What lies in the folders, in the order in which it was found.
    by_build_id: BTreeMap<String, Vec<PathBuf>>,
}

/// A folder that cannot be listed.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnreadableDir {
    /// The folder.
    pub dir: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for UnreadableDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        write!(f, "cannot list the debug files in {dir}: {}; give a folder that can be read", self.error)
    }
}

impl std::error::Error for UnreadableDir {}

impl DebugFiles {
    /// Lists the ELF files in these folders, up to three levels deep. A folder `.build-id` in them is taken
    /// for one like the system's.
    pub fn in_dirs(dirs: &[PathBuf]) -> Result<Self, UnreadableDir> {
        let mut files = DebugFiles { dirs: dirs.to_vec(), by_build_id: BTreeMap::new() };
        for dir in dirs {
            std::fs::read_dir(dir).map_err(|error| UnreadableDir { dir: dir.clone(), error })?;
            let mut left = MAX_FILES;
            files.list(dir, MAX_DEPTH, &mut left);
        }
        Ok(files)
    }

    /// The same with one file more, if it is an ELF file that says which build it is.
    #[must_use]
    pub fn with_file(mut self, path: &Path) -> Self {
        if let Some(build_id) = ElfFile::open(path).and_then(|file| file.build_id()) {
            self.by_build_id.entry(build_id).or_default().push(path.to_owned());
        }
        self
    }

    /// True if no folder was given.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Adds what can be read of a folder, in the order of the names. Links to folders are not followed: they
    /// may lead round in a circle.
    fn list(&mut self, dir: &Path, depth: usize, left: &mut usize) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let is_dir = path.symlink_metadata().is_ok_and(|facts| facts.is_dir());
            if is_dir && depth > 1 && path.file_name().is_some_and(|name| name != ".build-id") {
                self.list(&path, depth - 1, left);
            } else if !is_dir && *left > 0 {
                *left -= 1;
                if let Some(build_id) = ElfFile::open(&path).and_then(|file| file.build_id()) {
                    self.by_build_id.entry(build_id).or_default().push(path);
                }
            }
        }
    }

    /// The file that tells most about the module.
    pub(super) fn find(&self, wanted: Wanted<'_>) -> Option<ElfFile> {
        let own = ElfFile::open(&wanted.module_path()).filter(|file| wanted.is_in(file));
        let linked = own.as_ref().and_then(ElfFile::debug_link).map(|name| wanted.linked(&name));
        let separate = linked.unwrap_or_default().into_iter().chain(wanted.in_tree(SYSTEM_DIR.as_ref()));
        let separate = separate.filter_map(|path| ElfFile::open(&path)).filter(|file| wanted.is_in(file));
        most_detailed(self.find_asked_for(wanted).into_iter().chain(own).chain(separate))
    }

    /// The file of the folders that tells most about the module.
    pub(super) fn find_asked_for(&self, wanted: Wanted<'_>) -> Option<ElfFile> {
        let listed = self.by_build_id.get(wanted.build_id).into_iter().flatten().cloned();
        let paths = listed.chain(self.dirs.iter().filter_map(|dir| wanted.in_tree(dir)));
        most_detailed(paths.filter_map(|path| ElfFile::open(&path)).filter(|file| wanted.is_in(file)))
    }
}

/// Of several equal ones the first.
fn most_detailed(files: impl Iterator<Item = ElfFile>) -> Option<ElfFile> {
    files.min_by_key(|file| std::cmp::Reverse(file.detail())).filter(|file| file.detail() != Detail::None)
}

/// A module of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// As the service had it loaded.
    pub(super) path: &'a str,
    /// Lower-case hex.
    pub(super) build_id: &'a str,
}

impl Wanted<'_> {
    fn is_in(&self, file: &ElfFile) -> bool {
        file.build_id().as_deref() == Some(self.build_id)
    }

    /// What is said if the module's path leads to a file of another build.
    pub(super) fn other_build(&self) -> Option<Note> {
        let file = ElfFile::open(&self.module_path()).filter(|file| !self.is_in(file))?;
        let path = self.module_path().to_string_lossy().into_owned();
        Some(Note::OtherBuild { path, now: file.build_id(), then: self.build_id.to_owned() })
    }

    /// The module's own file, or what lies there since it was replaced.
    fn module_path(&self) -> PathBuf {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(self.path);
        // A relative path of another process would lead anywhere.
        PathBuf::from(if path.starts_with('/') { path } else { "" })
    }

    /// Where a file of this name, which the module's own file asks for, may lie: beside it, in `.debug`, or in
    /// the system's tree. (GDB manual, "Separate Debug Files".)
    fn linked(&self, name: &str) -> Vec<PathBuf> {
        let path = self.module_path();
        let Some(dir) = path.parent() else { return Vec::new() };
        let in_system = Path::new(SYSTEM_DIR).join(dir.strip_prefix("/").unwrap_or(dir));
        vec![dir.join(name), dir.join(".debug").join(name), in_system.join(name)]
    }

    /// Where a tree like the system's has the debug file of this build; none unless the id is in hex.
    fn in_tree(&self, dir: &Path) -> Option<PathBuf> {
        let (first, rest) = self.build_id.split_at_checked(2)?;
        let is_hex = self.build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) && !rest.is_empty();
        is_hex.then(|| dir.join(".build-id").join(first).join(format!("{rest}.debug")))
    }
}
