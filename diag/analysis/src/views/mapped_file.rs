//! The files that are mapped, with what of them is resident.

use serde::Serialize;

use crate::Analysis;

/// A file that is mapped, or all files together that have no row of their own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MappedFileView {
    /// Its path; none of several files together.
    pub path: Option<String>,
    /// Whether it was deleted, or never had a name.
    pub is_deleted: bool,
    /// How many files it is.
    pub files: u64,
    /// How many mappings they have.
    pub mappings: u64,
    /// Address space of these.
    pub mapped_bytes: u64,
    /// What of it is resident; none if it was too large to be counted.
    pub resident_bytes: Option<u64>,
    /// Of that, what the process wrote to private mappings.
    pub private_dirty_bytes: Option<u64>,
}

impl Analysis {
    /// Returns the files that are mapped, the largest first, those without a row of their own last.
    pub fn mapped_file_views(&self) -> Vec<MappedFileView> {
        let snapshot = self.snapshot();
        let view = |file: diag_snapshot::MappedFileRow| MappedFileView {
            path: file.path.map(|path| snapshot.strings.show(path).to_owned()),
            is_deleted: file.is_deleted,
            files: file.files,
            mappings: file.mappings,
            mapped_bytes: file.mapped_bytes,
            resident_bytes: file.resident_bytes,
            private_dirty_bytes: file.private_dirty_bytes,
        };
        snapshot.mapped_files.iter().map(view).collect()
    }
}
