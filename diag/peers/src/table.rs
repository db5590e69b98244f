//! Text tables: names to the left, figures to the right.

use crate::stats::Compared;

/// Lays out rows of cells; the first row is the heading. The first `names` columns are names.
pub(crate) fn lay_out(names: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    rows.iter().map(|row| line(names, row, &widths)).collect()
}

fn line(names: usize, row: &[String], widths: &[usize]) -> String {
    let cell = |(column, (text, &width)): (usize, (&String, &usize))| {
        if column < names { format!("{text:<width$}") } else { format!("{text:>width$}") }
    };
    let cells: Vec<String> = row.iter().zip(widths).enumerate().map(cell).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// A figure with one decimal, or a dash where none was taken.
pub(crate) fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// What stands beside a time; nothing where there is nothing to compare with.
pub(crate) fn compared(value: Option<Compared>) -> String {
    match value {
        Some(value) if value.is_measurable() => format!("{:+.1} {:.2}x", value.added, value.ratio),
        Some(_) => "not measurable".to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_figures_right() {
        let rows = [vec!["name".to_owned(), "ns".to_owned()], vec!["a".to_owned(), figure(Some(123.46))]];
        assert_eq!(lay_out(1, &rows), "name     ns\na     123.5\n");
    }

    #[test]
    fn beside_a_figure_stands_what_it_adds() {
        let check = |band, expected: &str| {
            assert_eq!(compared(Some(Compared { added: 12.34, ratio: 1.234, band })), expected);
        };
        check(Some(0.1), "+12.3 1.23x");
        check(None, "+12.3 1.23x");
        check(Some(0.3), "not measurable");
        assert_eq!([figure(None), compared(None)], ["-", ""]);
    }
}
