//! Profiles for pprof, by the paths that Go services have them at.

use std::sync::Arc;

use diag_snapshot::Snapshot;
#[cfg(any(feature = "heap", feature = "cpu-profile"))]
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use hyper::{Response, StatusCode};

use super::http::Whole;
use super::routes;
use super::work::Work;

/// The live heap.
#[cfg(feature = "heap")]
pub(super) fn heap(snapshot: &Snapshot) -> Response<Whole> {
    if snapshot.heap.is_none() {
        return routes::plain(
            StatusCode::NOT_FOUND,
            "the heap is not recorded: make diag::Alloc the global allocator, and do not set DIAG_HEAP=off\n",
        );
    }
    file("attachment; filename=\"heap.pb.gz\"", diag_snapshot::pprof::heap(snapshot))
}

/// No heap.
#[cfg(not(feature = "heap"))]
pub(super) fn heap(_: &Snapshot) -> Response<Whole> {
    routes::plain(StatusCode::NOT_FOUND, "the heap is not recorded: build with the feature heap of diag\n")
}

/// What the CPU does for so many seconds. If the caller goes away, the profile ends.
#[cfg(all(feature = "cpu-profile", target_os = "linux", target_arch = "x86_64"))]
pub(super) async fn cpu(work: &Arc<Work>, query: Option<&str>) -> Response<Whole> {
    use crate::capture::cpu::profile;
    use crate::cpu;

    let Some(seconds) = seconds(query.unwrap_or_default()) else {
        return routes::plain(StatusCode::BAD_REQUEST, "seconds is a whole number from 1 to 300\n");
    };
    let mut running = match cpu::start() {
        Ok(running) => running,
        Err(error) => return routes::response(StatusCode::CONFLICT, routes::TEXT, format!("{error}\n")),
    };
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(cpu::DRAIN_EVERY).await;
        running.drain();
    }
    let recorded = running.finish();
    work.alone(move || file("attachment; filename=\"profile.pb.gz\"", profile(&recorded))).await
}

/// No profile.
#[cfg(not(all(feature = "cpu-profile", target_os = "linux", target_arch = "x86_64")))]
pub(super) async fn cpu(_: &Arc<Work>, _: Option<&str>) -> Response<Whole> {
    routes::plain(
        StatusCode::NOT_FOUND,
        "the CPU is not profiled: build with the feature cpu-profile of diag, for Linux on x86-64\n",
    )
}

/// The value of `seconds`, which is 30 if nothing is asked.
#[cfg(all(feature = "cpu-profile", target_os = "linux", target_arch = "x86_64"))]
fn seconds(query: &str) -> Option<u64> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("seconds="));
    values
        .next_back()
        .map_or(Some(30), |value| value.parse().ok())
        .filter(|seconds| (1..=300).contains(seconds))
}

#[cfg(any(feature = "heap", feature = "cpu-profile"))]
fn file(disposition: &'static str, bytes: Vec<u8>) -> Response<Whole> {
    let mut response = routes::response(StatusCode::OK, routes::BYTES, bytes);
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    response
}
