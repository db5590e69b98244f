//! The hub end to end, over pipes and under a paused clock: each fault shows alone, and the healthy twin
//! is empty when everybody has gone.

use std::time::Duration;

use diag_examples::iothub::driver::{Script, Tally, drive};
use diag_examples::iothub::transport::{Transport, open};
use diag_examples::iothub::{Config, Fault, Hub, Truth};
use tokio::runtime::Handle;
use tokio::time::sleep;

const READINGS_BYTES: u64 = 64 * 1024;

const SCRIPT: Script = Script {
    seed: 1,
    steady: 20,
    heartbeat: Duration::from_millis(150),
    polite_every: Duration::from_millis(10),
    polite_for: Duration::from_secs(2),
    flaky_every: Duration::from_millis(50),
    flaky_for: Duration::from_secs(2),
    more: None,
    wave: None,
};

/// What is left when the last device is gone for longer than any grace time or time to live.
struct Left {
    tally: Tally,
    truth: Truth,
    device_tasks: usize,
}

async fn run(faults: &[Fault]) -> Left {
    let (listener, connector) = open(Transport::Memory).await.expect("pipes need nothing");
    let config = Config { faults: faults.iter().copied().collect(), ..Config::default() };
    let hub = Hub::start(listener, config);
    let tally = drive(connector, SCRIPT, sleep(Duration::from_secs(3))).await;
    sleep(config.grace + config.ttl * 2).await;
    // The accepting task ended with the last connector; the sweeper, if there is one, runs on.
    let sweepers = usize::from(!faults.contains(&Fault::MapNoTtl));
    let device_tasks = Handle::current().metrics().num_alive_tasks() - sweepers;
    Left { tally, truth: hub.truth(), device_tasks }
}

fn check_everybody_came(tally: &Tally) {
    assert_eq!(tally.steady, 20);
    assert_eq!(tally.failed, 0);
    assert!(tally.polite >= 190 && tally.returned >= 12 && tally.lost >= 24, "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn the_healthy_hub_is_empty_when_everybody_has_gone() {
    let left = run(&[]).await;
    check_everybody_came(&left.tally);
    let Truth { devices_online, sessions, readings_bytes, faults, .. } = left.truth;
    assert_eq!((devices_online, sessions, readings_bytes, faults), (0, 0, 0, vec![]));
    assert_eq!(left.device_tasks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_left_for_each_device_that_was_lost_and_no_readings() {
    let left = run(&[Fault::GhostDevices]).await;
    check_everybody_came(&left.tally);
    let ghosts = left.truth.of_rule("task-leak").expect("the fault is on");
    assert_eq!(ghosts.count, left.tally.lost);
    assert_eq!(left.device_tasks as u64, left.tally.lost);
    assert_eq!(left.truth.sessions, left.tally.lost);
    assert_eq!(left.truth.readings_bytes, 0);
    let site = ghosts.site.as_deref().expect("devices were spawned");
    assert!(site.contains("src/iothub/hub.rs:"), "{site}");
}

#[tokio::test(start_paused = true)]
async fn without_a_sweeper_all_readings_stay_and_no_task() {
    let left = run(&[Fault::MapNoTtl]).await;
    check_everybody_came(&left.tally);
    let visitors = left.tally.polite + left.tally.returned + left.tally.lost;
    let kept = left.truth.of_rule("heap-growth").expect("the fault is on");
    assert_eq!(kept.count, visitors + left.tally.steady);
    assert_eq!(kept.bytes, Some(visitors * READINGS_BYTES));
    assert_eq!(left.device_tasks, 0);
    assert!(left.truth.of_rule("task-leak").is_none());
}

#[tokio::test(start_paused = true)]
async fn both_faults_together_keep_what_each_keeps_alone() {
    let left = run(&[Fault::GhostDevices, Fault::MapNoTtl]).await;
    let visitors = left.tally.polite + left.tally.returned + left.tally.lost;
    assert_eq!(left.truth.of_rule("task-leak").map(|ghosts| ghosts.count), Some(left.tally.lost));
    assert_eq!(left.truth.readings_bytes, visitors * READINGS_BYTES);
}
