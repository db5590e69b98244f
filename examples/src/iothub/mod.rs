//! An IoT hub: devices connect, say who they are, send heartbeats and readings, and leave or are lost.
//!
//! One task for each device, one map of sessions, one gauge. A device that loses its line has a grace time to
//! come back to its session; what it sent is kept for a while after it left. A *whole* hub has more: a task
//! that listens to commands for each device, alarms, and an archive behind fuses. Faults can be switched on,
//! each a line that somebody forgot: see [`Fault`]. Nothing is written to disk: a full buffer of readings
//! just starts over.

mod alarms;
mod archive;
pub mod beats;
mod commands;
mod device;
pub mod driver;
mod fault;
mod fuse;
mod hub;
mod journal;
mod load;
mod models;
mod parts;
mod pool;
pub mod protocol;
mod run;
mod sensor;
mod session;
pub mod transport;
mod truth;

pub use fault::{Fault, Faults};
pub use fuse::Times;
pub use hub::{Config, Hub};
pub use load::Load;
pub use run::Run;
pub use truth::{FaultTruth, Truth};
