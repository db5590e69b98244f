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
        Fault::RetryStorm => (&["task-leak"], &["polled lately", "waits for: timer at src/check.rs"]),
        // Soon those that wait for an answer have all permits, and most wait for one of these.
        Fault::NoTimeout => (&["task-leak"], &["oneshot in hyper_util", "a timeout", "request_id"]),
        Fault::CacheWithoutTtl => (&["heap-growth"], &["Cache::insert", "0 freed", "of the kind Vec"]),
        Fault::SpawnPerRetry => (&["task-leak"], &["they multiply", "count the tries"]),
        Fault::FuseStuckOpen => (&["resource-leak"], &["OpenFuse", "were to be dropped within"]),
        Fault::LabelExplosion => (&["heap-growth"], &["metrics::buckets", "0 freed"]),
        Fault::BroadcastLag => {
            (&["heap-growth"], &["Check::tell", "new samples, 0 freed", "of the kind Vec"])
        }
    };
    Wanted { rules, words }
}

/// A run with a fault, or a healthy one.
pub fn case(fault: Option<Fault>, load: Load) -> Case {
    let arguments = fault.map(|fault| ["--fault".to_owned(), fault.name()]);
    let arguments = arguments.into_iter().flatten().chain(["--load".to_owned(), load.name()]);
    Case {
        name: fault.map_or_else(|| format!("healthy, {}", load.name()), Fault::name),
        arguments: arguments.collect(),
        wanted: fault.map(wanted),
        exits: match load {
            Load::Mixed | Load::Dead => &[1],
            // Whether it is down at the end is a matter of the moment.
            Load::Flapping => &[0, 1],
            Load::Cold => &[0],
        },
    }
}

/// All cases: the faults, and the healthy loads.
pub fn all() -> Vec<Case> {
    let faults = Fault::value_variants().iter().map(|&fault| case(Some(fault), Load::Mixed));
    let twins = Load::value_variants().iter().map(|&load| case(None, load));
    faults.chain(twins).collect()
}
