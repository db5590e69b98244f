//! What is run, and what `diag check` and the leak guard are to say of it.

use clap::ValueEnum;
use diag_trial::case::Case;
use diag_trial::guarded::Guarded;
use diag_trial::wanted::Wanted;

use crate::{Fault, Load};

/// For runs of 18 s: the default asks of what nobody ever ended, and of memory, that it goes on for half a minute.
pub const POLICY: &str = include_str!("../diag.toml");

/// What is right to say of a fault.
pub fn wanted(fault: Fault) -> Wanted {
    let (rules, words): (&[_], &[_]) = match fault {
        Fault::PoolPerTest => (&["task-leak"], &["sqlx"]),
        Fault::SharedMock => (&["heap-growth"], &["Mock::send"]),
        Fault::Exit | Fault::Abort => (&["resource-leak"], &["Lease", "were to be dropped within"]),
        Fault::Forget => (&["resource-leak"], &["scratch folder", "not given back"]),
        Fault::UnobservedPanic => (&["panicked"], &["panics nobody was told", "await the `JoinHandle`"]),
        Fault::LateInit => (&["task-leak"], &["watch::look", "waits for: timer"]),
        Fault::RuntimePerTest => (&["resident-growth"], &["threads went from", "runtimes are built at"]),
    };
    Wanted { rules, words }
}

/// What the leak guard is to say of a fault, beside one of its lines.
fn guarded(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::PoolPerTest => &["2 tasks spawned at"],
        Fault::SharedMock => &["1 task spawned at", "waits for: mpsc recv"],
        Fault::Exit => &["1 resource in use", "the process exits before the test"],
        Fault::Abort => &["1 resource in use"],
        Fault::Forget => &["1 resource in use", "\"scratch folder\""],
        Fault::UnobservedPanic => &["1 task panicked, and nobody was told"],
        Fault::LateInit => &["1 task spawned at", "watch::look"],
        Fault::RuntimePerTest => &["1 worker thread of a runtime"],
    }
}

/// A run with a fault, or a healthy one.
pub fn case(fault: Option<Fault>, load: Load) -> Case {
    let guarded =
        Guarded { words: fault.map_or(&[], guarded), lines: fault.map(Fault::lines).unwrap_or_default() };
    Case::new(fault.map(|fault| (fault.name(), wanted(fault))), load.name(), &[0]).with_guard(guarded)
}

/// All cases: the faults, and the healthy loads.
pub fn all() -> Vec<Case> {
    let faults = Fault::value_variants().iter().map(|&fault| case(Some(fault), Load::Mixed));
    let twins = Load::value_variants().iter().map(|&load| case(None, load));
    faults.chain(twins).collect()
}
