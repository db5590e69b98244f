//! What is run, and what `diag check` is to say of it.

use clap::ValueEnum;
use diag_trial::case::Case;
use diag_trial::wanted::Wanted;

use crate::{Fault, Load};

/// For runs of 18 s: the default asks of what nobody ever ended, and of memory, that it goes on for half a minute.
pub const POLICY: &str = include_str!("../diag.toml");

/// What is right to say of a fault.
pub fn wanted(fault: Fault) -> Wanted {
    let (rules, words): (&[_], &[_]) = match fault {
        Fault::ClientPerCall => (&["task-leak"], &["one after the other", "request_id"]),
        Fault::StuckSingleton => (&["resource-leak"], &["S3 connection", "not given back"]),
        // Soon its waiters are known to wait for longer than any before; some seconds later, that nobody gives back.
        Fault::ForgottenPermit => (&["stuck-giving", "task-leak"], &["waits for: semaphore", "permit"]),
        Fault::NoDeadline => {
            (&["task-leak"], &["waits for: oneshot in hyper_util", "a timeout", "request_id"])
        }
        Fault::BodyNotDrained => (&["resource-leak"], &["OpenBod", "were to be dropped within"]),
        Fault::CancelNotPassed => {
            (&["straggler"], &["its client gave it up", "nothing that they wait for was told of the cancel"])
        }
        Fault::OrphanedParts => (&["resource-leak"], &["OpenMultipart", "were to be dropped within"]),
        Fault::ReloadWatcher => (&["task-leak"], &["and 0 ended", "one after the other"]),
        Fault::DeadEvictor => (&["panicked"], &["evict", "1 panicked", "none of them is left"]),
        Fault::IdleKeys => (&["heap-growth"], &["Idle::with_buffer", "0 freed", "of the kind Vec"]),
    };
    Wanted { rules, words }
}

/// A run with a fault, or a healthy one.
pub fn case(fault: Option<Fault>, load: Load) -> Case {
    Case::new(fault.map(|fault| (fault.name(), wanted(fault))), load.name(), &[0])
}

/// All cases: the faults, and the healthy loads.
pub fn all() -> Vec<Case> {
    let faults = Fault::value_variants().iter().map(|&fault| case(Some(fault), Load::Mixed));
    let twins = Load::value_variants().iter().map(|&load| case(None, load));
    faults.chain(twins).collect()
}
