//! Columns with a row view: the one shape of every large list in a snapshot.
//!
//! A [`Table`] keeps one `Vec<u64>` a column, because that is how it is written, compressed and
//! scanned; a [`Row`] says how its fields map to the columns. The file format knows only tables,
//! so a new field is one more column in one declaration.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use crate::schema::{Cell, ColumnSpec, TableSpec, Target};

/// A struct that can live in a [`Table`]: the mapping between its fields and the columns. It is made by the
/// declaration of the table, in [`model`](crate::model).
pub trait Row: Copy + Debug + Default + PartialEq + 'static {
    /// The table, and its columns in the order of the cells.
    const TABLE: TableSpec;
    /// The cells of this row, one a column.
    fn to_cells(&self) -> impl AsRef<[u64]>;
    /// The row of these cells, which are asked for one after the other. Total: any cells make a row.
    fn from_cells(next: impl FnMut() -> u64) -> Self;
}

/// The values of one column, of all rows in order. For who needs a field or two of a million rows: whole ones are
/// put together from all their columns.
#[derive(Clone, Copy)]
pub struct Column<'a, T> {
    rows: usize,
    /// Empty if it is absent in every row.
    cells: &'a [u64],
    value: PhantomData<fn() -> T>,
}

impl<'a, T: Cell> Column<'a, T> {
    /// The value in row `i`, if there is such a row.
    pub fn get(self, i: usize) -> Option<T> {
        (i < self.rows).then(|| self.value(i))
    }

    /// The values in the order of the rows.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator + use<'a, T> {
        (0..self.rows).map(move |i| self.value(i))
    }

    /// The row that holds `value`, if one does. The column must ascend, as the ids of tasks do.
    pub fn find(self, value: T) -> Option<usize> {
        self.cells.binary_search(&value.to_cell()).ok()
    }

    fn value(self, i: usize) -> T {
        T::from_cell(self.cells.get(i).copied().unwrap_or(0))
    }
}

/// Rows of one kind, kept as columns. An optional column that is absent in every row is kept as an
/// empty one: what a service does not record takes neither memory nor room in the file.
pub struct Table<R> {
    rows: usize,
    /// For so many rows each column gets room at once, an optional one with its first value: one that doubled its room
    /// again and again would touch twice the pages.
    expected_rows: usize,
    columns: Vec<Vec<u64>>,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Table<R> {
    /// An empty table with room for `rows`.
    pub fn with_capacity(rows: usize) -> Self {
        let room = |column: &ColumnSpec| Vec::with_capacity(if column.optional { 0 } else { rows });
        let columns = R::TABLE.columns.iter().map(room).collect();
        Table { rows: 0, expected_rows: rows, columns, row: PhantomData }
    }

    /// A table of these columns, one vector for each of [`Row::TABLE`] and all of `rows` values,
    /// or empty if it is optional and absent; `None` if they are not.
    pub(crate) fn from_columns(rows: usize, mut columns: Vec<Vec<u64>>) -> Option<Self> {
        for (column, values) in R::TABLE.columns.iter().zip(&mut columns) {
            if column.optional && values.iter().all(|&value| value == 0) {
                *values = Vec::new();
            } else if values.len() != rows {
                return None;
            }
        }
        let is_whole = columns.len() == R::TABLE.columns.len();
        is_whole.then_some(Table { rows, expected_rows: rows, columns, row: PhantomData })
    }

    /// Adds a row at the end.
    pub fn push(&mut self, row: R) {
        let columns = R::TABLE.columns.iter().zip(&mut self.columns);
        for ((column, values), &cell) in columns.zip(row.to_cells().as_ref()) {
            if column.optional && cell == 0 && values.is_empty() {
                continue;
            }
            // The first value of a column that was absent so far.
            if values.is_empty() {
                values.reserve_exact(self.expected_rows.max(self.rows + 1));
                values.resize(self.rows, 0);
            }
            values.push(cell);
        }
        self.rows += 1;
    }

    /// Row `i`, if there is one.
    pub fn get(&self, i: usize) -> Option<R> {
        (i < self.len()).then(|| self.row(i))
    }

    /// All rows in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = R> + ExactSizeIterator {
        (0..self.len()).map(|i| self.row(i))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of each column, in the order of [`Row::TABLE`]; none of a column that is absent in
    /// every row.
    pub fn columns(&self) -> &[Vec<u64>] {
        &self.columns
    }

    /// Puts `to[i]` in the place of each index `i` of `target`; one that has no entry stays.
    pub(crate) fn reindex(&mut self, target: Target, to: &[u32]) {
        for (column, cells) in R::TABLE.columns.iter().zip(&mut self.columns) {
            if column.target != Some(target) {
                continue;
            }
            let first = u64::from(column.optional);
            for cell in cells.iter_mut().filter(|cell| **cell >= first) {
                if let Some(&index) = to.get((*cell - first) as usize) {
                    *cell = u64::from(index) + first;
                }
            }
        }
    }

    /// One of [`Row::TABLE`]'s columns by its place, as the method of its name gives it.
    pub(crate) fn column_at<T>(&self, place: usize) -> Column<'_, T> {
        Column { rows: self.rows, cells: &self.columns[place], value: PhantomData }
    }

    fn row(&self, i: usize) -> R {
        let mut columns = self.columns.iter();
        R::from_cells(|| columns.next().and_then(|cells| cells.get(i)).copied().unwrap_or(0))
    }
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Table::with_capacity(0)
    }
}

impl<R: Row> FromIterator<R> for Table<R> {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut table = Table::with_capacity(rows.size_hint().0);
        rows.for_each(|row| table.push(row));
        table
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        let Table { rows, expected_rows, .. } = *self;
        Table { rows, expected_rows, columns: self.columns.clone(), row: PhantomData }
    }
}

impl<R> PartialEq for Table<R> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.columns == other.columns
    }
}

impl<R: Row> Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Table, TaskId, TaskRow};

    #[test]
    fn each_column_that_is_there_gets_all_its_room_at_once() {
        let mut table = Table::with_capacity(1_000);
        for id in 0..1_000 {
            // The first of them come late.
            let wakers = (id >= 500).then_some(3);
            table.push(TaskRow { id: TaskId(id), wakers, ..TaskRow::default() });
        }
        let rooms: Vec<usize> = table.columns().iter().map(Vec::capacity).filter(|room| *room > 0).collect();
        assert!(rooms.len() > 3 && rooms.iter().all(|room| *room == 1_000), "{rooms:?}");
        assert_eq!(
            [table.get(499), table.get(500)].map(|row| row.and_then(|row| row.wakers)),
            [None, Some(3)]
        );
    }
}
