//! What `diag-tracing` gives tasks their labels by. No interface for others: it changes with that package.

use std::fmt::Display;

use super::labels::{Labels, in_force};
use super::scope::with_label;

/// Labels of a span: its own and those of the spans around it.
#[derive(Clone, Debug)]
pub struct SpanLabels(Labels);

impl SpanLabels {
    /// Returns these labels, if there are any, and one more in the place of one of the same key. What is bounded and counted is so as
    /// of a [`scope`](super::scope()).
    pub fn with(rest: Option<SpanLabels>, key: &str, value: impl Display) -> Option<SpanLabels> {
        with_label(rest.map(|rest| rest.0), key, value).map(SpanLabels)
    }

    /// Returns the value of this key.
    pub fn get(&self, key: &str) -> Option<String> {
        self.0.get(key)
    }

    /// Puts them in the place of what the span of this number has put in force on this thread, if it has.
    pub fn renew(&self, span: u64) {
        in_force::renew_span(&self.0, span);
    }

    /// Puts them in force on this thread until the span of this number is left. The task whose poll this is has them as well, until
    /// another span says otherwise.
    pub fn enter(&self, span: u64) {
        in_force::enter_span(&self.0, span);
    }
}

/// The span of this number is left. It need not be the one entered last, nor have been entered on this thread.
pub fn leave(span: u64) {
    in_force::leave_span(span);
}

/// Returns the value of this key that a task spawned now would inherit.
pub fn in_force(key: &str) -> Option<String> {
    in_force::inherited()?.get(key)
}

/// Has the spans that it is polled in label each task that is spawned from now on. Their spawns and polls go a colder way.
pub fn follow() {
    crate::follow_spans();
}
