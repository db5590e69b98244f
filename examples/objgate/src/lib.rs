//! An upload gateway over an S3 server, with mistakes to make: how such a service leaks and hangs, and how `diag` tells.

#![forbid(unsafe_code)]

mod audit;
pub mod case;
mod client;
mod clients;
mod download;
mod fault;
mod gateway;
mod idle;
mod preview;
mod quota;
mod reload;
mod s3;
mod service;
mod store;
mod truth;
mod upload;
mod uploads;
mod work;

use std::path::Path;

pub use clients::Load;
pub use fault::Fault;
pub use service::Run;
pub use truth::Truth;

/// Serves a folder as the S3 server does, until whoever started the process has gone.
///
/// # Errors
/// If the folder or a port is not to be had.
pub async fn serve_store(root: &Path) -> anyhow::Result<()> {
    s3::serve(root).await
}

/// Drives the gateway at an address, until whoever started the process has gone.
///
/// # Errors
/// If whoever started it cannot be told.
pub async fn drive(gateway: &str, load: Load) -> anyhow::Result<()> {
    clients::drive(gateway, load).await
}
