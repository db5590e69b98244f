//! Services with faults to switch on, as `objgate`, `mirrorprobe` and `plugtest`: how one is run, where its faults are, and how right
//! `diag check` is about them.
//!
//! | module | what |
//! |---|---|
//! | [`case`] | what is run, and what `diag check` is to say of it |
//! | [`wanted`] | what is right to say of a fault |
//! | [`marks`] | the lines of a service that are marked as those of a fault |
//! | [`moments`] | when snapshots are taken |
//! | [`truth`] | what a service says of itself |
//! | [`rounds`] | runs all cases, and prints one line of verdict |
//! | [`guarded`] | what a leak guard is to say |
//! | [`live`] | for tests: a service that runs, and what is said of it meanwhile |
//! | [`outside`] | a process beside the service, which ends with it |

#![forbid(unsafe_code)]

pub mod case;
pub mod guarded;
pub mod live;
pub mod marks;
pub mod moments;
pub mod outside;
pub mod rounds;
pub mod truth;
pub mod wanted;

use clap::ValueEnum;

/// The name of a fault or load on the command line.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
