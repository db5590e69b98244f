//! [`Remark`] in words.

use std::fmt;

use diag_analysis::human;

use super::{count, size};
use crate::rules::fact::Percent;
use crate::rules::remark::Remark;

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Remark::*;
        match self {
            AllTracked { coverage } => write!(f, "coverage {} %: every task is tracked", whole(coverage)),
            Untracked { coverage, tasks, before } => {
                let trend = match before {
                    Some(before) if tasks > before => format!("up from {}", count(before)),
                    Some(_) => "not growing".to_owned(),
                    None => "of the first snapshot not known".to_owned(),
                };
                let tasks = human::counted(*tasks, "untracked task");
                write!(f, "coverage {} %: {tasks}, {trend}", whole(coverage))
            }
            TwoProcesses => f.write_str(
                "two processes: spawn sites are matched by file and type, tasks cannot be followed",
            ),
            DebugBuild => f.write_str("a debug build: its timings are not those of a release"),
            NamesMissing { names } => names.fmt(f),
            NotRecorded { what } => f.write_str(what),
            GrewWithTasks { function, spawned_at, tasks, allocated, each } => write!(
                f,
                "{} grew with the tasks that hold it: {} in {} live tasks of {spawned_at}, {} each as before",
                function.location(),
                size(allocated),
                count(tasks),
                size(each)
            ),
            GrowthEnded { function, growth, since } => {
                write!(f, "{} grew by {} and has not since {since:.0}", function.location(), size(growth))
            }
            Over { rule, place, until } => {
                write!(f, "{rule} was possible at {} until {until:.0}, and is not since", human::name(place))
            }
            WithinBound { place, size: of, bound } => {
                write!(f, "{place} grew within its bound: {} of {}", size(of), size(bound))
            }
            TasksWithinBound { place, tasks, bound } => {
                let tasks = human::counted(*tasks, "task");
                write!(f, "{place} grew within its bound: {tasks} of {}", count(bound))
            }
            AllowExpired { what, until, reason } => {
                write!(
                    f,
                    "{} was allowed until {until} and is no longer: {}",
                    human::name(what),
                    human::name(reason)
                )
            }
            AllowUnused { what } => {
                write!(f, "{} is allowed and was not found: the policy can do without", human::name(what))
            }
            LargePart { of, function, share: Percent(share) } => write!(
                f,
                "{} in {}: {share:.1} % of the live heap, without significant growth",
                of.as_str(),
                function.location()
            ),
        }
    }
}

/// Rounded down, so that 100 % is said of nothing less.
fn whole(Percent(share): &Percent) -> f64 {
    share.floor()
}
