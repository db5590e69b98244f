//! Where the readings of departed devices go: shards of two endpoints each, behind fuses of three levels.
//!
//! The archive is a stand-in: what its endpoints answer is a matter of their behavior and of time. One shard fails, and one endpoint of
//! another is slower than the limit, as there is always one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::fault::{Fault, Faults};
use super::fuse::{Fuse, Pass, Times};
use super::pool::Pool;
use super::protocol::{DeviceId, TraceId};
use super::truth::Place;

/// So many attempts for the readings of one device.
const ATTEMPTS: u32 = 3;
/// The pause after the first of them; each one after that is twice as long.
const BACK_OFF: Duration = Duration::from_millis(50);
/// What failed is tried anew after this time, by one that spawns for it.
const LATER: Duration = Duration::from_secs(3);
/// Of so many readings one is packed by a call that blocks, for so long.
const BLOCKS_EVERY: u64 = 25;
const BLOCKS_FOR: Duration = Duration::from_millis(600);

/// Where what hands readings over is spawned, and what tries again.
static HAND_OVER_PLACE: Place = Place::new();
static AGAIN_PLACE: Place = Place::new();

/// The archive as the hub sees it.
pub(super) struct Archive {
    faults: Faults,
    limit: Duration,
    /// L3.
    fuse: Fuse,
    shards: [Shard; 4],
    pub(super) pool: Pool,
    handed_over: AtomicU64,
    blocked: AtomicU64,
    again: AtomicU64,
}

struct Shard {
    /// L2.
    fuse: Fuse,
    endpoints: [Endpoint; 2],
}

struct Endpoint {
    /// L1.
    fuse: Fuse,
    behavior: Behavior,
}

#[derive(Clone, Copy)]
enum Behavior {
    Well,
    Slow,
    Failing,
}

/// Readings on their way to the archive.
#[derive(Clone)]
struct Parcel {
    archive: Arc<Archive>,
    device: DeviceId,
    /// The device's own id of what it does, by which its log and ours are put side by side.
    trace: Option<TraceId>,
}

impl Archive {
    pub(super) fn new(times: Times, faults: Faults) -> Arc<Self> {
        let fuse = || Fuse::new(times, faults.has(Fault::FuseStuckOpen));
        let endpoint = |behavior| Endpoint { fuse: fuse(), behavior };
        // An endpoint is asked when nothing before it is open, which may be seldom.
        let shard = |behaviors: [Behavior; 2]| Shard {
            fuse: fuse().asked_often(),
            endpoints: behaviors.map(endpoint),
        };
        use Behavior::{Failing, Slow, Well};
        Arc::new(Archive {
            faults,
            limit: times.limit,
            fuse: fuse().asked_often(),
            shards: [[Well, Well], [Well, Well], [Well, Slow], [Failing, Failing]].map(shard),
            pool: Pool::new(faults),
            handed_over: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            again: AtomicU64::new(0),
        })
    }

    /// Hands the readings of a device over, in a task of their own, which has the labels of both.
    pub(super) fn hand_over(self: &Arc<Self>, device: DeviceId, trace: Option<TraceId>) {
        let parcel = Parcel { archive: self.clone(), device, trace };
        HAND_OVER_PLACE.note(parcel.scope().spawn(parcel.hand_over()));
    }

    /// How many fuses of each level are open, and how many attempts they turned away.
    pub(super) fn open_fuses(&self) -> [u64; 4] {
        let (mut open, mut refused) = ([0; 3], 0);
        for (level, fuse) in self.fuses() {
            open[level] += u64::from(fuse.is_open());
            refused += fuse.refused();
        }
        [open[0], open[1], open[2], refused]
    }

    fn fuses(&self) -> impl Iterator<Item = (usize, &Fuse)> {
        let endpoints = self.shards.iter().flat_map(|shard| &shard.endpoints);
        let l1 = endpoints.map(|endpoint| (0, &endpoint.fuse));
        let l2 = self.shards.iter().map(|shard| (1, &shard.fuse));
        l1.chain(l2).chain([(2, &self.fuse)])
    }

    /// Readings that were packed by a call that blocks.
    pub(super) fn blocked(&self) -> u64 {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Tasks that wait to try again.
    pub(super) fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Where readings are handed over, and where tries are spawned.
    pub(super) fn places(&self) -> [Option<String>; 2] {
        [HAND_OVER_PLACE.line(), AGAIN_PLACE.line()]
    }
}

impl Parcel {
    fn scope(&self) -> diag::task::Scope {
        let scope = diag::scope("device", self.device.0);
        match self.trace {
            Some(trace) => scope.label("trace_id", trace),
            None => scope,
        }
    }

