//! The life of one device, as its task: frames, a line lost and found again, and the end.
//!
//! The task owns the line and nothing else; what outlives a line is in the session map.

use std::sync::Arc;

use super::fault::Fault;
use super::hub::State;
use super::journal;
use super::parts::Attended;
use super::protocol::{DeviceId, Frame, FrameError, read_frame, write_frame};
use super::session::{Arrival, Resume};
use super::transport::Line;

/// Finds out who is on `line`. `None` if that needs no task: whoever does not say hello is no device of ours, and a task of
/// the same device that waits for a line gets this one.
pub(super) async fn hello(state: &State, mut line: Line) -> Option<(DeviceId, Line, Resume)> {
    let Ok(Frame::Hello(id)) = read_frame(&mut line).await else { return None };
    match state.sessions.arrive(id, line) {
        Arrival::New(line, resume) => Some((id, line, resume)),
        Arrival::Returned | Arrival::Refused => None,
    }
}

/// Serves a device until it leaves.
pub(super) async fn serve(state: Arc<State>, id: DeviceId, mut line: Line, mut resume: Resume) {
    while converse(&state, id, line).await == Parting::LineLost {
        state.sessions.away(id);
        match next_line(&state, id, resume).await {
            Some(next) => line = next,
            None => return,
        }
        resume = state.sessions.resumed(id);
    }
    state.sessions.depart(id);
}

#[derive(PartialEq, Eq)]
enum Parting {
    /// A clean end, or a device that does not speak our protocol and must not come back to this session.
    Left,
    /// The device may come back.
    LineLost,
}

/// Takes frames until the device leaves or is lost. The line is closed when this returns.
async fn converse(state: &Arc<State>, id: DeviceId, mut line: Line) -> Parting {
    let attended = Attended::new(state, id);
    state.devices_online.add(1);
    // Boxed, as only a whole hub has it: tasks of others stay as small as they are.
    let parting = match &attended {
        None => take_frames(state, id, &mut line).await,
        Some(_) => {
            Box::pin(journal::with_journal(state.config.faults, take_frames(state, id, &mut line))).await
        }
    };
    state.devices_online.sub(1);
    match parting {
        Err(FrameError::LineLost) => Parting::LineLost,
        Err(_) | Ok(()) => Parting::Left,
    }
}

async fn take_frames(state: &State, id: DeviceId, line: &mut Line) -> Result<(), FrameError> {
    write_frame(line, &Frame::Welcome).await?;
    let mut trace = None;
    loop {
        match read_frame(line).await? {
            Frame::Telemetry(readings) => take_readings(state, id, readings),
            Frame::Trace(id) => trace = Some(id),
            Frame::Bye => break,
            Frame::Heartbeat => {
                (state.config.heard)(id);
                journal::note(b'h');
            }
            Frame::Hello(_) | Frame::Welcome => {}
        }
    }
    if let Some(parts) = &state.parts {
        // In the name of the last that it did.
        parts.archive.hand_over(id, trace);
    }
    Ok(())
}

fn take_readings(state: &State, id: DeviceId, readings: Vec<u8>) {
    state.sessions.store(id, &readings);
    if let Some(parts) = &state.parts {
        parts.models.note(id, readings);
    }
}

/// Waits for the device to come back. `None`: it did not, and its session is over.
async fn next_line(state: &State, id: DeviceId, mut resume: Resume) -> Option<Line> {
    // Fault `ghost-devices`: vans in long tunnels lost their sessions, so somebody took the grace time out.
    if state.config.faults.has(Fault::GhostDevices) {
        return resume.await.ok();
    }
    match tokio::time::timeout(state.config.grace, &mut resume).await {
        Ok(line) => line.ok(),
        Err(_) => state.sessions.give_up(id, resume),
    }
}
