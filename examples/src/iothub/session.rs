//! The session map: what the hub remembers of each device, on its line, away, or gone.
//!
//! A device that lost its line is *away*: its task waits for a new line, whose sender lies here. A device that
//! left is *departed*: its readings stay until the sweeper removes them. The map never ends a task itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commands::Setting;
use super::protocol::DeviceId;
use super::transport::Line;
use super::truth::Place;

/// Room for the readings of one device, taken with the first of them: most devices are quiet.
const READINGS_BYTES: usize = 64 * 1024;

/// Where the task of a device that is away gets its new line from.
pub(super) type Resume = oneshot::Receiver<Line>;

/// All sessions of a hub.
#[derive(Default)]
pub(super) struct Sessions {
    by_device: Mutex<HashMap<DeviceId, Session>>,
    /// Where room for readings is allocated.
    pub(super) readings_place: Place,
}

struct Session {
    presence: Presence,
    /// When `presence` last changed.
    since: Instant,
    /// Hands a new line to the task that serves this device; `None` once used or departed.
    resume: Option<oneshot::Sender<Line>>,
    readings: Vec<u8>,
    /// What the device is to measure with.
    setting: Setting,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Online,
    Away,
    Departed,
}

/// What becomes of a line whose device said hello.
pub(super) enum Arrival {
    /// The session is new: the caller serves it, and waits at `Resume` should the line be lost.
    New(Line, Resume),
    /// The task that has the session took the line.
    Returned,
    /// The device already has a second line waiting; this one is one too many.
    Refused,
}

/// Counts over the whole map at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Sessions in the map.
    pub(super) sessions: u64,
    /// Devices with a line.
    pub(super) online: u64,
    /// Bytes of readings held by any session.
    pub(super) readings_bytes: u64,
    /// Devices away for longer than the grace time.
    pub(super) overdue: u64,
    /// Sessions that departed longer than their time to live ago.
    pub(super) expired: u64,
    /// Bytes of readings held by devices that are away or departed for longer than the time to live.
    pub(super) expired_bytes: u64,
}

impl Sessions {
    /// Opens the session of `id`, or hands the line to the task that waits for it.
    pub(super) fn arrive(&self, id: DeviceId, line: Line) -> Arrival {
        let mut sessions = self.lock();
        let known = sessions.get_mut(&id).filter(|session| session.presence != Presence::Departed);
        let Some(session) = known else {
            let (sender, resume) = oneshot::channel();
            // Readings of an earlier visit stay: they are the same device's.
            let readings = sessions.remove(&id).map(|departed| departed.readings).unwrap_or_default();
            sessions.insert(id, Session { readings, ..Session::online(sender) });
            return Arrival::New(line, resume);
        };
        match session.resume.take().map(|sender| sender.send(line)) {
            Some(Ok(())) => Arrival::Returned,
            _ => Arrival::Refused,
        }
    }

    /// The task has its new line: the session is online again and can be resumed once more.
    pub(super) fn resumed(&self, id: DeviceId) -> Resume {
        let (sender, resume) = oneshot::channel();
        if let Some(session) = self.lock().get_mut(&id) {
            session.change(Presence::Online);
            session.resume = Some(sender);
        }
        resume
    }

    /// The line was lost: the device may come back.
    pub(super) fn away(&self, id: DeviceId) {
        self.change(id, Presence::Away);
    }

    /// The device left for good.
    pub(super) fn depart(&self, id: DeviceId) {
        self.change(id, Presence::Departed);
    }

    /// Departs after a grace time in vain, unless the device came back at this very moment: then its line.
    pub(super) fn give_up(&self, id: DeviceId, mut resume: Resume) -> Option<Line> {
        // Lines are handed over under this lock: none can arrive between the last look and the departure.
        let mut sessions = self.lock();
        let line = resume.try_recv().ok();
        if let (None, Some(session)) = (&line, sessions.get_mut(&id)) {
            session.change(Presence::Departed);
        }
        line
    }

    /// Keeps readings. A full buffer starts over: a product would archive it here.
    pub(super) fn store(&self, id: DeviceId, readings: &[u8]) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(&id) else { return };
        if session.readings.capacity() == 0 {
            session.readings = self.readings_place.note(Vec::with_capacity(READINGS_BYTES));
        }
        if session.readings.len() + readings.len() > READINGS_BYTES {
            session.readings.clear();
        }
        session.readings.extend_from_slice(readings);
    }

    /// Keeps what the operator wants of a device.
    pub(super) fn set(&self, id: DeviceId, setting: Setting) {
        if let Some(session) = self.lock().get_mut(&id) {
            session.setting = setting;
        }
    }

    /// Forgets what is older than `ttl`: readings of devices that are not here, and departed sessions.
    pub(super) fn sweep(&self, ttl: Duration) {
        self.lock().retain(|_, session| {
            let expired = session.expired(ttl);
            if expired {
                session.readings = Vec::new();
            }
            !(expired && session.presence == Presence::Departed)
        });
    }

    /// Counts everything once.
    pub(super) fn census(&self, grace: Duration, ttl: Duration) -> Census {
        let mut census = Census::default();
        for session in self.lock().values() {
            let readings_bytes = session.readings.capacity() as u64;
            let expired = session.expired(ttl);
            census.sessions += 1;
            census.online += u64::from(session.presence == Presence::Online);
            census.readings_bytes += readings_bytes;
            census.overdue +=
                u64::from(session.presence == Presence::Away && session.since.elapsed() > grace);
            census.expired += u64::from(expired && session.presence == Presence::Departed);
            census.expired_bytes += if expired { readings_bytes } else { 0 };
        }
        census
    }

    fn change(&self, id: DeviceId, presence: Presence) {
        if let Some(session) = self.lock().get_mut(&id) {
            session.change(presence);
        }
    }

    /// A panic under this lock leaves one session half changed at worst: the other devices go on.
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Session>> {
        self.by_device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn online(resume: oneshot::Sender<Line>) -> Session {
        Session {
            presence: Presence::Online,
            since: Instant::now(),
            resume: Some(resume),
            readings: Vec::new(),
            setting: 0,
        }
    }

    fn change(&mut self, presence: Presence) {
        self.presence = presence;
        self.since = Instant::now();
        if presence == Presence::Departed {
            self.resume = None;
        }
    }

    fn expired(&self, ttl: Duration) -> bool {
        self.presence != Presence::Online && self.since.elapsed() > ttl
    }
}
