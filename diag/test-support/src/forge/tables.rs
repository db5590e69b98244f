//! Tables by the book: which there are and what columns they have is read from the text of SPEC.md, sec. 6, how
//! they are coded is sec. 5 done once more, as naively as it can be. Nothing here knows the declarations.

use std::collections::BTreeMap;

use super::{Forge, table};

/// A table as SPEC.md has it.
#[derive(Debug)]
pub struct TableText {
    /// As it stands in the file.
    pub name: String,
    /// Minor version that it came with.
    pub since: u16,
    /// In their order.
    pub columns: Vec<ColumnText>,
}

/// A column as SPEC.md has it.
#[derive(Debug)]
pub struct ColumnText {
    /// As it stands in the file.
    pub name: String,
    /// As the file has it: 0 plain, 1 delta, 2 ascending.
    pub coding: u8,
    /// True if a row may have no value.
    pub optional: bool,
    /// Minor version that it came with.
    pub since: u16,
}

/// What a table says: the values of each column, `None` where one is absent.
pub type Values = BTreeMap<String, Vec<Option<u64>>>;

/// The tables of SPEC.md.
pub fn tables() -> Vec<TableText> {
    let spec = include_str!("../../../snapshot/SPEC.md");
    let section = spec.split("\n## ").find(|section| section.starts_with("6. ")).unwrap();
    section.split("\n### ").skip(1).map(table_text).collect()
}

fn table_text(text: &str) -> TableText {
    let columns: Vec<ColumnText> = text.lines().filter(|line| line.starts_with("| `")).map(column).collect();
    let since = columns.iter().map(|column| column.since).min().unwrap();
    TableText { name: quoted(text), since, columns }
}

fn column(line: &str) -> ColumnText {
    let cells: Vec<&str> = line.split(" | ").collect();
    let [name, coding, since, _] = cells[..] else { panic!("{line}") };
    let words: Vec<&str> = coding.split(", ").collect();
    let coding = ["plain", "delta", "ascending"].into_iter().position(|word| word == words[0]).unwrap();
    ColumnText {
        name: quoted(name),
        coding: coding as u8,
        optional: words.contains(&"optional"),
        since: since.strip_prefix("1.").unwrap().parse().unwrap(),
    }
}

/// What stands between the first two backticks.
fn quoted(text: &str) -> String {
    text.split('`').nth(1).unwrap().to_owned()
}

/// What every table of a file says, by name.
pub fn open(forge: &Forge) -> BTreeMap<String, Values> {
    let known = tables();
    let other = ["facts", "strings"];
    let sections = forge.sections.iter().filter(|(name, _)| !other.contains(&&name[..]));
    let values = sections.map(|(name, raw)| {
        let text = known.iter().find(|table| table.name == *name);
        (name.clone(), decode(text.unwrap_or_else(|| panic!("SPEC.md lacks {name}")), raw, forge.minor))
    });
    values.collect()
}

/// The strings of a file: sec. 4.
pub fn strings(forge: &Forge) -> Vec<String> {
    let mut raw = forge.raw("strings");
    let lengths: Vec<u64> = (0..number(&mut raw)).map(|_| number(&mut raw)).collect();
    lengths.into_iter().map(|length| String::from_utf8(bytes(&mut raw, length).to_vec()).unwrap()).collect()
}

/// The same file with its tables encoded anew.
pub fn encode_again(forge: &Forge) -> Forge {
    let mut again = forge.clone();
    let values = open(forge);
    for table in tables() {
        if let Some(values) = values.get(&table.name) {
            *again.section(&table.name) = encode(&table, values);
        }
    }
    again
}

fn decode(text: &TableText, mut raw: &[u8], minor: u16) -> Values {
    let raw = &mut raw;
    let rows = number(raw) as usize;
    let stored: BTreeMap<String, Vec<u64>> = (0..number(raw)).map(|_| stored_column(raw, rows)).collect();
    assert!(raw.is_empty(), "{} bytes behind the columns of {}", raw.len(), text.name);
    for name in stored.keys() {
        let known = text.columns.iter().find(|column| column.name == *name && column.since <= minor);
        assert!(known.is_some(), "SPEC.md has no {}.{name} in 1.{minor}", text.name);
    }
    let values = text.columns.iter().map(|column| {
        let values = match (stored.get(&column.name), column.optional) {
            (Some(values), true) => values.iter().map(|value| value.checked_sub(1)).collect(),
            (Some(values), false) => values.iter().map(|&value| Some(value)).collect(),
            (None, true) => vec![None; rows],
            (None, false) => panic!("{}.{} must be there", text.name, column.name),
        };
        (column.name.clone(), values)
    });
    values.collect()
}

fn stored_column(raw: &mut &[u8], rows: usize) -> (String, Vec<u64>) {
    let length = number(raw);
    let name = String::from_utf8(bytes(raw, length).to_vec()).unwrap();
    let coding = bytes(raw, 1)[0];
    let length = number(raw);
    let mut data = bytes(raw, length);
    let mut before: i128 = if coding == 2 { -1 } else { 0 };
    let values = (0..rows).map(|_| {
        let code = i128::from(number(&mut data));
        before = match coding {
            0 => code,
            1 => before + if code % 2 == 0 { code / 2 } else { -(code + 1) / 2 },
            2 => before + 1 + code,
            _ => panic!("coding {coding}"),
        };
        u64::try_from(before).unwrap()
    });
    let values = values.collect();
    assert!(data.is_empty(), "{name} is longer than its rows");
    (name, values)
}

fn encode(text: &TableText, values: &Values) -> Vec<u8> {
    let rows = values.values().map(Vec::len).max().unwrap();
    let columns: Vec<(&str, u8, Vec<u64>)> = text
        .columns
        .iter()
        .map(|column| {
            let values = &values[&column.name];
            let whole = values.iter().map(|value| match column.optional {
                true => value.map_or(0, |value| value + 1),
                false => value.unwrap(),
            });
            (&column.name[..], column.coding, codes(column.coding, &whole.collect::<Vec<_>>()))
        })
        .collect();
    let columns: Vec<(&str, u8, &[u64])> =
        columns.iter().map(|(name, coding, codes)| (*name, *coding, &codes[..])).collect();
    table(rows as u64, &columns)
}

fn codes(coding: u8, values: &[u64]) -> Vec<u64> {
    let mut before: i128 = if coding == 2 { -1 } else { 0 };
    let codes = values.iter().map(|&value| {
        let difference = i128::from(value) - before;
        before = i128::from(value);
        u64::try_from(match coding {
            0 => before,
            1 if difference >= 0 => 2 * difference,
            1 => -2 * difference - 1,
            _ => difference - 1,
        })
        .unwrap()
    });
    codes.collect()
}

fn number(raw: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes(raw, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn bytes<'a>(raw: &mut &'a [u8], length: u64) -> &'a [u8] {
    let (taken, rest) = raw.split_at(length as usize);
    *raw = rest;
    taken
}

#[test]
fn numbers_and_codings_are_those_of_the_book() {
    let mut raw = Vec::new();
    [0, 127, 128, u64::MAX].into_iter().for_each(|value| super::varint(&mut raw, value));
    assert_eq!(raw[..4], [0, 0x7f, 0x80, 1]);
    let mut rest = &raw[..];
    assert_eq!([(); 4].map(|()| number(&mut rest)), [0, 127, 128, u64::MAX]);
    assert_eq!([codes(1, &[5, 3, 4]), codes(2, &[5, 6, 9])], [[10, 3, 2], [5, 0, 2]]);
}
