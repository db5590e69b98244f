//! What the kernel says of a thread, from `/proc/self/task`. Empty on systems that have no such folder.

use std::fs;
#[cfg(target_os = "linux")]
use std::io;

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
    /// The thread of this id; `None` if this process has none.
    pub(super) fn read(tid: u32) -> Option<Self> {
        let file = |name: &str| fs::read_to_string(format!("/proc/self/task/{tid}/{name}")).ok();
        let Some(stat) = file("stat") else { return lives(tid).then(Facts::default) };
        let times = file("schedstat");
        let time = |column| Some(nth(times.as_deref()?, column)? / 1_000);
        Some(Facts {
            name: file("comm").map(|name| name.trim_end().to_owned()),
            state: state(&stat),
            cpu_us: time(0),
            wait_us: time(1),
        })
    }
}

/// Whether this process has a thread of this id; false as well where nobody knows.
fn lives(tid: u32) -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: asks whether a signal could be sent, and sends none.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) == 0
            || !matches!(io::Error::last_os_error().raw_os_error(), Some(libc::ESRCH | libc::EINVAL))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = tid;
        false
    }
}

/// The letter behind the name, which is in parentheses and may hold some itself.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Of the numbers in a line.
fn nth(line: &str, column: usize) -> Option<u64> {
    line.split_ascii_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_no_state() {
        assert_eq!(state("7 (a) S (b) R 1 2 3"), Some('R'));
        assert_eq!(state("7 (tokio-runtime-w) S 1"), Some('S'));
        assert_eq!(state("7 (cut"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_ended_has_no_facts() {
        // SAFETY: no preconditions.
        let tid = || unsafe { libc::gettid() } as u32;
        let ended = std::thread::spawn(tid).join().expect("it only asks");
        // The kernel may take a moment longer than the join.
        let gone = || {
            (0..1_000).any(|_| {
                Facts::read(ended).is_none() || {
                    std::thread::yield_now();
                    false
                }
            })
        };
        assert!(gone(), "thread {ended}");
        let own = Facts::read(tid()).expect("this thread runs");
        assert_eq!(own.state, Some('R'));
        assert!(own.name.is_some());
    }
}
