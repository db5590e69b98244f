//! Profiles for pprof, by the paths that Go services have them at, and captures in the formats of other tools.

use std::fmt::Write as _;
use std::sync::Arc;
#[cfg(feature = "heap")]
use std::sync::{Mutex, PoisonError};

use diag_analysis::export::{self, Exporter, Needs};
use diag_snapshot::Snapshot;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use hyper::{Response, StatusCode};

use super::http::Whole;
use super::routes;
use super::work::Work;
#[cfg(feature = "heap")]
use crate::capture::Scope;

/// What the paths of the formats begin with.
pub(super) const EXPORT: &str = "/export/";

/// Why there is no heap.
#[cfg(feature = "heap")]
pub(super) const NO_HEAP: &str =
    "the heap is not recorded: make diag::Alloc the global allocator, and do not set DIAG_HEAP=off\n";
#[cfg(not(feature = "heap"))]
pub(super) const NO_HEAP: &str = "the heap is not recorded: build with the feature heap of diag\n";

/// What there is to fetch from this process now, and where: what Go services have at this path.
pub(super) fn index() -> String {
    let has_heap = has_heap();
    let is_served = |format: &dyn Exporter| format.needs().are_met(has_heap);
    let mut lines = Vec::new();
    if let Some(heap) = export::by_name("pprof").filter(|heap| is_served(*heap)) {
        lines.push(("/debug/pprof/heap".to_owned(), heap.about()));
        let delta = "what is added to the heap in 1..300 s, less what is freed, for `go tool pprof`";
        lines.push(("/debug/pprof/heap?seconds=30".to_owned(), delta));
    }
    if cfg!(profiles_cpu) {
        let cpu = "what the CPU does for 1..300 s, by spawn site too, for `go tool pprof`";
        lines.push(("/debug/pprof/profile?seconds=30".to_owned(), cpu));
    }
    for format in export::ALL.iter().filter(|format| is_served(**format)) {
        lines.push((format!("{EXPORT}{}", format.name()), format.about()));
    }
    let mut text =
        "profiles and figures of this process: curl -o FILE URL, or go tool pprof -http : URL\n\n".to_owned();
    for (path, about) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{path:<33}{about}");
    }
    if !has_heap {
        text += "\n";
        text += NO_HEAP;
    }
    text
}

#[cfg(feature = "heap")]
fn has_heap() -> bool {
    crate::heap::is_recorded()
}

#[cfg(not(feature = "heap"))]
fn has_heap() -> bool {
    false
}

/// A capture in the format of other tools.
pub(super) fn export(format: &dyn Exporter, snapshot: Snapshot) -> Response<Whole> {
    if !format.needs().are_met(snapshot.heap.is_some()) {
        return routes::plain(StatusCode::NOT_FOUND, NO_HEAP);
    }
    let name = match format.needs() {
        Needs::Heap => "heap",
        Needs::Figures => "metrics",
    };
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = format.export(&snapshot.into(), &mut bytes);
    file(&format!("{name}.{}", format.extension()), format.content_type(), bytes)
}

/// What the CPU does for so many seconds. If the caller goes away, the profile ends.
#[cfg(profiles_cpu)]
pub(super) async fn cpu(work: &Arc<Work>, query: Option<&str>) -> Response<Whole> {
    use crate::capture::cpu::profile;
    use crate::cpu;

    let Some(seconds) = seconds(query.unwrap_or_default()) else {
        return routes::plain(StatusCode::BAD_REQUEST, SECONDS_USAGE);
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
    work.alone(move || file("profile.pb.gz", routes::BYTES, profile(&recorded))).await
}

/// No profile.
#[cfg(not(profiles_cpu))]
pub(super) async fn cpu(_: &Arc<Work>, _: Option<&str>) -> Response<Whole> {
    routes::plain(
        StatusCode::NOT_FOUND,
        "the CPU is not profiled: build with the feature cpu-profile of diag, for Linux on x86-64\n",
    )
}

/// What was added to the heap in so many seconds. If the caller goes away, nothing more is done.
#[cfg(feature = "heap")]
pub(super) async fn heap_delta(work: &Arc<Work>, query: &str) -> Response<Whole> {
    use diag_analysis::pprof::{HeapMoment, heap_delta};

    /// A moment of the heap is kept meanwhile, so there is one at a time.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    let Some(seconds) = seconds(query) else { return routes::plain(StatusCode::BAD_REQUEST, SECONDS_USAGE) };
    let Ok(_turn) = ONE_AT_A_TIME.try_lock() else {
        return routes::plain(StatusCode::CONFLICT, "another difference of the heap is being taken\n");
    };
    let moment = || HeapMoment::of(crate::capture::snapshot(Scope::Heap).into());
    let before = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&before);
    let taken = work.alone(move || {
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = moment();
        routes::plain(StatusCode::OK, "")
    });
    if taken.await.status() != StatusCode::OK {
        return routes::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the capture failed; the service is unharmed\n",
        );
    }
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
    let answer = move || {
        let before = before.lock().unwrap_or_else(PoisonError::into_inner).take();
        match before.zip(moment()) {
            Some((before, after)) => file("heap-delta.pb.gz", routes::BYTES, heap_delta(&before, &after)),
            None => routes::plain(StatusCode::NOT_FOUND, NO_HEAP),
        }
    };
    work.alone(answer).await
}

/// No difference.
#[cfg(not(feature = "heap"))]
pub(super) async fn heap_delta(_: &Arc<Work>, _: &str) -> Response<Whole> {
    routes::plain(StatusCode::NOT_FOUND, NO_HEAP)
}

#[cfg(any(profiles_cpu, feature = "heap"))]
const SECONDS_USAGE: &str = "seconds is a whole number from 1 to 300\n";

/// True if a query says for how long.
pub(super) fn says_seconds(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("seconds="))
}

/// The value of `seconds`, which is 30 if nothing is asked.
#[cfg(any(profiles_cpu, feature = "heap"))]
fn seconds(query: &str) -> Option<u64> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("seconds="));
    values
        .next_back()
        .map_or(Some(30), |value| value.parse().ok())
        .filter(|seconds| (1..=300).contains(seconds))
}

/// An answer that a browser keeps as a file of this name.
fn file(name: &str, content_type: &'static str, bytes: Vec<u8>) -> Response<Whole> {
    let mut response = routes::response(StatusCode::OK, content_type, bytes);
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    }
    response
}
