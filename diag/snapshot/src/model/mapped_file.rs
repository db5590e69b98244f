//! The files that are mapped into the process.

use crate::schema::table;
use crate::strings::StringIndex;
use crate::units::Bytes;

table! {
    /// A file that is mapped into the process, all of its mappings together.
    ///
    /// The 64 with the most resident bytes have a row each, largest first, and all others one row together. What
    /// processes share without a file has a name of the kernel's, `/memfd:ring` or `/dev/zero`, and counts as deleted.
    MappedFileRow in mapped_files, since 1.6 {
        /// Its path; none of all others together.
        path: Option<StringIndex> as Plain;
        /// Whether the file was deleted, so that its memory and disk are given back with the last mapping.
        is_deleted: bool as Plain;
        /// How many files are in this row.
        files: u64 as Plain;
        /// How many mappings there are.
        mappings: u64 as Plain;
        /// Address space that they take.
        mapped_bytes: u64 as Plain of Bytes;
        /// What of it is resident; none if it was too large to be counted.
        resident_bytes: Option<u64> as Plain of Option<Bytes>;
        /// Of that, pages of private mappings that the process wrote, and that are its own since.
        private_dirty_bytes: Option<u64> as Plain of Option<Bytes>;
    }
}
