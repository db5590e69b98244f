//! The service has all signals for itself: diag takes none. A thread that runs has then no stack, which is said, and all
//! else is there; a handler of the service's stays the service's.
#![cfg(all(feature = "agent", feature = "heap", target_os = "linux", target_arch = "x86_64"))]

use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr;

mod service;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const TEST: &str = "a_service_that_has_all_signals_keeps_them";

extern "C" fn own(_: c_int) {}

#[test]
fn a_service_that_has_all_signals_keeps_them() {
    if let Some(case) = service::child_of() {
        return check(&case);
    }
    let taken = (libc::SIGRTMIN() + 5).to_string();
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("none is taken", &[]),
        ("all are taken", &[]),
        ("the chosen one is taken", &[("DIAG_SIGNAL", &taken)]),
        ("off", &[("DIAG_SIGNAL", "off")]),
    ];
    for (case, environment) in cases {
        service::child(TEST, case, |child| _ = child.envs(environment.iter().copied()));
    }
}

fn check(case: &str) {
    let taken: Vec<c_int> = match case {
        "all are taken" => (libc::SIGRTMIN()..=libc::SIGRTMAX()).collect(),
        "the chosen one is taken" => vec![libc::SIGRTMIN() + 5],
        _ => Vec::new(),
    };
    let take = || {
        taken.iter().for_each(|&signal| {
            // SAFETY: a handler that does nothing, for a signal that nobody sends.
            unsafe {
                let mut action: libc::sigaction = zeroed();
                action.sa_sigaction = own as *const () as usize;
                assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
            }
        });
        true
    };
    let seen = service::serve(take).expect("who needs no permission is permitted");
    let (said, in_file) = match case {
        "none is taken" => ("works", None),
        "all are taken" => {
            let why = "every real-time signal has a handler of the service's";
            ("failed (every real-time signal has a handler of the service's)", Some(why))
        }
        "the chosen one is taken" => ("failed (signal ", Some("has a handler already")),
        _ => ("off (DIAG_SIGNAL=off: ", None),
    };
    assert!(seen.part("stacks of held-up threads").starts_with(said), "{}", seen.health);
    let notes = seen.notes();
    match in_file {
        Some(why) => {
            let note = |line: &&str| {
                line.starts_with("not recorded: stacks of held-up threads: ") && line.contains(why)
            };
            assert!(notes.lines().any(|line| note(&line)), "{notes}");
        }
        None => assert!(!notes.contains("stacks of held-up threads: "), "{notes}"),
    }
    // One that sleeps needs no signal.
    assert_eq!(seen.held_up_in("service::sleeps"), 1, "{notes}");
    let is_known = case == "none is taken";
    assert_eq!(seen.held_up_in("service::spins"), usize::from(is_known), "{notes}");
    let dropped = &seen.snapshot.capture.dropped;
    let without =
        dropped.iter().find(|(what, _)| what.starts_with("thread_stacks (")).map(|(_, &times)| times);
    assert_eq!(without, (!is_known).then_some(1), "{dropped:?}");
    assert!(seen.stacks_of_samples() > 0 && !seen.snapshot.parked.is_empty(), "{notes}");
    for signal in taken {
        // SAFETY: only asks.
        let action = unsafe {
            let mut action: libc::sigaction = zeroed();
            assert_eq!(libc::sigaction(signal, ptr::null(), &raw mut action), 0);
            action
        };
        assert_eq!(action.sa_sigaction, own as *const () as usize, "signal {signal}");
    }
}
