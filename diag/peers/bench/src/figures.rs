//! What a peer prints and the driver reads: one `name value` a line, nothing else. A service
//! prints one number a line, for each batch.

use std::collections::BTreeMap;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// The text that a peer prints.
pub fn to_text(figures: &Figures) -> String {
    figures.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
}

/// The figures in a peer's output, or the first line that is not one.
pub fn from_text(text: &str) -> Result<Figures, String> {
    text.lines().map(|line| figure(line).ok_or_else(|| line.to_owned())).collect()
}

fn figure(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let figures = Figures::from([("spawn".to_owned(), 246.25), ("poll".to_owned(), 60.0)]);
        assert_eq!(from_text(&to_text(&figures)), Ok(figures));
    }

    #[test]
    fn a_line_that_is_no_figure_is_named() {
        assert_eq!(from_text("spawn 1.5\nhello"), Err("hello".to_owned()));
        assert_eq!(from_text("spawn fast"), Err("spawn fast".to_owned()));
    }
}
