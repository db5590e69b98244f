//! A table's section: how many rows and columns, then each column with its name, coding and length,
//! so that a reader can skip what it does not know and miss what an older writer did not have.

use std::borrow::Cow;

use super::bytes::{Cursor, put_varint};
use super::column;
use super::section::Budget;
use crate::schema::{Coding, ColumnSpec};
use crate::table::{Row, Table};

/// The section of `table`, and how many rows were left out because their key was there already.
pub(super) fn encode<R: Row>(table: &Table<R>) -> (Vec<u8>, u64) {
    let (rows, columns) = in_key_order(table);
    let present = |(spec, values): &(&ColumnSpec, &Vec<u64>)| !spec.optional || !values.is_empty();
    let written = R::TABLE.columns.iter().zip(columns.iter()).filter(present);
    let mut out = Vec::new();
    put_varint(&mut out, rows as u64);
    put_varint(&mut out, written.clone().count() as u64);
    let mut data = Vec::new();
    for (spec, values) in written {
        data.clear();
        let coding = column::encode(values, spec.coding, &mut data);
        put_varint(&mut out, spec.name.len() as u64);
        out.extend_from_slice(spec.name.as_bytes());
        out.push(column::code(coding));
        put_varint(&mut out, data.len() as u64);
        out.extend_from_slice(&data);
    }
    (out, (table.len() - rows) as u64)
}

/// The table in a section, its indices not yet checked.
pub(super) fn decode<R: Row>(raw: &[u8], budget: &mut Budget) -> Result<Table<R>, String> {
    let (rows, columns) = decode_columns(raw, R::TABLE.columns, budget)?;
    Table::from_columns(rows, columns).ok_or_else(|| "its columns differ in length".to_owned())
}

/// The rows that are written, and their columns ordered by the ascending one, each key once. The
/// recorder hands over its rows in that order and nothing is copied then; any other caller gets what
/// the file can say.
fn in_key_order<R: Row>(table: &Table<R>) -> (usize, Cow<'_, [Vec<u64>]>) {
    let columns = table.columns();
    let as_it_is = (table.len(), Cow::Borrowed(columns));
    let key = R::TABLE.columns.iter().position(|spec| spec.coding == Coding::Ascending);
    let Some(keys) = key.and_then(|key| columns.get(key)) else { return as_it_is };
    if keys.is_sorted_by(|before, after| before < after) {
        return as_it_is;
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&row| keys[row]);
    order.dedup_by_key(|row| keys[*row]);
    let ordered = |column: &Vec<u64>| order.iter().filter_map(|&row| column.get(row).copied()).collect();
    (order.len(), Cow::Owned(columns.iter().map(ordered).collect()))
}

/// How many rows there are, and the values of each column.
fn decode_columns(
    raw: &[u8],
    specs: &[ColumnSpec],
    budget: &mut Budget,
) -> Result<(usize, Vec<Vec<u64>>), String> {
    let mut cursor = Cursor::new(raw);
    let (rows, stored) = cursor.varint().zip(cursor.varint()).ok_or("its first two numbers are cut off")?;
    let rows = checked_rows(rows, &cursor)?;
    budget.spend((rows as u64).saturating_mul(8 * specs.len() as u64))?;
    let mut columns: Vec<Option<Vec<u64>>> = vec![None; specs.len()];
    for i in 0..stored {
        let part = Part::next(&mut cursor).ok_or_else(|| format!("column {i} is cut off"))?;
        let Some(known) = specs.iter().position(|spec| spec.name.as_bytes() == part.name) else { continue };
        let values = part.decode(&specs[known], rows).map_err(|what| in_column(&specs[known], what))?;
        if columns[known].replace(values).is_some() {
            return Err(in_column(&specs[known], "is there twice"));
        }
    }
    if cursor.left() > 0 {
        return Err(format!("{} bytes after the last column", cursor.left()));
    }
    let columns = specs.iter().zip(columns).map(|(spec, values)| present(spec, values));
    Ok((rows, columns.collect::<Result<_, _>>()?))
}

/// A row takes at least one byte in each column that must be there, and every table has one of those.
fn checked_rows(rows: u64, cursor: &Cursor<'_>) -> Result<usize, String> {
    match usize::try_from(rows) {
        Ok(rows) if rows <= cursor.left() => Ok(rows),
        _ => Err(format!("{rows} rows do not fit into {} bytes", cursor.left())),
    }
}

fn present(spec: &ColumnSpec, values: Option<Vec<u64>>) -> Result<Vec<u64>, String> {
    match values {
        Some(values) => Ok(values),
        None if spec.optional => Ok(Vec::new()),
        None => Err(in_column(spec, "is missing")),
    }
}

pub(super) fn in_column(spec: &ColumnSpec, what: impl std::fmt::Display) -> String {
    format!("column {}: {what}", spec.name)
}

/// A column as it lies in the section.
struct Part<'a> {
    name: &'a [u8],
    coding: u8,
    data: &'a [u8],
}

impl<'a> Part<'a> {
    fn next(cursor: &mut Cursor<'a>) -> Option<Self> {
        let name_bytes = cursor.varint()?;
        let name = cursor.take(name_bytes)?;
        let coding = cursor.byte()?;
        let data_bytes = cursor.varint()?;
        Some(Part { name, coding, data: cursor.take(data_bytes)? })
    }

    fn decode(&self, spec: &ColumnSpec, rows: usize) -> Result<Vec<u64>, String> {
        let coding =
            column::from_code(self.coding).ok_or_else(|| format!("coding {} is unknown", self.coding))?;
        if spec.coding == Coding::Ascending && coding != Coding::Ascending {
            return Err("must be written as ascending, or it could hold a value twice".to_owned());
        }
        column::decode(self.data, coding, rows)
    }
}
