//! What the kernel says of a thread.

use super::stat;
use crate::sys::clock;

/// What the kernel says of a thread, none of it where `/proc` is missing. Times are since its start, exact to a tick of
/// the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) name: Option<String>,
    /// `R` running or ready, `S` asleep, `D` asleep for a disk, see proc(5).
    pub(crate) state: Option<char>,
    /// When it began, since the system did.
    pub(crate) started_ns: Option<u64>,
    /// Time on a core.
    pub(crate) cpu_ns: Option<u64>,
    /// Time that it was ready to run and waited for a core.
    pub(crate) wait_ns: Option<u64>,
}

impl Facts {
    /// From the texts of `stat` and `schedstat`, which tells time on a core more finely, where the kernel has it.
    pub(super) fn parse(stat: &str, schedstat: Option<&str>) -> Self {
        let time = |column| nth(schedstat?, column);
        Facts {
            name: stat::name(stat).map(str::to_owned),
            state: stat::state(stat),
            started_ns: stat::start_ticks(stat).and_then(clock::ticks_ns),
            cpu_ns: time(0).or_else(|| clock::ticks_ns(stat::cpu_ticks(stat)?)),
            wait_ns: time(1),
        }
    }
}

/// How often the thread got a core, from the text of `schedstat`.
pub(crate) fn slices(schedstat: &str) -> Option<u64> {
    nth(schedstat, 2)
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
        let stat = "7 (tokio worker) S 1 2 3 4 5 6 7 8 9 10 300 50 13 14 15 16 17 18 0 20";
        let facts = Facts::parse(stat, Some("12345678 9999 3\n"));
        let name = Some("tokio worker".to_owned());
        let fine = Facts {
            name,
            state: Some('S'),
            started_ns: Some(0),
            cpu_ns: Some(12_345_678),
            wait_ns: Some(9_999),
        };
        assert_eq!(facts, fine);
        let ticks_ns = clock::ticks_ns(350);
        assert!(ticks_ns.is_some());
        assert_eq!(Facts::parse(stat, None), Facts { cpu_ns: ticks_ns, wait_ns: None, ..fine });
        assert_eq!(Facts::parse("7 (cut", None), Facts::default());
        assert_eq!((slices("12345678 9999 3\n"), slices("0 0\n")), (Some(3), None));
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
