//! What readers of cores are told is what it was when they were written, or another version.

use std::fmt::Write as _;

use diag_test_support::golden::assert_golden;

use super::*;

fn text(name: &[u8]) -> &str {
    str::from_utf8(name).expect("text").trim_end_matches('\0')
}

/// All facts and tables, as a reader finds them: one behind the other.
fn parts() -> (&'static [Fact], &'static [Table]) {
    let (facts, tables) = (&CORE_LAYOUT.facts, &CORE_LAYOUT.tables);
    let lens = [CORE_LAYOUT.facts_len, CORE_LAYOUT.tables_len].map(|len| len as usize);
    // SAFETY: both are `repr(C)` and of nothing but so many of these.
    unsafe {
        let facts = std::slice::from_raw_parts(std::ptr::from_ref(facts).cast::<Fact>(), lens[0]);
        (facts, std::slice::from_raw_parts(std::ptr::from_ref(tables).cast::<Table>(), lens[1]))
    }
}

/// Blessing what has changed is for who has raised [`VERSION`], and has taught it to the reader.
#[test]
fn what_is_told_changes_with_the_version_only() {
    let (facts, tables) = parts();
    let mut told = format!("version {VERSION}\n");
    facts.iter().for_each(|fact| told += &format!("fact {}\n", text(&fact.name)));
    for table in tables {
        let _ = writeln!(told, "table {}", text(&table.name));
        for column in table.columns() {
            let _ = writeln!(told, "  {}: {} of {} bytes", text(&column.name), column.count, column.width);
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/core_layout/told.txt");
    assert_golden(path, &told);
}

#[test]
fn columns_lie_in_their_records_and_not_in_each_other() {
    let end = |column: &Column| column.offset + column.width * column.count;
    for table in parts().1 {
        let mut columns = table.columns().to_vec();
        columns.sort_by_key(|column| column.offset);
        let is_apart = |columns: &[Column]| end(&columns[0]) <= columns[1].offset;
        assert!(columns.windows(2).all(is_apart), "{}", text(&table.name));
        assert!(columns.last().is_none_or(|last| end(last) <= table.stride), "{}", text(&table.name));
    }
}

#[test]
fn it_says_where_it_is_itself() {
    let own = CORE_LAYOUT.own.load(Ordering::Relaxed).cast_const();
    assert!(std::ptr::eq(own, &raw const CORE_LAYOUT));
    let offsets = [std::mem::offset_of!(CoreLayout, own), std::mem::offset_of!(CoreLayout, version)];
    assert_eq!(offsets, [16, 24], "a reader of any version begins so");
}
