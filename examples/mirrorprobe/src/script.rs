//! How a mirror behaves.

use std::time::Duration;

use clap::ValueEnum;

/// How a mirror behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Script {
    /// Answers at once.
    Fast,
    /// Answers in time.
    Slow,
    /// Takes what it is asked, and does not answer.
    Hanging,
    /// Says that it cannot.
    Failing,
    /// Fails for two seconds in five.
    Flapping,
}

/// How it answers at one moment.
pub(crate) enum Turn {
    After(Duration),
    Never,
    Fails,
}

impl Script {
    /// How a mirror that has been up for so long answers.
    pub(crate) fn turn(self, uptime: Duration) -> Turn {
        match self {
            Script::Fast => Turn::After(Duration::ZERO),
            Script::Slow => Turn::After(Duration::from_millis(150)),
            Script::Hanging => Turn::Never,
            Script::Flapping if uptime.as_secs() % 5 >= 2 => Turn::After(Duration::ZERO),
            Script::Failing | Script::Flapping => Turn::Fails,
        }
    }
}
