#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod layer;
mod secret;
mod trace_id;
mod traceparent;
mod value;

pub use layer::{DEFAULT_FIELDS, Layer};
pub use trace_id::current_trace_id;
pub use traceparent::Traceparent;
