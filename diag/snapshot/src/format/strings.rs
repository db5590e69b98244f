//! The strings section: how many, the length of each, then all text.

use super::bytes::{Cursor, put_varint};
use super::section::Budget;
use crate::strings::Strings;

/// What each string takes in memory besides its text, however short it is in the file.
const LENGTH_AND_END_BYTES: u64 = 16;

pub(super) fn encode(strings: &Strings) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, strings.len() as u64);
    strings.iter().for_each(|string| put_varint(&mut out, string.len() as u64));
    strings.iter().for_each(|string| out.extend_from_slice(string.as_bytes()));
    out
}

pub(super) fn decode(raw: &[u8], budget: &mut Budget) -> Result<Strings, String> {
    let mut cursor = Cursor::new(raw);
    let lengths = lengths(&mut cursor, budget)?;
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

fn lengths(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<Vec<u64>, String> {
    let count = cursor.varint().ok_or("the number of strings is cut off")?;
    if count > cursor.left() as u64 || count > u32::MAX.into() {
        return Err(format!("{count} strings do not fit into {} bytes", cursor.left()));
    }
    budget.spend(count * LENGTH_AND_END_BYTES)?;
    (0..count)
        .map(|i| cursor.varint().ok_or_else(|| format!("the length of string {i} is cut off")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::MAX_DECODED_BYTES;

    #[test]
    fn too_many_empty_strings_are_refused_before_they_take_memory() {
        let count = MAX_DECODED_BYTES / LENGTH_AND_END_BYTES + 1;
        let mut head = Vec::new();
        put_varint(&mut head, count);
        let mut raw = vec![0; count as usize + head.len()];
        raw[..head.len()].copy_from_slice(&head);
        let error = decode(&raw, &mut Budget::new()).expect_err("too many");
        assert!(error.starts_with("it would unpack to 4294967312 bytes"), "{error}");
    }
}
