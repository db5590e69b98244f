//! Temporary folders.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// A folder of a test's own, which goes with all that is in it when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one, empty, whose name begins with `diag-` and `name`.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("diag-{name}-{}-{number}", process::id()));
        // What an earlier process of this id left when it was killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Folder(path)
    }

    /// The names of what is in it, ascending.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        names(self)
    }
}

/// The names of what is in a folder, ascending.
#[track_caller]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it can be listed");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("it can be listed").file_name();
    let mut names: Vec<String> =
        entries.map(|entry| name(entry).into_string().expect("a name is text")).collect();
    names.sort();
    names
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_own_and_goes_with_what_is_in_it() {
        let (one, other) = (Folder::new("folder"), Folder::new("folder"));
        fs::write(one.join("b"), "").expect("a file");
        fs::create_dir(one.join("a")).expect("a folder");
        assert_eq!((one.names(), other.names()), (vec!["a".to_owned(), "b".to_owned()], vec![]));
        let path = one.to_owned();
        drop(one);
        assert!(!path.exists() && other.exists());
    }
}
