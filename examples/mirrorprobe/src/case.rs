//! What is run, and what `diag check` is to say of it.

use clap::ValueEnum;
use diag_trial::case::Case;
use diag_trial::wanted::Wanted;

use crate::{Fault, Load};

/// For runs of 18 s: the default asks of what nobody ever ended, and of memory, that it goes on for half a minute.
pub const POLICY: &str = include_str!("../diag.toml");

const A_MAP: &str = "often a map without a limit or an expiry";

/// What is right to say of a fault.
pub fn wanted(fault: Fault) -> Wanted {
    let (rules, words): (&[_], &[_]) = match fault {
        Fault::RetryStorm => (&["task-leak"], &["polled lately", "waits for: timer at src/check.rs"]),
        // Soon those that wait for an answer have all permits, and most wait for one of these.
        Fault::NoTimeout => (&["task-leak"], &["oneshot in hyper_util", "a timeout", "request_id"]),
        Fault::CacheWithoutTtl => (&["heap-growth"], &["Cache::insert", A_MAP]),
        Fault::SpawnPerRetry => (&["task-leak"], &["they multiply", "count the tries"]),
        Fault::FuseStuckOpen => (&["resource-leak"], &["OpenFuse", "were to be dropped within"]),
        Fault::LabelExplosion => (&["heap-growth"], &["metrics::buckets", "new samples, 0 freed", A_MAP]),
        // That it is a channel which keeps them is not known.
        Fault::BroadcastLag => {
            (&["heap-growth"], &["Check::tell", "it grew in all of", "look at what keeps"])
        }
    };
    Wanted { rules, words }
}

/// A run with a fault, or a healthy one.
pub fn case(fault: Option<Fault>, load: Load) -> Case {
    let exits: &[i32] = match load {
        Load::Mixed | Load::Dead => &[1],
        // Whether it is down at the end is a matter of the moment.
        Load::Flapping => &[0, 1],
        Load::Cold => &[0],
    };
    Case::new(fault.map(|fault| (fault.name(), wanted(fault))), load.name(), exits)
}

/// All cases: the faults, and the healthy loads.
pub fn all() -> Vec<Case> {
    let faults = Fault::value_variants().iter().map(|&fault| case(Some(fault), Load::Mixed));
    let twins = Load::value_variants().iter().map(|&load| case(None, load));
    faults.chain(twins).collect()
}
