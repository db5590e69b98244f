//! What the devices of a trial do: the load of all faults, and loads that look like trouble and are none.

use std::time::Duration;

use super::driver::{More, Script};

/// What the devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Load {
    /// Some stay, some visit, some get lost: the load of all faults.
    Mixed,
    /// Half as many devices again come to stay, and so do their tasks.
    Growth,
    /// All that stay lose their lines at one moment, and come back.
    Wave,
    /// Twice as many come and go.
    Churn,
    /// Readings are kept for so long that the session map grows for a while, and then no more.
    Plateau,
}

impl Load {
    /// What the devices do, and how long the readings of one that left are kept.
    pub(super) fn script(self) -> (Script, Duration) {
        let script = Script {
            polite_every: Duration::from_millis(20),
            flaky_every: Duration::from_millis(90),
            ..Script::default()
        };
        let more = |at, devices| Some(More { at: Duration::from_millis(at), devices });
        let ttl = Duration::from_secs(if self == Load::Plateau { 3 } else { 1 });
        let script = match self {
            Load::Mixed | Load::Plateau => script,
            Load::Growth => Script { more: more(4000, script.steady / 2), ..script },
            Load::Wave => Script { wave: Some(Duration::from_millis(7900)), ..script },
            Load::Churn => Script {
                polite_every: script.polite_every / 2,
                flaky_every: script.flaky_every / 2,
                ..script
            },
        };
        (script, ttl)
    }
}
