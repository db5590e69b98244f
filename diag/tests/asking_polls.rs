//! The control of `captures_poll_nothing`: polls that somebody asks for stop the service that captures leave alone.

#[path = "common/named.rs"]
mod named;
#[path = "common/one_waker.rs"]
mod one_waker;

use std::sync::atomic::Ordering;
use std::time::Duration;

use named::row;
use one_waker::{Service, runtime};

#[test]
fn asking_takes_the_place_of_the_task_at_work() {
    let runtime = runtime();
    let service = Service::start(&runtime, "forgotten", "working");
    // Whoever is polled last has the place; on two workers that is either.
    let is_stopped = (0..1_000).any(|_| {
        diag::snapshot_asking();
        let is_lost = row(&diag::snapshot(), "working").lost.is_some();
        is_lost && !service.works(Duration::from_millis(300))
    });
    assert!(is_stopped, "{} polls of the forgotten", service.forgotten_polls.load(Ordering::Relaxed));
}
