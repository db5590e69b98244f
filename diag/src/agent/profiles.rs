//! Profiles for pprof, by the paths that Go services have them at.

use diag_snapshot::Snapshot;
#[cfg(feature = "heap")]
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use hyper::{Response, StatusCode};

use super::http::Whole;
use super::routes;

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

/// What the CPU does.
pub(super) async fn cpu(_: Option<&str>) -> Response<Whole> {
    routes::plain(
        StatusCode::NOT_FOUND,
        "the CPU is not profiled: build with the feature cpu-profile of diag\n",
    )
}

#[cfg(feature = "heap")]
fn file(disposition: &'static str, bytes: Vec<u8>) -> Response<Whole> {
    let mut response = routes::response(StatusCode::OK, routes::BYTES, bytes);
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    response
}