    async fn hand_over(self) {
        let archive = self.archive.clone();
        self.pack();
        let (mut attempt, mut pause) = (1, BACK_OFF);
        loop {
            let was_taken = self.attempt(attempt).await;
            if was_taken != Some(false) || attempt == ATTEMPTS {
                break;
            }
            if archive.faults.has(Fault::RetrySpawns) {
                // Fault `retry-spawns`: somebody made two tries of it, so that one of them hits the good endpoint.
                (0..2).for_each(|_| self.clone().spawn_again());
                break;
            }
            sleep(pause).await;
            (attempt, pause) = (attempt + 1, pause * 2);
        }
    }

    fn spawn_again(self) {
        let archive = self.archive.clone();
        archive.again.fetch_add(1, Ordering::Relaxed);
        let again = async move {
            sleep(LATER).await;
            // These do not ask the fuses, which are there for what is new.
            if !self.ask(1).await {
                (0..2).for_each(|_| self.clone().spawn_again());
            }
            self.archive.again.fetch_sub(1, Ordering::Relaxed);
        };
        AGAIN_PLACE.note(diag::spawn(again));
    }

    /// Packs the readings.
    fn pack(&self) {
        let number = self.archive.handed_over.fetch_add(1, Ordering::Relaxed);
        self.archive.pool.with_buffer(|buffer| buffer.fill(number as u8));
        if self.archive.faults.has(Fault::BlockingHandler) && number.is_multiple_of(BLOCKS_EVERY) {
            self.archive.blocked.fetch_add(1, Ordering::Relaxed);
            // Fault `blocking-handler`: the packer of a vendor waits for its own thread.
            std::thread::sleep(BLOCKS_FOR);
        }
    }

    fn shard(&self) -> &Shard {
        &self.archive.shards[self.device.0 as usize % self.archive.shards.len()]
    }

    fn endpoint(&self, attempt: u32) -> &Endpoint {
        let endpoints = &self.shard().endpoints;
        &endpoints[(self.device.0 / 4 + u64::from(attempt)) as usize % endpoints.len()]
    }

    /// Whether it was taken; `None` if a fuse is open.
    async fn attempt(&self, attempt: u32) -> Option<bool> {
        // The fuse of the endpoint is asked last: the passes of the others are given back if it is open.
        let passes: [Pass<'_>; 3] =
            [self.archive.fuse.pass()?, self.shard().fuse.pass()?, self.endpoint(attempt).fuse.pass()?];
        let was_taken = self.ask(attempt).await;
        passes.into_iter().for_each(|pass| pass.hear(was_taken));
        Some(was_taken)
    }

    async fn ask(&self, attempt: u32) -> bool {
        let answer = self.endpoint(attempt).behavior.answer(self.archive.limit);
        timeout(self.archive.limit, answer).await.unwrap_or(false)
    }
}

impl Behavior {
    async fn answer(self, limit: Duration) -> bool {
        sleep(match self {
            Behavior::Well => limit / 40,
            Behavior::Slow => limit * 2,
            Behavior::Failing => limit / 80,
        })
        .await;
        !matches!(self, Behavior::Failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Arc<Archive> {
        Archive::new(Times::default(), Faults::default())
    }

    async fn hand_over(archive: &Arc<Archive>, devices: impl Iterator<Item = u64>) {
        for device in devices {
            let device = DeviceId(device);
            Parcel { archive: archive.clone(), device, trace: None }.hand_over().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_endpoint_opens_its_own_fuse_and_a_failing_shard_its_own() {
        let archive = archive();
        // Shard 2: each second of its attempts is slow, and the next one goes well.
        hand_over(&archive, (0..20).map(|n| n * 4 + 2)).await;
        assert_eq!(archive.open_fuses()[..3], [1, 0, 0]);
        // Shard 3: all of its attempts fail. The fuse of the shard opens before those of its endpoints.
        hand_over(&archive, (0..20).map(|n| n * 4 + 3)).await;
        assert_eq!(archive.open_fuses()[1..3], [1, 1], "nothing else was asked meanwhile");
        sleep(Duration::from_secs(30)).await;
        hand_over(&archive, (0..4).map(|n| n * 4)).await;
        assert_eq!(archive.open_fuses()[2], 0, "one attempt went well");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_one_shard_among_others_open_no_fuse_of_all() {
        let archive = archive();
        hand_over(&archive, 0..400).await;
        let [l1, l2, l3, refused] = archive.open_fuses();
        assert!(l1 >= 1 && refused > 0);
        assert_eq!((l2, l3), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_of_the_archive_is_not_lost_at_a_shard_that_is_open() {
        let archive = archive();
        hand_over(&archive, (0..20).map(|n| n * 4 + 3)).await;
        sleep(Duration::from_secs(29)).await;
        hand_over(&archive, (0..20).map(|n| n * 4 + 3)).await;
        sleep(Duration::from_secs(1)).await;
        hand_over(&archive, (0..400).map(|n| n * 4)).await;
        assert_eq!(archive.open_fuses()[2], 0);
    }
}
