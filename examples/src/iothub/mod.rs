//! An IoT hub: devices connect, say who they are, send heartbeats and readings, and leave or are lost.
//!
//! One task for each device, one map of sessions, one gauge. A device that loses its line has a grace time to
//! come back to its session; what it sent is kept for a while after it left. Two faults can be switched on,
//! each a line that somebody forgot: see [`Faults`]. Nothing is written to disk: a full buffer of readings
//! just starts over, where a product would hand it to an archive.

mod device;
pub mod driver;
mod hub;
pub mod protocol;
mod session;
pub mod transport;
mod truth;

pub use hub::{Config, Fault, Faults, Hub};
pub use truth::{FaultTruth, Truth};
