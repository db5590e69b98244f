//! What diag says of itself goes to the service's subscriber, and no more to stderr.

use std::fmt;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static SEEN: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

/// Keeps the events of diag.
struct Keep;

impl Subscriber for Keep {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "diag"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        SEEN.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{value:?}");
    }
}

#[test]
fn messages_are_events() {
    // SAFETY: the one test of this file; nobody reads the environment meanwhile.
    unsafe { std::env::set_var("DIAG_NONSENSE", "1") };
    tracing::subscriber::set_global_default(Keep).unwrap();
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let seen = SEEN.lock().unwrap();
    let is_warning =
        |(level, text): &(Level, String)| *level == Level::WARN && text.starts_with("DIAG_NONSENSE ");
    assert!(seen.iter().any(is_warning), "{seen:?}");
    let listens = format!("the agent listens on http://{}", guard.agent_addr().unwrap());
    assert!(seen.contains(&(Level::INFO, listens)), "{seen:?}");
}
