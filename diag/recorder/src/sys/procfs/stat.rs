//! The line of numbers that `stat` holds, see proc(5).

/// When the process began, in ticks since the system did.
pub(super) fn start_ticks(stat: &str) -> Option<u64> {
    // Field 22, counted after the command's closing bracket, which may itself hold blanks.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The letter behind the name, which is in parentheses and may hold some itself.
pub(super) fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
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
        assert_eq!(start_ticks(stat), Some(19_876));
        assert_eq!(start_ticks("7 (cut) S 1 2 3"), None);
    }
}
