//! The line of numbers that `stat` holds, see proc(5).

/// When the process or thread began, in ticks since the system did.
pub(super) fn start_ticks(stat: &str) -> Option<u64> {
    number(stat, 22)
}

/// The id of the process that it is a child of.
pub(super) fn parent(stat: &str) -> Option<u64> {
    number(stat, 4)
}

/// Ticks that it ran in its own code and in the kernel.
pub(super) fn cpu_ticks(stat: &str) -> Option<u64> {
    number(stat, 14)?.checked_add(number(stat, 15)?)
}

/// The name, which is in parentheses and may hold some itself.
pub(super) fn name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(") ")?.0.split_once('(')?.1)
}

/// The letter behind the name.
pub(super) fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A field by its number in proc(5), of those behind the name, which may itself hold blanks.
fn number(stat: &str, field: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        assert_eq!(state("7 (a) S (b) R 1 2 3"), Some('R'));
        assert_eq!(state("7 (tokio-runtime-w) S 1"), Some('S'));
        assert_eq!(state("7 (cut"), None);
        let stat = "7 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19876 20\n";
        assert_eq!(
            (name(stat), start_ticks(stat), cpu_ticks(stat)),
            (Some("a) (b c"), Some(19_876), Some(11 + 12))
        );
        assert_eq!((parent(stat), parent("7 (cut")), (Some(1), None));
        let cut = "7 (cut) S 1 2 3";
        assert_eq!((name(cut), start_ticks(cut), cpu_ticks(cut)), (Some("cut"), None, None));
        assert_eq!(name("7 (cut"), None);
    }
}
