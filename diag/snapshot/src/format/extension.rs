//! What a table more takes: a declaration. The codec writes and reads it as it is, and a reader of before, which does
//! not know it, reads the same file and misses nothing of its own.
//!
//! A table of the recorder's has besides that its field in [`Snapshot`](crate::Snapshot), and a line in
//! [`visit_tables`](crate::Snapshot::visit_tables) and in [`read`](fn@crate::read).

use super::section::{Budget, Packer};
use super::{header, table};
use crate::model::{SiteRow, Snapshot, TaskId, TaskRow};
use crate::schema::{Coding, Target, codes};
use crate::strings::StringIndex;
use crate::table::{Row, Table};
use crate::{read, write};

codes! {
    /// What a label is on.
    Owner {
        /// A live task.
        Task = "task",
        /// A spawn site.
        Site = "site",
    }
}

crate::schema::table! {
    /// A key and a value on something.
    LabelRow in labels, since 1.9 {
        /// On what.
        owner_kind: Owner as Plain;
        /// Which of them: a task's id, the index of a site.
        owner: u64 as Delta;
        /// Its name.
        key: StringIndex as Delta;
        /// Its value, if it has one.
        value: Option<StringIndex> as Delta;
    }
}

fn labelled() -> (Snapshot, Table<LabelRow>) {
    let mut snapshot = Snapshot::default();
    let [file, tenant, acme] = ["main.rs", "tenant", "acme"].map(|name| snapshot.strings.intern(name));
    snapshot.sites.push(SiteRow { file, line: 7, ..SiteRow::default() });
    snapshot.tasks.push(TaskRow { id: TaskId(900), ..TaskRow::default() });
    let task = LabelRow { owner_kind: Owner::Task, owner: 900, key: tenant, value: Some(acme) };
    let site = LabelRow { owner_kind: Owner::Site, owner: 0, key: acme, value: None };
    (snapshot, [task, site].into_iter().collect())
}

/// `file` with a section more, made of its own sections as they are stored.
fn with_section(file: &[u8], name: &str, raw: Vec<u8>) -> Vec<u8> {
    let mut entries = header::Header::parse(file).expect("a file").entries;
    let stored =
        |entry: &header::Entry| file[entry.offset as usize..][..entry.stored_bytes as usize].to_vec();
    let mut sections: Vec<Vec<u8>> = entries.iter().map(stored).collect();
    let raw_bytes = raw.len() as u64;
    sections.push(Packer::new().pack(raw));
    entries.push(header::Entry::new(name, &sections[sections.len() - 1], raw_bytes));
    [header::encode(&entries), sections.concat()].concat()
}

#[test]
fn a_table_more_is_written_and_read_by_its_declaration() {
    let (_, labels) = labelled();
    let (raw, duplicates) = table::encode(&labels);
    assert_eq!(table::decode::<LabelRow>(&raw, &mut Budget::new()), Ok(labels.clone()));
    assert_eq!(duplicates, 0);
    assert!(labels.owner_kind().iter().eq([Owner::Task, Owner::Site]));
    assert_eq!(labels.value().get(1), Some(None));
    let [_, owner, key, value] = LabelRow::TABLE.columns else { panic!("four columns") };
    assert_eq!((owner.coding, owner.target, owner.codes.len()), (Coding::Delta, None, 0));
    assert_eq!((key.target, key.optional), (Some(Target::Strings), false));
    assert_eq!((value.target, value.optional, value.since), (Some(Target::Strings), true, "1.9"));
}

#[test]
fn a_reader_of_before_skips_it() {
    let (snapshot, labels) = labelled();
    let file = with_section(&write(&snapshot), LabelRow::TABLE.name, table::encode(&labels).0);
    assert!(file.len() > write(&snapshot).len());
    assert_eq!(read(&file), Ok((snapshot, vec![])));
}
