//! The system call that a thread waits in.

/// Where the thread waits: its instruction pointer and its stack pointer, the last word and the one before. A
/// thread that runs has none.
pub(crate) fn waits_at(syscall: &str) -> Option<(u64, u64)> {
    let mut words = syscall.split_ascii_whitespace().rev();
    let mut number = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_pointers() {
        let waiting = "202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffc10 0x7f77\n";
        assert_eq!(waits_at(waiting), Some((0x7f77, 0x7f_fc10)));
        assert_eq!(waits_at("-1 0x7ffc10 0x7f77\n"), Some((0x7f77, 0x7f_fc10)));
        for text in ["running\n", "", "1 2", "0xq 0x1"] {
            assert_eq!(waits_at(text), None);
        }
    }
}
