//! The world outside of the hub: many devices that come, talk, get lost, and go.
//!
//! Three kinds. *Steady* devices stay on their line for the whole run; one loop owns them all, so that a million
//! of them need no task of their own. *Polite* ones visit shortly and say goodbye. *Flaky* ones lose their
//! line; one in three comes back to its session and then leaves politely. What each does is drawn from one
//! seed; when it happens is the clock's, so the [`Tally`] says what was done.

use std::io;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::AsyncWriteExt;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use super::protocol::{DeviceId, Frame, FrameError, TraceId, read_frame};
use super::transport::{Connector, Line};

/// Devices that say hello before the first of them is heard: less than any accept queue.
const HELLOS_AT_ONCE: usize = 100;
/// A visitor brings as many readings as a session keeps: eight frames of 8 KiB.
const BACKLOG_FRAMES: usize = 8;
const BACKLOG_FRAME_BYTES: usize = 8 * 1024;
/// How long a visitor stays on a line, and how long a flaky one is away, milliseconds.
const VISIT_MS: Range<u64> = 80..300;
const AWAY_MS: u64 = 100;
/// A loop that owns the steady devices cannot do better than this for each heartbeat.
const HEARTBEAT_COST: Duration = Duration::from_micros(10);
/// Ids of visitors begin here, above those of steady devices.
const FIRST_VISITOR: u64 = 1 << 32;

/// What the devices of a run do.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Devices that stay.
    pub steady: usize,
    /// Pause between two heartbeats of a steady device; longer if there are too many for it.
    pub heartbeat: Duration,
    /// A polite visitor comes so often.
    pub polite_every: Duration,
    /// Polite visitors come for so long.
    pub polite_for: Duration,
    /// A flaky visitor comes so often.
    pub flaky_every: Duration,
    /// Flaky visitors come for so long.
    pub flaky_for: Duration,
    /// Devices that come to stay later.
    pub more: Option<More>,
    /// When all that stay lose their lines at once, and come back.
    pub wave: Option<Duration>,
}

/// Devices that come to stay later than the others.
#[derive(Clone, Copy, Debug)]
pub struct More {
    /// When they come, since the start.
    pub at: Duration,
    /// How many they are.
    pub devices: usize,
}

impl Default for Script {
    /// A mid-sized hub, driven for as long as it runs: about 300 devices online, a hundred visits a second.
    fn default() -> Self {
        let for_ever = Duration::from_secs(60 * 60 * 24 * 365);
        Script {
            seed: 1,
            steady: 200,
            heartbeat: Duration::from_millis(150),
            polite_every: Duration::from_millis(10),
            polite_for: for_ever,
            flaky_every: Duration::from_millis(60),
            flaky_for: for_ever,
            more: None,
            wave: None,
        }
    }
}

/// What the devices of a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steady devices that were on their line to the end.
    pub steady: u64,
    /// Visits that ended with goodbye.
    pub polite: u64,
    /// Lines lost, and the device came back and left politely.
    pub returned: u64,
    /// Lines lost for ever.
    pub lost: u64,
    /// Visits that the system or the hub cut short.
    pub failed: u64,
}

/// A driver on its own thread and runtime: the world outside is no part of the service.
pub struct Driver {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<io::Result<Tally>>,
}

impl Driver {
    /// Starts the devices of `script`.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub fn start(connector: Connector, script: Script) -> io::Result<Driver> {
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(drive(connector, script, async { drop(stopped.await) })))
        };
        let thread = thread::Builder::new().name("iothub-devices".to_owned()).spawn(run)?;
        Ok(Driver { stop, thread })
    }

    /// Lets the visitors that are there finish, says goodbye for the steady devices, and counts. Blocks for as
    /// long as that takes, less than a second as a rule.
    ///
    /// # Errors
    /// The system's, when it had no runtime to give, or when the driver itself failed.
    pub fn stop(self) -> io::Result<Tally> {
        // The driver is gone already if it failed, and says so below.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the driver of the devices panicked")))
    }
}

/// Runs `script` until `stop` is ready, then lets every device that is on a line leave politely.
pub async fn drive(connector: Connector, script: Script, stop: impl Future<Output = ()>) -> Tally {
    let (running, stopped) = watch::channel(());
    let polite = Visitors {
        first: FIRST_VISITOR,
        every: script.polite_every,
        period: script.polite_for,
        endings: &[Ending::Polite],
    };
    let flaky = Visitors {
        first: FIRST_VISITOR * 2,
        every: script.flaky_every,
        period: script.flaky_for,
        endings: &[Ending::Returning, Ending::Lost, Ending::Lost],
    };
    let (steady, polite, flaky, ()) = tokio::join!(
        stay(&connector, &script, stopped.clone()),
        come_and_go(&connector, polite, script.seed, stopped.clone()),
        come_and_go(&connector, flaky, script.seed + 1, stopped),
        async {
            stop.await;
            drop(running);
        }
    );
    Tally { steady, ..polite.plus(flaky) }
}

