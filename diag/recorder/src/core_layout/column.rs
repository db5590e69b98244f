//! A column: where a field lies in each record of a table.

/// See the module. Its name is the field's as a rule.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Column {
    pub(super) name: [u8; 16],
    /// Bytes from the start of the record.
    pub(super) offset: u32,
    /// Bytes of one value.
    pub(super) width: u32,
    /// Values that lie one behind the other.
    pub(super) count: u32,
}

impl Column {
    /// No column.
    pub(super) const NONE: Column = Column { name: [0; 16], offset: 0, width: 0, count: 0 };

    /// That of a field of so many bytes, which has `count` values.
    pub(crate) const fn new(name: &str, offset: usize, bytes: usize, count: usize) -> Self {
        Column {
            name: padded(name),
            offset: offset as u32,
            width: (bytes / count) as u32,
            count: count as u32,
        }
    }
}

impl Column {
    /// The same in a record that has this one so many bytes from its start.
    pub(crate) const fn deeper(self, bytes: usize) -> Self {
        Column { offset: self.offset + bytes as u32, ..self }
    }
}

/// The column of a field, named; with how many values it has, if it is an array.
macro_rules! column {
    ($record:ty, $name:literal, $($field:ident).+) => {
        $crate::core_layout::column!($record, $name, $($field).+, 1)
    };
    ($record:ty, $name:literal, $($field:ident).+, $count:expr) => {
        $crate::core_layout::Column::new(
            $name,
            ::std::mem::offset_of!($record, $($field).+),
            $crate::core_layout::Column::bytes_of(|record: &$record| &record.$($field).+),
            $count,
        )
    };
}
pub(crate) use column;

impl Column {
    /// The size of what a function gives of a record.
    pub(crate) const fn bytes_of<R, F>(_: for<'a> fn(&'a R) -> &'a F) -> usize {
        size_of::<F>()
    }
}

/// A name with zeros behind it.
pub(super) const fn padded<const N: usize>(name: &str) -> [u8; N] {
    let (bytes, mut padded, mut i) = (name.as_bytes(), [0; N], 0);
    while i < bytes.len() {
        padded[i] = bytes[i];
        i += 1;
    }
    padded
}
