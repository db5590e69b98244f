//! What a last snapshot is taken before, or upon.

use crate::{sys, values};

/// What a snapshot is taken for that is kept apart from the series in [`Builder::dir`](crate::Builder::dir).
///
/// ```
/// use diag::Trigger;
/// # unsafe { std::env::set_var("DIAG_ADDR", "off") };
/// # let dir = std::env::temp_dir().join(format!("diag-trigger-{}", std::process::id()));
/// let guard = diag::Builder::new().dir(&dir).last([Trigger::Limit, Trigger::Panic]).start();
/// # drop(guard);
/// # let _ = std::fs::remove_dir_all(dir);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// A half, a quarter, an eighth or a sixteenth is left of the limit on the memory of the process's control group, or
    /// that limit was met. A sixteenth of the limit, 32 MiB at most, is set aside for it. In text: `limit`.
    Limit,
    /// The same for resident memory, and a limit of the service's own. In text: `budget=400m`.
    Budget(u64),
    /// Resident memory has grown by so many bytes since the last time. In text: `step=64m`.
    Step(u64),
    /// Tasks waited for memory in so many percent of ten seconds, as the kernel's pressure stall information has it. In
    /// text: `pressure=20`.
    Pressure(u8),
    /// A signal comes. What handled it before still does, and its default action is not taken. In text: `signal=10`.
    Signal(i32),
    /// Somebody sends `POST /last` to the agent. In text: `http`.
    Http,
    /// Each day at this time of UTC. In text: `at=03:00`.
    Daily {
        /// Up to 23.
        hour: u8,
        /// Up to 59.
        minute: u8,
    },
    /// `SIGTERM` comes. What handled it before still does; its default action is taken when the snapshot is written, at
    /// the latest after ten seconds, or at once upon a second one. In text: `term`.
    Terminate,
    /// A thread panics: before the hook for panics that was there. One in 30 seconds. In text: `panic`.
    Panic,
    /// The process exits by itself: at the end of `main`, or by `std::process::exit`. In text: `exit`.
    Exit,
}

impl Trigger {
    /// From its text.
    fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let trigger = match (name, value) {
            ("limit", None) => Trigger::Limit,
            ("http", None) => Trigger::Http,
            ("term", None) => Trigger::Terminate,
            ("panic", None) => Trigger::Panic,
            ("exit", None) => Trigger::Exit,
            ("budget", Some(bytes)) => Trigger::Budget(values::bytes(bytes)?),
            ("step", Some(bytes)) => Trigger::Step(values::bytes(bytes)?),
            ("pressure", Some(percent)) => Trigger::Pressure(percent.parse().ok()?),
            ("signal", Some(number)) => Trigger::Signal(number.parse().ok()?),
            ("at", Some(time)) => {
                let (hour, minute) = time.split_once(':')?;
                Trigger::Daily { hour: hour.parse().ok()?, minute: minute.parse().ok()? }
            }
            _ => return None,
        };
        trigger.is_possible().then_some(trigger)
    }

    /// Whether its number means anything.
    pub(crate) fn is_possible(self) -> bool {
        match self {
            Trigger::Budget(bytes) | Trigger::Step(bytes) => bytes > 0,
            Trigger::Pressure(percent) => (1..=100).contains(&percent),
            Trigger::Signal(signal) => sys::chained::may_chain(signal) && signal != sys::chained::TERMINATE,
            Trigger::Daily { hour, minute } => hour < 24 && minute < 60,
            Trigger::Limit | Trigger::Http | Trigger::Terminate | Trigger::Panic | Trigger::Exit => true,
        }
    }

    /// Its name in files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Trigger::Limit => "limit",
            Trigger::Budget(_) => "budget",
            Trigger::Step(_) => "step",
            Trigger::Pressure(_) => "pressure",
            Trigger::Signal(_) => "signal",
            Trigger::Http => "http",
            Trigger::Daily { .. } => "at",
            Trigger::Terminate => "term",
            Trigger::Panic => "panic",
            Trigger::Exit => "exit",
        }
    }
}

/// `limit,term,at=03:00`; nothing by `off`.
pub(crate) fn list(text: &str) -> Option<Vec<Trigger>> {
    if values::switch(text) == Some(false) {
        return Some(Vec::new());
    }
    text.split(',').map(|part| Trigger::parse(part.trim())).collect()
}

/// What [`list`] makes the same of.
pub(crate) fn shown(triggers: &[Trigger]) -> String {
    let text = |trigger: &Trigger| {
        let name = trigger.name();
        match *trigger {
            Trigger::Budget(bytes) | Trigger::Step(bytes) => format!("{name}={bytes}"),
            Trigger::Pressure(percent) => format!("{name}={percent}"),
            Trigger::Signal(signal) => format!("{name}={signal}"),
            Trigger::Daily { hour, minute } => format!("{name}={hour:02}:{minute:02}"),
            Trigger::Limit | Trigger::Http | Trigger::Terminate | Trigger::Panic | Trigger::Exit => {
                name.to_owned()
            }
        }
    };
    match triggers {
        [] => "off".to_owned(),
        triggers => triggers.iter().map(text).collect::<Vec<_>>().join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_text() {
        let text = "limit, budget=400m,step=64k,pressure=20,signal=10,http,at=03:05,term,panic,exit";
        let expected = [
            Trigger::Limit,
            Trigger::Budget(400 << 20),
            Trigger::Step(64 << 10),
            Trigger::Pressure(20),
            Trigger::Signal(10),
            Trigger::Http,
            Trigger::Daily { hour: 3, minute: 5 },
            Trigger::Terminate,
            Trigger::Panic,
            Trigger::Exit,
        ];
        assert_eq!(list(text).as_deref(), Some(&expected[..]));
        for (trigger, part) in expected.iter().zip(text.split(',')) {
            assert!(part.trim().starts_with(trigger.name()), "{part}");
        }
        assert_eq!(list(&shown(&expected)).as_deref(), Some(&expected[..]));
        assert_eq!((list("off"), shown(&[])), (Some(Vec::new()), "off".to_owned()));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let bad = ["", "limits", "limit=3", "budget", "budget=0", "pressure=0", "pressure=101", "signal=9"];
        for text in bad.into_iter().chain(["signal=15", "signal=11", "at=24:00", "at=3", "term,,exit", "on"])
        {
            assert_eq!(list(text), None, "{text}");
        }
    }
}
