//! The life of one device, as its task: frames, a line lost and found again, and the end.
//!
//! The task owns the line and nothing else; what outlives a line is in the session map.

use std::sync::Arc;

use super::hub::State;
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
    let state = &*state;
    while converse(state, id, line).await == Parting::LineLost {
        state.sessions.away(id);
        match next_line(state, id, resume).await {
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
async fn converse(state: &State, id: DeviceId, mut line: Line) -> Parting {
    state.devices_online.add(1);
    let parting = take_frames(state, id, &mut line).await;
    state.devices_online.sub(1);
    match parting {
        Err(FrameError::LineLost) => Parting::LineLost,
        Err(_) | Ok(()) => Parting::Left,
    }
}

async fn take_frames(state: &State, id: DeviceId, line: &mut Line) -> Result<(), FrameError> {
    write_frame(line, &Frame::Welcome).await?;
    loop {
        match read_frame(line).await? {
            Frame::Telemetry(readings) => state.sessions.store(id, &readings),
            Frame::Bye => return Ok(()),
            Frame::Heartbeat | Frame::Hello(_) | Frame::Welcome => {}
        }
    }
}

/// Waits for the device to come back. `None`: it did not, and its session is over.
async fn next_line(state: &State, id: DeviceId, mut resume: Resume) -> Option<Line> {
    // Fault `ghost-devices`: vans in long tunnels lost their sessions, so somebody took the grace time out.
    if state.config.faults.ghost_devices {
        return resume.await.ok();
    }
    match tokio::time::timeout(state.config.grace, &mut resume).await {
        Ok(line) => line.ok(),
        Err(_) => state.sessions.give_up(id, resume),
    }
}
