//! Reading a snapshot by spawn line.

use diag_snapshot::{EndRow, SiteRow, Snapshot, TaskRow};

/// What a snapshot says of the tasks spawned at one line of a test file.
pub(crate) struct Seen {
    pub(crate) site: SiteRow,
    pub(crate) live: Vec<TaskRow>,
    pub(crate) ends: Vec<EndRow>,
}

/// The tasks spawned at `line` of `file`.
pub(crate) fn seen(snapshot: &Snapshot, file: &str, line: u32) -> Seen {
    let is_it = |row: &SiteRow| row.line == line && snapshot.strings.show(row.file) == file;
    let index = snapshot.sites.iter().position(|row| is_it(&row)).expect("the site is in the snapshot");
    Seen {
        site: snapshot.sites.get(index).expect("just found"),
        live: snapshot.tasks.iter().filter(|task| task.site.0 as usize == index).collect(),
        ends: snapshot.ends.iter().filter(|end| end.site.0 as usize == index).collect(),
    }
}
