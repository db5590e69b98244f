//! What of each mapped file is resident.
//!
//! The page map is read for files only, the small ones first and all of them for 100 ms at most: 2 µs for each mapping
//! and up to 20 ms for each GiB that is resident. What is left then has a size and no pages.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use diag_snapshot::{MappedFileRow, Strings, Table};

use crate::sys::procfs::{MappedFile, Mapping, PageMap, Pages};

/// So long pages are counted.
const LONGEST: Duration = Duration::from_millis(100);
/// So many files have a row each.
const LISTED: usize = 64;

/// Which files are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// Those whose pages become anonymous when they are written: data and relocations of a program.
    Private,
    /// All of them.
    All,
}

/// What is mapped of some files.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Totals {
    files: u64,
    mappings: u64,
    mapped_bytes: u64,
    /// None if they were not all counted.
    pages: Option<Pages>,
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.files += other.files;
        self.mappings += other.mappings;
        self.mapped_bytes += other.mapped_bytes;
        self.pages = self.pages.zip(other.pages).map(|(these, those)| these + those);
    }

    /// What is known to be resident, then what is mapped.
    fn size(&self) -> (u64, u64) {
        (self.pages.map_or(0, |pages| pages.resident_bytes), self.mapped_bytes)
    }
}

/// The files that are mapped.
pub(super) struct MappedFiles<'a> {
    by_file: HashMap<MappedFile<'a>, Totals>,
}

impl<'a> MappedFiles<'a> {
    /// Those among the mappings that are wanted.
    pub(super) fn read(mappings: &[Mapping<'a>], pages: &PageMap, wanted: Files) -> Self {
        let is_wanted = |mapping: &&Mapping<'_>| wanted == Files::All || !mapping.is_shared;
        let files = mappings.iter().filter(is_wanted).filter_map(|mapping| Some((mapping.file?, mapping)));
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|(_, mapping)| mapping.bytes());
        let until = Instant::now() + LONGEST;
        let count = |mapping: &Mapping<'_>| pages.count(&mapping.range, || Instant::now() < until);
        MappedFiles::add_up(files.into_iter().map(|(file, mapping)| (file, mapping.bytes(), count(mapping))))
    }

    /// From the size and the pages of each mapping.
    fn add_up(mappings: impl Iterator<Item = (MappedFile<'a>, u64, Option<Pages>)>) -> Self {
        let mut by_file: HashMap<MappedFile<'a>, Totals> = HashMap::new();
        for (file, mapped_bytes, pages) in mappings {
            let none = Totals { files: 1, mappings: 0, mapped_bytes: 0, pages: Some(Pages::default()) };
            by_file.entry(file).or_insert(none).add(Totals { files: 0, mappings: 1, mapped_bytes, pages });
        }
        MappedFiles { by_file }
    }

    /// Bytes of pages that were written and are no file's any more.
    pub(super) fn private_dirty_bytes(&self) -> u64 {
        self.by_file.values().filter_map(|totals| Some(totals.pages?.own_bytes)).sum()
    }

    /// A row for each of the largest, and one for all others together.
    pub(super) fn rows(self, strings: &mut Strings) -> Table<MappedFileRow> {
        let mut files: Vec<(MappedFile<'_>, Totals)> = self.by_file.into_iter().collect();
        files.sort_unstable_by_key(|(file, totals)| (Reverse(totals.size()), *file));
        let others = files.split_off(files.len().min(LISTED)).into_iter().map(|(_, totals)| totals);
        let others = others.reduce(|mut all, one| {
            all.add(one);
            all
        });
        let largest = files.into_iter().map(|(file, totals)| row(Some(file), totals, strings));
        let mut rows: Table<MappedFileRow> = largest.collect();
        others.into_iter().for_each(|totals| rows.push(row(None, totals, strings)));
        rows
    }
}

fn row(file: Option<MappedFile<'_>>, totals: Totals, strings: &mut Strings) -> MappedFileRow {
    MappedFileRow {
        path: file.map(|file| strings.intern(file.path)),
        is_deleted: file.is_some_and(|file| file.is_deleted),
        files: totals.files,
        mappings: totals.mappings,
        mapped_bytes: totals.mapped_bytes,
        resident_bytes: totals.pages.map(|pages| pages.resident_bytes),
        private_dirty_bytes: totals.pages.map(|pages| pages.own_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    fn file(path: &str) -> MappedFile<'_> {
        MappedFile { path, is_deleted: false }
    }

    fn pages(resident_bytes: u64, own_bytes: u64) -> Option<Pages> {
        Some(Pages { resident_bytes, own_bytes })
    }

    #[test]
    fn mappings_of_a_file_are_one_row_and_a_deleted_file_is_another() {
        let deleted = MappedFile { path: "a", is_deleted: true };
        let mappings = [
            (file("a"), 8 * KIB, pages(4 * KIB, 4 * KIB)),
            (file("b"), 8 * KIB, pages(8 * KIB, 0)),
            (file("a"), 4 * KIB, pages(KIB, 0)),
            (deleted, 4 * KIB, None),
            (deleted, 4 * KIB, pages(KIB, KIB)),
        ];
        let files = MappedFiles::add_up(mappings.into_iter());
        assert_eq!(files.private_dirty_bytes(), 4 * KIB);
        let mut strings = Strings::default();
        let rows: Vec<MappedFileRow> = files.rows(&mut strings).iter().collect();
        let [a, b] = ["a", "b"].map(|path| Some(strings.intern(path)));
        let of = |row: &MappedFileRow| {
            (row.path, row.is_deleted, row.mappings, row.mapped_bytes, row.resident_bytes)
        };
        assert_eq!(
            rows.iter().map(of).collect::<Vec<_>>(),
            [
                (b, false, 1, 8 * KIB, Some(8 * KIB)),
                (a, false, 2, 12 * KIB, Some(5 * KIB)),
                (a, true, 2, 8 * KIB, None)
            ]
        );
        assert_eq!(rows[1].private_dirty_bytes, Some(4 * KIB));
    }

    #[test]
    fn what_is_not_listed_is_added_up() {
        let names: Vec<String> = (0..100).map(|i| format!("f{i}")).collect();
        let mappings = (0..).zip(&names).map(|(i, name)| (file(name), KIB, pages(i, 0)));
        let files = MappedFiles::add_up(mappings);
        let rows = files.rows(&mut Strings::default());
        let last = rows.iter().last().expect("rows");
        assert_eq!((rows.len(), last.path, last.files, last.mappings), (LISTED + 1, None, 36, 36));
        assert_eq!((last.mapped_bytes, last.resident_bytes), (36 * KIB, Some((0..36).sum())));
    }
}
