//! The one place where an end of the program becomes an exit code.

use std::fmt;
use std::process::ExitCode;

use diag_analysis::human;
use diag_diff::{NotComparable, Outcome, Report};
use diag_snapshot::Process;
use diag_viewer::agent::Agent;

/// How a command ended when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    Findings,
    InsufficientData,
    /// Something was shown of a file that is not whole.
    Damaged,
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument or the policy is wrong.
    Usage(String),
    /// A file or an answer cannot be read, or a file not be written.
    Unreadable(String),
    /// The snapshots do not belong together.
    NotComparable(NotComparable),
    /// The process that answered is not of the service that was meant.
    OtherService { service: String, agent: Agent, process: Box<Process> },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Unreadable(text) => f.write_str(text),
            Failure::NotComparable(refusal) => refusal.fmt(f),
            Failure::OtherService { service, agent, process } => write!(
                f,
                "at {} answers the service `{}` (pid {}), not `{}`; nothing was written: see in the log of `{}` where its \
                 agent listens, for its port may have been busy",
                agent.authority(),
                human::name(&process.service),
                process.pid,
                human::name(service),
                human::name(service),
            ),
        }
    }
}

impl From<NotComparable> for Failure {
    fn from(refusal: NotComparable) -> Self {
        Failure::NotComparable(refusal)
    }
}

impl From<&Report> for End {
    fn from(report: &Report) -> Self {
        match report.outcome {
            _ if report.fails => End::Findings,
            Outcome::InsufficientData => End::InsufficientData,
            Outcome::Clean | Outcome::Findings => End::Clean,
        }
    }
}

/// The exit code; a failure is also said on standard error.
#[expect(clippy::print_stderr, reason = "this is where errors reach people")]
pub(crate) fn code(ended: Result<End, Failure>) -> ExitCode {
    if let Err(failure) = &ended {
        eprintln!("diag: {failure}");
    }
    ExitCode::from(match ended {
        Ok(End::Clean) => 0,
        Ok(End::Findings) => 1,
        Err(Failure::Usage(_)) => 2,
        Ok(End::Damaged) | Err(Failure::Unreadable(_)) => 3,
        Err(Failure::NotComparable(_) | Failure::OtherService { .. }) => 4,
        Ok(End::InsufficientData) => 5,
    })
}
