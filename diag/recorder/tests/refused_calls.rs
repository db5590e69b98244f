//! A sandbox refuses system calls that diag uses and many a service does not: each alone and all together, as forbidden
//! and as unknown. What needs them is missing and is said to be, all else is there, and the service does not notice.
#![cfg(all(feature = "agent", feature = "heap", target_os = "linux", target_arch = "x86_64"))]

mod filter;
mod service;

use std::time::Duration;

use diag_test_support::eventually::eventually;
use diag_test_support::http;
use filter::Who::{self, Process, Thread};
use service::Seen;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const TEST: &str = "what_is_refused_is_missing_and_nothing_else";

/// Calls that are refused together, to whom, and what is then missing.
struct Refused {
    calls: &'static [libc::c_long],
    who: Who,
    missing: &'static [Missing],
}

/// What may be missing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Missing {
    /// Stacks of threads that sleep.
    Sleeping,
    /// Stacks of threads that run.
    Running,
    /// Stacks of samples and of parked tasks.
    Stacks,
    /// The split of resident memory.
    Resident,
    Agent,
    Ticker,
}
use Missing::{Agent, Resident, Running, Sleeping, Stacks, Ticker};

const ALL: [Missing; 6] = [Sleeping, Running, Stacks, Resident, Agent, Ticker];

const REFUSED: &[Refused] = &[
    refused(&[], Process, &[]),
    // There is another way.
    refused(&[libc::SYS_process_vm_readv], Process, &[]),
    refused(&[libc::SYS_pread64], Process, &[Resident]),
    refused(&[libc::SYS_process_vm_readv, libc::SYS_pread64], Process, &[Sleeping, Resident]),
    refused(&[libc::SYS_tgkill], Process, &[Running]),
    refused(&[libc::SYS_rt_sigaction], Process, &[Running]),
    refused(&[libc::SYS_rt_sigprocmask], Process, &[Stacks, Running]),
    refused(&[libc::SYS_madvise], Process, &[]),
    refused(&[libc::SYS_munmap], Thread, &[]),
    refused(&[libc::SYS_prlimit64, libc::SYS_getrlimit], Process, &[]),
    refused(&[libc::SYS_setpriority, libc::SYS_prctl], Process, &[]),
    refused(&[libc::SYS_readlink, libc::SYS_readlinkat], Process, &[]),
    refused(&[libc::SYS_sigaltstack], Process, &[]),
    // No file at all: no `/proc`, and no names of functions.
    refused(&[libc::SYS_openat, libc::SYS_open], Process, &[Sleeping, Running, Resident]),
    // From here on what every service needs, but not where diag's own threads start.
    refused(&[libc::SYS_clone, libc::SYS_clone3], Thread, &[Agent, Ticker]),
    refused(&[libc::SYS_socket], Thread, &[Agent]),
    refused(&[libc::SYS_bind], Thread, &[Agent]),
    refused(&[libc::SYS_listen], Thread, &[Agent]),
    refused(&[libc::SYS_setsockopt], Thread, &[Agent]),
    refused(&[libc::SYS_epoll_create1], Thread, &[Agent]),
    refused(&[libc::SYS_eventfd2], Thread, &[Agent]),
    // The agent does not wait for the first that asks.
    refused(&[libc::SYS_poll, libc::SYS_ppoll], Process, &[]),
    refused(&[libc::SYS_clock_nanosleep], Thread, &[]),
    refused(
        &[
            libc::SYS_process_vm_readv,
            libc::SYS_pread64,
            libc::SYS_tgkill,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_madvise,
            libc::SYS_prlimit64,
            libc::SYS_getrlimit,
            libc::SYS_setpriority,
            libc::SYS_prctl,
            libc::SYS_readlink,
            libc::SYS_readlinkat,
            libc::SYS_socket,
        ],
        Process,
        &[Sleeping, Running, Stacks, Resident, Agent],
    ),
];

const fn refused(calls: &'static [libc::c_long], who: Who, missing: &'static [Missing]) -> Refused {
    Refused { calls, who, missing }
}

#[test]
fn what_is_refused_is_missing_and_nothing_else() {
    if let Some(which) = service::child_of() {
        let (number, errno) = which.split_once(' ').expect("two numbers");
        let refused = &REFUSED[number.parse::<usize>().expect("a number")];
        return check(refused, errno.parse().expect("a number"));
    }
    let tries = (0..REFUSED.len()).map(|number| (number, libc::EPERM));
    let tries = tries.chain([(REFUSED.len() - 1, libc::ENOSYS)]);
    let not_permitted =
        tries.filter(|(number, errno)| !service::child(TEST, &format!("{number} {errno}"), |_| {}));
    match not_permitted.count() {
        0 => {}
        count => service::skipped(count),
    }
}

/// The agent is there, and the system lets nobody in.
#[test]
fn an_agent_that_nobody_reaches_is_told_in_the_file() {
    const TEST: &str = "an_agent_that_nobody_reaches_is_told_in_the_file";
    if service::child_of().is_none() {
        if !service::child(TEST, "accept", |_| {}) {
            service::skipped(1);
        }
        return;
    }
    if !filter::refuse(Process, &[libc::SYS_accept, libc::SYS_accept4], libc::EPERM) {
        return service::not_permitted();
    }
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let told = || {
        let notes: Vec<_> = diag_analysis::not_recorded(&diag::snapshot().into_model().capture).collect();
        let refusal = "not recorded: agent: nobody is let in: Operation not permitted";
        if notes.iter().any(|note| note.starts_with(refusal)) { Ok(()) } else { Err(notes) }
    };
    assert!(told().is_err());
    let _caller = http::connect(guard.agent_addr().expect("it listens"));
    eventually(Duration::from_secs(60), "it is told", told);
}

fn check(refused: &Refused, errno: libc::c_int) {
    let Some(seen) = service::serve(|| filter::refuse(refused.who, refused.calls, errno)) else { return };
    let notes = seen.notes();
    for missing in ALL {
        let expected = refused.missing.contains(&missing);
        assert_eq!(missing.is_missing(&seen), expected, "{missing:?}: {notes}\n{}", seen.health);
        let part = missing.part();
        let is_expected = refused.missing.iter().any(|missing| missing.part() == part);
        let noted = notes.contains(&format!("not recorded: {part}: "));
        assert_eq!(noted, is_expected, "{part} in the file: {notes}");
        if !seen.health.is_empty() {
            let said = seen.part(part);
            let failed = said.starts_with("failed (");
            assert_eq!(failed, is_expected, "{part} in the health: {said}");
            assert!(failed || said == "works", "{part}: {said}");
        }
    }
}

impl Missing {
    fn is_missing(self, seen: &Seen) -> bool {
        match self {
            Sleeping => seen.held_up_in("service::sleeps") == 0,
            Running => seen.held_up_in("service::spins") == 0,
            Stacks => seen.stacks_of_samples() == 0 && seen.snapshot.parked.is_empty(),
            Resident => seen.snapshot.capture.resources.resident.is_none(),
            Agent => seen.health.is_empty(),
            // It shows in nothing.
            Ticker => seen.notes().contains("ticker"),
        }
    }

    /// Whose work it is, in the words of the health.
    fn part(self) -> &'static str {
        match self {
            Sleeping | Running => "stacks of held-up threads",
            Stacks => "call stacks",
            Resident => "process facts",
            Agent => "agent",
            Ticker => "ticker",
        }
    }
}