/// Ready once the sender is gone.
async fn told(stopped: &mut watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

/// The steady devices: all on their lines, all heartbeats, from one loop. Returns how many were left at the end.
async fn stay(connector: &Connector, script: &Script, mut stopped: watch::Receiver<()>) -> u64 {
    let more = after(script.more.map(|more| more.at));
    let wave = after(script.wave);
    tokio::pin!(more, wave);
    let mut lines = tokio::select! {
        lines = call_all(connector, 0..script.steady) => lines,
        () = told(&mut stopped) => return 0,
    };
    let mut beats = interval(script.heartbeat.max(HEARTBEAT_COST * script.steady as u32));
    loop {
        tokio::select! {
            _ = beats.tick() => send_all(&mut lines, &Frame::Heartbeat).await,
            () = &mut more => {
                more.set(after(None));
                let devices = script.more.map_or(0, |more| more.devices);
                lines.append(&mut call_all(connector, script.steady..script.steady + devices).await);
            }
            () = &mut wave => {
                wave.set(after(None));
                lines.clear();
                sleep(Duration::from_millis(AWAY_MS)).await;
                lines = call_all(connector, 0..script.steady).await;
            }
            () = told(&mut stopped) => break,
        }
    }
    send_all(&mut lines, &Frame::Bye).await;
    lines.len() as u64
}

/// Ready after this time; never without.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Calls for `devices`, a batch at a time; those that the hub does not welcome are left out.
pub(super) async fn call_all(connector: &Connector, devices: Range<usize>) -> Vec<Line> {
    let mut welcomed = Vec::with_capacity(devices.len());
    for first in devices.clone().step_by(HELLOS_AT_ONCE) {
        let mut calls = Vec::with_capacity(HELLOS_AT_ONCE);
        for device in first..devices.end.min(first + HELLOS_AT_ONCE) {
            calls.extend(hello(connector, DeviceId(device as u64)).await.ok());
        }
        for mut line in calls {
            if welcome(&mut line).await.is_ok() {
                welcomed.push(line);
            }
        }
    }
    welcomed
}

/// Sends `frame` on every line, and forgets the lines that are lost.
async fn send_all(lines: &mut Vec<Line>, frame: &Frame) {
    let bytes = frame.encode();
    let mut i = 0;
    while let Some(line) = lines.get_mut(i) {
        match line.write_all(&bytes).await {
            Ok(()) => i += 1,
            Err(_) => drop(lines.swap_remove(i)),
        }
    }
}

/// A stream of visitors.
#[derive(Clone, Copy)]
struct Visitors {
    /// Id of the first; the others count up.
    first: u64,
    every: Duration,
    period: Duration,
    /// How their visits end, in turn.
    endings: &'static [Ending],
}

#[derive(Clone, Copy)]
enum Ending {
    Polite,
    Returning,
    Lost,
}

impl Tally {
    fn count(&mut self, visit: &Result<Ending, CutShort>) {
        *match visit {
            Ok(Ending::Polite) => &mut self.polite,
            Ok(Ending::Returning) => &mut self.returned,
            Ok(Ending::Lost) => &mut self.lost,
            Err(CutShort) => &mut self.failed,
        } += 1;
    }

    fn plus(self, other: Tally) -> Tally {
        Tally {
            steady: self.steady + other.steady,
            polite: self.polite + other.polite,
            returned: self.returned + other.returned,
            lost: self.lost + other.lost,
            failed: self.failed + other.failed,
        }
    }
}

async fn come_and_go(
    connector: &Connector,
    visitors: Visitors,
    seed: u64,
    mut stopped: watch::Receiver<()>,
) -> Tally {
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    let mut here = JoinSet::new();
    let mut arrivals = interval(visitors.every);
    let over = sleep(visitors.period);
    tokio::pin!(over);
    let kinds = (visitors.first..).zip(visitors.endings.iter().cycle());
    for (id, &ending) in kinds {
        // Those who left are counted on the way, so that the set does not grow with the run.
        while let Some(visit) = here.try_join_next() {
            tally.count(&visit.unwrap_or(Err(CutShort)));
        }
        tokio::select! {
            biased;
            () = told(&mut stopped) => break,
            () = &mut over => break,
            _ = arrivals.tick() => {}
        }
        here.spawn(visit(connector.clone(), DeviceId(id), ending, rng.fork()));
    }
    while let Some(visit) = here.join_next().await {
        tally.count(&visit.unwrap_or(Err(CutShort)));
    }
    tally
}

/// The visit did not go as planned: the hub or the system ended it.
struct CutShort;

impl From<io::Error> for CutShort {
    fn from(_: io::Error) -> Self {
        CutShort
    }
}

impl From<FrameError> for CutShort {
    fn from(_: FrameError) -> Self {
        CutShort
    }
}

async fn visit(connector: Connector, id: DeviceId, ending: Ending, mut rng: Rng) -> Result<Ending, CutShort> {
    let mut line = hello(&connector, id).await?;
    welcome(&mut line).await?;
    line.write_all(&Frame::Trace(TraceId(rng.u128(..))).encode()).await?;
    send_backlog(&mut line).await?;
    sleep(Duration::from_millis(rng.u64(VISIT_MS))).await;
    match ending {
        Ending::Polite => line.write_all(&Frame::Bye.encode()).await?,
        Ending::Lost => drop(line),
        Ending::Returning => {
            drop(line);
            sleep(Duration::from_millis(AWAY_MS)).await;
            let mut line = hello(&connector, id).await?;
            welcome(&mut line).await?;
            sleep(Duration::from_millis(rng.u64(VISIT_MS))).await;
            line.write_all(&Frame::Bye.encode()).await?;
        }
    }
    Ok(ending)
}

/// A new line on which `id` said hello.
async fn hello(connector: &Connector, id: DeviceId) -> io::Result<Line> {
    let mut line = connector.connect().await?;
    line.write_all(&Frame::Hello(id).encode()).await?;
    Ok(line)
}

async fn welcome(line: &mut Line) -> Result<(), CutShort> {
    match read_frame(line).await? {
        Frame::Welcome => Ok(()),
        _ => Err(CutShort),
    }
}

async fn send_backlog(line: &mut Line) -> io::Result<()> {
    let readings = Frame::Telemetry(vec![0x5a; BACKLOG_FRAME_BYTES]).encode();
    for _ in 0..BACKLOG_FRAMES {
        line.write_all(&readings).await?;
    }
    Ok(())
}
