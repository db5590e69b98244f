//! A value of the test's own that is to be as it was: permits, sizes of pools, lengths of queues.

use std::fmt::Debug;

use super::found::{Found, Names};
use super::leak::{LeakKind, What};

/// See the module.
pub(super) struct Value {
    name: String,
    /// What it was and what it is, if these differ.
    difference: Box<dyn Fn() -> Option<[String; 2]>>,
}

impl Value {
    /// Of what `read` gives now.
    pub(super) fn new<T: PartialEq + Debug + 'static>(name: String, read: impl Fn() -> T + 'static) -> Self {
        let before = read();
        let difference = move || {
            let now = read();
            (now != before).then(|| [&before, &now].map(|value| format!("{value:?}")))
        };
        Value { name, difference: Box::new(difference) }
    }

    /// What is said of it if it is not as it was.
    pub(super) fn changed(&self) -> Option<Found> {
        let [before, now] = (self.difference)()?;
        let (one, several) = ("value", "values");
        Some(Found {
            kind: LeakKind::Value,
            what: What { one, several, rest: format!(" {:?} is not what it was", self.name) },
            lines: vec![format!("it was {before} and is {now}")],
            names: Names::default(),
        })
    }
}
