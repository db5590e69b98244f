//! The value of a field on its way into a label: as much of it as it takes to see whether it is a secret.

use std::fmt::{self, Debug, Write};

use crate::secret::is_secret;

/// Bytes that are looked at. Of a label 128 are kept, so that a secret which is kept in part is seen as a whole.
const MAX_LOOKED_AT: usize = 1_024;
/// What stands in the place of a secret.
const MASK: &str = "[masked]";

/// The text of a value. It is never printed but through [`masked`](Value::masked).
pub(crate) struct Value(String);

impl Value {
    pub(crate) fn of_text(text: &str) -> Self {
        let mut value = Value(String::new());
        let _ = value.write_str(text);
        value
    }

    /// The text that `%value` or `?value` of a span gives; of a string that is printed for programmers without its quotes.
    pub(crate) fn of_debug(value: &dyn Debug) -> Self {
        let mut text = Value(String::new());
        let _ = write!(text, "{value:?}");
        match text.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(inner) => Value(inner.to_owned()),
            None => text,
        }
    }

    /// For what reads it, and writes nothing of it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The text, unless it looks like a secret.
    pub(crate) fn masked(&self) -> &str {
        if is_secret(&self.0) { MASK } else { &self.0 }
    }
}

impl Write for Value {
    /// Fails where enough is there, so that the rest of a long one is not made at all.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_LOOKED_AT - self.0.len();
        if text.len() <= room {
            self.0 += text;
            return Ok(());
        }
        let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.0 += &text[..end];
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_text() {
        assert_eq!(Value::of_text("r-1").masked(), "r-1");
        assert_eq!(Value::of_debug(&17).masked(), "17");
        assert_eq!(Value::of_debug(&"r-1").masked(), "r-1");
        assert_eq!(Value::of_debug(&format_args!("{}", "r-1")).masked(), "r-1");
        assert_eq!(Value::of_text(&"€".repeat(1 << 20)).masked().len(), 1_023);
    }

    #[test]
    fn a_secret_that_begins_late_is_seen() {
        let late = format!("{}Bearer abc", "x ".repeat(60));
        assert_eq!(Value::of_text(&late).masked(), MASK);
        assert_eq!(Value::of_debug(&late).masked(), MASK);
    }
}
