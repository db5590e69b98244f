//! [`Holder`] in words.

use std::fmt;

use super::count;
use crate::rules::holder::Holder;

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Thread { thread, at: Some(at) } => write!(f, "thread {thread} in {at}"),
            Holder::Thread { thread, at: None } => write!(f, "thread {thread}"),
            Holder::Handles { handles, wakers: 0 } => {
                write!(f, "{} handles or entries of a JoinSet", count(handles))
            }
            Holder::Handles { handles, wakers } => {
                write!(f, "{} handles or entries of a JoinSet, {} wakers", count(handles), count(wakers))
            }
            Holder::Task { task, spawned_at, has, at } => {
                write!(f, "task {task} spawned at {spawned_at}")?;
                if let Some(has) = has {
                    write!(f, ", which has the {has}")?;
                }
                at.as_ref().map_or(Ok(()), |at| write!(f, " and waits for {at}"))
            }
            Holder::Retainer { path, samples, of } => {
                write!(f, "{}: {} of {} samples", path.join(" -> "), count(samples), count(of))
            }
            Holder::References { handles, references } => {
                write!(f, "{} JoinHandles, {} AbortHandles or wakers", count(handles), count(references))
            }
        }
    }
}
