//! The mirrors, in a process of their own: each has a port of loopback, and a script.

use std::future::pending;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clap::ValueEnum as _;
use diag_trial::outside;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::script::{Script, Turn};

/// The index of a package has so many bytes.
const INDEX: usize = 32 << 10;

/// Serves mirrors until whoever started us has gone; the first line that it says has their addresses.
///
/// # Errors
/// If no port is to be had.
pub async fn serve(scripts: &[Script]) -> anyhow::Result<()> {
    let mut addresses = Vec::new();
    for &script in scripts {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(format!("http://{}", listener.local_addr()?));
        let mirror = Router::new().fallback(index).with_state((script, Instant::now()));
        tokio::spawn(async { axum::serve(listener, mirror).await });
    }
    outside::say(&addresses.join(" "))?;
    outside::left_alone().await;
    Ok(())
}

async fn index(State((script, since)): State<(Script, Instant)>) -> Response {
    match script.turn(since.elapsed()) {
        Turn::After(time) => sleep(time).await,
        Turn::Never => pending().await,
        Turn::Fails => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    vec![b'i'; INDEX].into_response()
}

/// What this program is given to start them.
pub(crate) fn arguments(scripts: &[Script]) -> Vec<std::path::PathBuf> {
    let name = |script: &Script| script.to_possible_value().map(|value| value.get_name().into());
    std::iter::once("mirrors".into()).chain(scripts.iter().filter_map(name)).collect()
}
