//! The largest mapped files.

use crate::human::{bytes, counted, name};
use crate::views::MappedFileView;

/// So many are listed.
const LISTED: usize = 8;

/// Empty if none is known.
pub(super) fn mapped_files(views: &[MappedFileView]) -> String {
    if views.is_empty() {
        return String::new();
    }
    let listed: String = views.iter().take(LISTED).map(line).collect();
    let rest = views.iter().skip(LISTED).map(|view| view.files);
    let rest = match rest.fold(0, u64::saturating_add) {
        0 => String::new(),
        rest => format!("and {}\n", counted(rest, "smaller file")),
    };
    format!("mapped files, by what of them is resident:\n{listed}{rest}")
}

/// `[4.5 MiB of 9 MiB] /usr/bin/shop, 5 mappings, 300 KiB changed in memory`
fn line(view: &MappedFileView) -> String {
    let resident = view.resident_bytes.map_or("not counted".to_owned(), bytes);
    let path = match &view.path {
        Some(path) => name(path),
        None => counted(view.files, "other file"),
    };
    let deleted = if view.is_deleted { " (deleted)" } else { "" };
    let changed = view.private_dirty_bytes.filter(|&size| size > 0);
    let changed = changed.map(|size| format!(", {} changed in memory", bytes(size))).unwrap_or_default();
    let mappings = counted(view.mappings, "mapping");
    format!("[{resident} of {}] {path}{deleted}, {mappings}{changed}\n", bytes(view.mapped_bytes))
}
