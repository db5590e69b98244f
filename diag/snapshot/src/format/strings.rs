//! The strings section: how many, the length of each, then all text.

use super::bytes::{Cursor, put_varint};
use crate::strings::Strings;

pub(super) fn encode(strings: &Strings) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, strings.len() as u64);
    strings.iter().for_each(|string| put_varint(&mut out, string.len() as u64));
    strings.iter().for_each(|string| out.extend_from_slice(string.as_bytes()));
    out
}

pub(super) fn decode(raw: &[u8]) -> Result<Strings, String> {
    let mut cursor = Cursor::new(raw);
    let lengths = lengths(&mut cursor)?;
    let mut strings = Strings::default();
    for (i, length) in lengths.into_iter().enumerate() {
        let bytes = cursor.take(length).ok_or_else(|| format!("string {i} is cut off"))?;
        strings.push(str::from_utf8(bytes).map_err(|_| format!("string {i} is not UTF-8"))?);
    }
    match cursor.left() {
        0 => Ok(strings),
        left => Err(format!("{left} bytes after the last string")),
    }
}

fn lengths(cursor: &mut Cursor<'_>) -> Result<Vec<u64>, String> {
    let count = cursor.varint().ok_or("the number of strings is cut off")?;
    if count > cursor.left() as u64 || count > u32::MAX.into() {
        return Err(format!("{count} strings do not fit into {} bytes", cursor.left()));
    }
    (0..count)
        .map(|i| cursor.varint().ok_or_else(|| format!("the length of string {i} is cut off")))
        .collect()
}
