//! Scratch folders of tests, which are removed when they are dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diag::resource::{InUse, acquire};

/// A folder for one test.
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    left: Arc<AtomicU64>,
    _in_use: InUse,
}

impl Scratch {
    /// Makes one. `left` counts those that are there.
    pub(crate) fn create(dir: &Path, left: &Arc<AtomicU64>) -> anyhow::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = dir.join(format!("scratch-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path)?;
        left.fetch_add(1, Ordering::Relaxed);
        let in_use = acquire("scratch folder"); // FAULT forget
        Ok(Scratch { path, left: left.clone(), _in_use: in_use })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays, and is looked at by whoever finds it.
        let _ = fs::remove_dir_all(&self.path);
        self.left.fetch_sub(1, Ordering::Relaxed);
    }
}
