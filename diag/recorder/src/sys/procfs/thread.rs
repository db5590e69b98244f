//! What the kernel says of a thread.

use super::stat;

/// What the kernel says of a thread, none of it where `/proc` is missing. Times are since its start, exact to a tick of
/// the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) name: Option<String>,
    /// `R` running or ready, `S` asleep, `D` asleep for a disk, see proc(5).
    pub(crate) state: Option<char>,
    /// Time on a core.
    pub(crate) cpu_us: Option<u64>,
    /// Time that it was ready to run and waited for a core.
    pub(crate) wait_us: Option<u64>,
}

impl Facts {
    /// From the texts of `stat`, `schedstat` and `comm`.
    pub(super) fn parse(stat: &str, schedstat: Option<&str>, comm: Option<&str>) -> Self {
        let time = |column| Some(nth(schedstat?, column)? / 1_000);
        Facts {
            name: comm.map(|name| name.trim_end().to_owned()),
            state: stat::state(stat),
            cpu_us: time(0),
            wait_us: time(1),
        }
    }
}

/// Of the numbers in a line.
fn nth(line: &str, column: usize) -> Option<u64> {
    line.split_ascii_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_nanoseconds() {
        let facts = Facts::parse("7 (x) S 1", Some("12345678 9999 3\n"), Some("tokio worker\n"));
        let name = Some("tokio worker".to_owned());
        assert_eq!(facts, Facts { name, state: Some('S'), cpu_us: Some(12_345), wait_us: Some(9) });
        assert_eq!(Facts::parse("7 (cut", None, None), Facts::default());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_ended_has_no_facts() {
        let tid = || crate::sys::thread_id().expect("threads have ids");
        let ended = std::thread::spawn(tid).join().expect("it only asks");
        // The kernel may take a moment longer than the join.
        let gone = || {
            (0..1_000).any(|_| {
                super::super::facts(ended).is_none() || {
                    std::thread::yield_now();
                    false
                }
            })
        };
        assert!(gone(), "thread {ended}");
        let own = super::super::facts(tid()).expect("this thread runs");
        assert_eq!(own.state, Some('R'));
        assert!(own.name.is_some());
    }
}
