//! The parts of diag, and how each starts. One that the system refuses is off by itself.

use std::net::SocketAddr;

use crate::health::{self, Status};
use crate::messages;
use crate::problem::{Problem, ProblemKind};
use crate::settings::Settings;
use crate::{files, last, ticker};

/// What became of the parts.
#[derive(Default)]
pub(crate) struct Started {
    pub(crate) agent: Option<SocketAddr>,
    pub(crate) problems: Vec<Problem>,
}

/// Starts all parts.
pub(crate) fn start(settings: &Settings) -> Started {
    let mut agent = None;
    let parts = [
        ("heap sampler", start_heap(settings)),
        ("census", start_census(settings)),
        ("parked stacks", Ok(start_parked(settings))),
        ("ticker", start_ticker()),
        ("files", start_files(settings)),
        (last::PART, last::start(settings)),
        ("agent", start_agent(settings, &mut agent)),
    ];
    let problems = parts.into_iter().filter_map(|(part, started)| report(part, started).err()).collect();
    Started { agent, problems }
}

/// Tells how a part started.
fn report(part: &'static str, started: Result<Status, Problem>) -> Result<(), Problem> {
    let (status, result) = match started {
        Ok(status) => (status, Ok(())),
        Err(problem) => {
            messages::report(&problem);
            (Status::Failed(problem.to_string().into()), Err(problem))
        }
    };
    health::started(part, status);
    result
}

#[cfg(feature = "heap")]
fn start_heap(settings: &Settings) -> Result<Status, Problem> {
    use crate::heap::EnableError;
    use crate::settings::HeapMode;
    let rate_bytes = match settings.heap {
        HeapMode::Off => return Ok(Status::Off("DIAG_HEAP=off".into())),
        HeapMode::Sample => settings.heap_rate_bytes,
        HeapMode::Full => 0,
    };
    match crate::heap::enable(rate_bytes) {
        Ok(()) => Ok(Status::Works),
        // Nobody asked for it by name, and the snapshot shows that there is none.
        Err(error @ EnableError::Unsupported) => Ok(Status::Off(error.to_string().into())),
        Err(error) => Err(Problem::new(ProblemKind::Heap, error.to_string()).because(error)),
    }
}

#[cfg(not(feature = "heap"))]
fn start_heap(_: &Settings) -> Result<Status, Problem> {
    Ok(Status::Off("built without the feature heap".into()))
}

#[cfg(feature = "heap")]
fn start_census(settings: &Settings) -> Result<Status, Problem> {
    use crate::heap::EnableError;
    if !settings.census {
        return Ok(Status::Off("DIAG_CENSUS=off".into()));
    }
    match crate::heap::prepare_census() {
        // What its blocks are is learnt when it is first asked.
        Ok(true) => Ok(Status::Works),
        Ok(false) => Ok(Status::Off("diag::Alloc is not the allocator of this service".into())),
        Err(error @ EnableError::Unsupported) => Ok(Status::Off(error.to_string().into())),
        // The heap sampler has the same tables, and has said so.
        Err(_) => Ok(Status::Failed("no address space for call stacks: what libraries make has none".into())),
    }
}

#[cfg(not(feature = "heap"))]
fn start_census(_: &Settings) -> Result<Status, Problem> {
    Ok(Status::Off("built without the feature heap".into()))
}

/// Where tasks are parked is known from now on.
fn start_parked(settings: &Settings) -> Status {
    use crate::task::{await_point, sampling};
    if settings.parked == 0 {
        return Status::Off("DIAG_PARKED=off".into());
    }
    if !cfg!(takes_stacks) {
        return Status::Off("no stacks are taken on this platform, or without the feature stacks".into());
    }
    if !await_point::prepare() {
        return Status::Failed(
            "the system gave no memory for stacks; where tasks are parked is not known".into(),
        );
    }
    sampling::take_stacks(settings.parked);
    Status::Works
}

fn start_ticker() -> Result<Status, Problem> {
    let problem = |error| {
        let text = format!("the thread that keeps the time could not start ({error})");
        Problem::new(ProblemKind::Ticker, text).because(error)
    };
    ticker::start().map(|()| Status::Works).map_err(problem)
}

fn start_files(settings: &Settings) -> Result<Status, Problem> {
    if settings.dir.is_none() {
        return Ok(Status::Off("no DIAG_DIR".into()));
    }
    let problem = |error| {
        let text = format!("the thread that writes files to DIAG_DIR could not start ({error})");
        Problem::new(ProblemKind::Files, text).because(error)
    };
    files::start(settings).map(|()| Status::Works).map_err(problem)
}

#[cfg(feature = "agent")]
fn start_agent(settings: &Settings, bound: &mut Option<SocketAddr>) -> Result<Status, Problem> {
    let Some(addr) = settings.addr else { return Ok(Status::Off("DIAG_ADDR=off".into())) };
    if !crate::agent::may_listen(addr, settings.token.as_deref(), settings.open) {
        return Err(Problem::unguarded(addr));
    }
    let problem = |error| {
        let text = format!("the agent could not start ({error}); set DIAG_ADDR to a free address, or to off");
        Problem::new(ProblemKind::Agent, text).because(error)
    };
    *bound = Some(crate::agent::start(addr, settings.token.clone()).map_err(problem)?);
    Ok(Status::Works)
}

#[cfg(not(feature = "agent"))]
fn start_agent(_: &Settings, _: &mut Option<SocketAddr>) -> Result<Status, Problem> {
    Ok(Status::Off("built without the feature agent".into()))
}
