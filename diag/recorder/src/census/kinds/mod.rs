//! What the blocks of the census are: tasks, channels, sockets, or unknown, which is a kind as well.
//!
//! What they look like is learnt from some that are made for that, and never assumed: each build of tokio lays them out
//! as it likes.
//!
//! | file | what |
//! |---|---|
//! | `learn` | the objects that are made, and what is found in them |
//! | `rules`, `channel_rule` | the rules that follow: those of tasks and sockets, and that of channels |
//! | `survey`, `kind` | a look at all blocks, and what each of them is |
//! | `address_map` | what lies at an address |
//!
//! For captures, not for hooks.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a capture may allocate"
)]

mod address_map;
mod cells;
mod channel_rule;
mod kind;
mod learn;
mod rules;
mod survey;

pub(crate) use cells::{Cell, Cells};
pub(crate) use kind::Kind;
pub(crate) use learn::is_learning;
pub(crate) use rules::{Rules, TaskFacts};
pub(crate) use survey::Found;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::fork::Once;
use crate::health::{self, Status};

/// The rules of this build's tokio, learnt at the first use, on a thread that is hidden. Which are missing, health says
/// from then on. None while the system refuses what they are learnt from: the next one tries again.
pub(crate) fn rules() -> Option<&'static Rules> {
    static RULES: Once<Rules> = Once::new();
    /// Somebody has tried in vain.
    static WAS_REFUSED: AtomicBool = AtomicBool::new(false);
    let learn = || {
        let rules = learn::learn()?;
        let missing = rules.missing();
        if !missing.is_empty() {
            health::report("census", Status::Failed(missing.join("; ").into()));
        } else if WAS_REFUSED.load(Ordering::Relaxed) {
            health::report("census", Status::Works);
        }
        Ok(rules)
    };
    RULES
        .get_or_try_init(learn)
        .map_err(|why: &str| {
            WAS_REFUSED.store(true, Ordering::Relaxed);
            health::report(
                "census",
                Status::Failed(format!("tasks of libraries are not told: {why}").into()),
            );
        })
        .ok()
}
