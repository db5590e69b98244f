//! Programs and libraries that a test builds against the library that lies beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler, told of diag; `None` without a build of it.
pub(crate) fn rustc() -> Option<Command> {
    let itself = std::env::current_exe().expect("this test has a path");
    let folder = itself.parent().expect("it lies in a folder");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("--edition=2024").arg("--extern").arg(format!("diag={}", diag(folder)?.display()));
    rustc.arg("-L").arg(format!("dependency={}", folder.display()));
    Some(rustc)
}

/// The newest build of diag in this folder.
fn diag(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_diag = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libdiag-") && name.ends_with(".rlib")
    };
    files.filter(is_diag).max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
}
