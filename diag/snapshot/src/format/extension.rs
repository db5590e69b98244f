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
    /// Who waits.
    Waiter {
        /// A live task.
        Task = "task",
        /// A thread.
        Thread = "thread",
    }
}

crate::schema::table! {
    /// Who waits for a lock.
    WaitRow in lock_waits, since 1.99 {
        /// What waits.
        waiter_kind: Waiter as Plain;
        /// Which of them: a task's id, the kernel's id of a thread.
        waiter: u64 as Delta;
        /// The lock's name.
        lock: StringIndex as Delta;
        /// Who has it, if anybody.
        holder: Option<StringIndex> as Delta;
    }
}

fn waiting() -> (Snapshot, Table<WaitRow>) {
    let mut snapshot = Snapshot::default();
    let [file, lock, backup] = ["main.rs", "store", "backup"].map(|name| snapshot.strings.intern(name));
    snapshot.sites.push(SiteRow { file, line: 7, ..SiteRow::default() });
    snapshot.tasks.push(TaskRow { id: TaskId(900), ..TaskRow::default() });
    let task = WaitRow { waiter_kind: Waiter::Task, waiter: 900, lock, holder: Some(backup) };
    let thread = WaitRow { waiter_kind: Waiter::Thread, waiter: 7, lock: backup, holder: None };
    (snapshot, [task, thread].into_iter().collect())
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
    let (_, waits) = waiting();
    let (raw, duplicates) = table::encode(&waits);
    assert_eq!(table::decode::<WaitRow>(&raw, &mut Budget::new()), Ok(waits.clone()));
    assert_eq!(duplicates, 0);
    assert!(waits.waiter_kind().iter().eq([Waiter::Task, Waiter::Thread]));
    assert_eq!(waits.holder().get(1), Some(None));
    let [_, waiter, lock, holder] = WaitRow::TABLE.columns else { panic!("four columns") };
    assert_eq!((waiter.coding, waiter.target, waiter.codes.len()), (Coding::Delta, None, 0));
    assert_eq!((lock.target, lock.optional), (Some(Target::Strings), false));
    assert_eq!((holder.target, holder.optional, holder.since), (Some(Target::Strings), true, "1.99"));
}

#[test]
fn a_reader_of_before_skips_it() {
    let (snapshot, waits) = waiting();
    let file = with_section(&write(&snapshot), WaitRow::TABLE.name, table::encode(&waits).0);
    assert!(file.len() > write(&snapshot).len());
    assert_eq!(read(&file), Ok((snapshot, vec![])));
}
