//! What is kept of a value: its first bytes, written by its own `Display`.

use std::fmt::{self, Display, Write};

use crate::dropped::Dropped;

/// Bytes of a value that are kept.
pub(super) const MAX_VALUE: usize = 128;

static CUT: Dropped =
    Dropped::new("label_values_cut", "the value of a label is cut, as 128 bytes of each are kept");

/// A value on its way into a label. On the stack, so that a number allocates nothing.
pub(in crate::task) struct Value {
    bytes: [u8; MAX_VALUE],
    len: usize,
}

impl Value {
    /// The text of `value`, or as much of it as is kept. What it fails to write is left out.
    pub(in crate::task) fn of(value: impl Display) -> Self {
        let mut kept = Value { bytes: [0; MAX_VALUE], len: 0 };
        let _ = write!(kept, "{value}");
        kept
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}

impl Write for Value {
    /// Fails where the value is cut, so that the rest of a long one is not made at all.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = start_of(text, MAX_VALUE - self.len);
        self.bytes[self.len..][..kept.len()].copy_from_slice(kept.as_bytes());
        self.len += kept.len();
        if kept.len() == text.len() {
            return Ok(());
        }
        CUT.count();
        Err(fmt::Error)
    }
}

/// As many whole characters as fit.
pub(super) fn start_of(text: &str, max_bytes: usize) -> &str {
    let fits = |&end: &usize| text.is_char_boundary(end);
    &text[..(0..=max_bytes.min(text.len())).rev().find(fits).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_between_characters() {
        let text =
            |value: &dyn Display| String::from_utf8(Value::of(value).as_bytes().to_vec()).expect("whole");
        assert_eq!(text(&17), "17");
        assert_eq!(text(&"x".repeat(MAX_VALUE)), "x".repeat(MAX_VALUE));
        assert_eq!(text(&"x".repeat(1 << 20)), "x".repeat(MAX_VALUE));
        assert_eq!(text(&"€".repeat(MAX_VALUE)), "€".repeat(MAX_VALUE / 3));
    }

    #[test]
    fn a_value_that_fails_is_what_it_wrote() {
        struct Failing;
        impl Display for Failing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(Value::of(Failing).as_bytes(), b"half");
    }
}
