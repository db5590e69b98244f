//! What a parked task waits for, read from the names of its stack.
//!
//! The innermost functions of a parked stack are those of the thing that took the waker. Going
//! outwards from there, what wraps it says more: a semaphore inside of a mutex is a mutex. The first
//! function outside of libraries is the service's own, and its line that of the `.await`. Our own functions at
//! the outer end, which poll the task, are not the task's.
//!
//! Only names are looked at, so a stack without debug info says less. What no rule knows is
//! [`WaitKind::Other`], told by what the service called: the outermost function of a library.

mod kind;
mod rules;

use std::collections::BTreeSet;

use crate::human;
use crate::runtime_frames::{in_recorder, is_library_file};
use crate::source_location::{self, SourceLocation};

pub use kind::{Direction, WaitKind};

/// The crates that the rules know.
pub(crate) fn crates() -> impl Iterator<Item = &'static str> {
    rules::RULES.iter().filter_map(|rule| rule.path.split("::").next())
}

/// One thing that a parked task waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwaitPoint {
    /// What kind of thing.
    pub kind: WaitKind,
    /// The service's own line that waits for it; `None` if all functions are of libraries.
    pub at: Option<SourceLocation>,
    /// The service's own lines that await this one, from the nearest one outwards: who called the function of [`at`](Self::at),
    /// and so on to what was spawned.
    pub chain: Vec<SourceLocation>,
    /// What the service called: the outermost function of a library. Of the language's and the runtime's only
    /// if no other is there, `None` if the service's own code took the waker.
    pub called: Option<SourceLocation>,
    /// True if that is of another crate than the kind was told by, and so says more.
    says_more: bool,
}

impl AwaitPoint {
    /// Reads a stack, innermost function first.
    pub fn of<'a>(stack: impl IntoIterator<Item = &'a SourceLocation>) -> Self {
        let stack = &of_the_task(stack)[..];
        let libraries = stack.iter().take_while(|place| is_library(place)).count();
        let (libraries, own) = stack.split_at(libraries);
        let (mut kind, mut told_by) = (WaitKind::Other, None);
        for place in libraries {
            let path = source_location::plain_path(&place.function);
            let rule = rules::RULES.iter().find(|rule| rule.fits(kind, &path, &place.function));
            if let Some(rule) = rule {
                (kind, told_by) = (rule.kind, place.crate_name());
            }
        }
        // What a library's macro has made of the service's code is none of the library's.
        let own_crate = own.first().and_then(|own| own.crate_name());
        let is_own_crate = |place: &SourceLocation| own_crate.is_some() && place.crate_name() == own_crate;
        let foreign = libraries.iter().rev().find(|place| !is_base(place) && !is_own_crate(place));
        // Our own waker is what was taken, not what was called.
        let is_runtime =
            |place: &SourceLocation| !is_language(place) && !is_ours(place) && !is_own_crate(place);
        let runtime = || libraries.iter().rev().find(|place| is_runtime(place));
        let called = foreign.or_else(runtime).map(|&place| place.clone());
        let says_more = foreign.is_some_and(|place| place.crate_name() != told_by);
        let at = own.first().map(|&own| own.clone());
        let mut chain: Vec<SourceLocation> =
            own.iter().filter(|place| !is_library(place)).map(|&place| place.clone()).collect();
        // A closure and the function that it is in may be of one line.
        chain.dedup_by(|outer, inner| outer.location() == inner.location());
        chain.drain(..chain.len().min(1));
        chain.truncate(MAX_CHAIN);
        AwaitPoint { kind, at, chain, called, says_more }
    }

    /// The service's own line, or what it called if all functions are of libraries.
    pub fn nearest(&self) -> Option<&SourceLocation> {
        self.at.as_ref().or(self.called.as_ref())
    }

    /// `mpsc recv`; of another kind what was called, `other: pulsar::Consumer::next`, or `own future` if the
    /// service's own code took the waker.
    pub fn what(&self) -> String {
        match (&self.called, self.kind) {
            (Some(called), WaitKind::Other) => format!("other: {}", shown(&called.function)),
            (None, WaitKind::Other) if self.at.is_some() => "own future".to_owned(),
            (_, kind) => kind.as_str().to_owned(),
        }
    }

    /// What was called, `reqwest::async_impl::client::Pending`, if a library waits there in its own way: the kind
    /// alone would not tell whom to ask.
    pub fn within(&self) -> Option<String> {
        let called = self.called.as_ref().filter(|_| self.says_more && self.kind != WaitKind::Other)?;
        Some(shown(&called.function))
    }
}

/// The functions of a stack that are the task's, innermost first.
pub(crate) fn of_the_task<'a>(
    stack: impl IntoIterator<Item = &'a SourceLocation>,
) -> Vec<&'a SourceLocation> {
    let mut stack: Vec<&SourceLocation> = stack.into_iter().collect();
    // What polls the task is not the task's, and of a thread's stack all that is outside of it.
    let end = stack.iter().position(|place| polls_a_task(place)).unwrap_or(stack.len());
    let ours = stack[..end].iter().rev().take_while(|place| is_ours(place)).count();
    stack.truncate(end - ours);
    stack
}

/// All that one task waits for, as one line: `mpsc recv at src/orders.rs:131`, `oneshot in
/// reqwest::async_impl::client::Pending at ..`, or `select of mpsc recv, timer at ..`. Where none of its functions is
/// the service's own, the line is that of the spawn.
pub fn describe(waits: &[AwaitPoint], spawned_at: &str) -> String {
    let distinct = |texts: Vec<String>| texts.into_iter().collect::<BTreeSet<String>>();
    let within = distinct(waits.iter().filter_map(AwaitPoint::within).collect());
    // Said once if it is the same for all of them.
    let within = within.first().filter(|_| within.len() == 1).map(|called| format!(" in {called}"));
    let each = |waiting: &AwaitPoint| match (&within, waiting.within()) {
        (None, Some(called)) => format!("{} in {called}", waiting.what()),
        (Some(within), None) if waiting.what().ends_with(&within[" in".len()..]) => "other".to_owned(),
        _ => waiting.what(),
    };
    let kinds: Vec<String> = distinct(waits.iter().map(each).collect()).into_iter().collect();
    let what = match (&kinds[..], waits.len()) {
        ([], _) => return "not known".to_owned(),
        ([one], 1) => one.clone(),
        ([one], count) => format!("{one} (x{count})"),
        (several, _) => format!("select of {}", several.join(", ")),
    };
    let at = waits.iter().find_map(|waiting| waiting.at.as_ref());
    let at = at.map_or_else(|| human::name(spawned_at), SourceLocation::location);
    format!("{what}{} at {at}", within.unwrap_or_default())
}

/// The path of a function for people: without the method that every future has.
fn shown(function: &str) -> String {
    let path = source_location::plain_path(function);
    let methods = ["::poll", "::poll_next", "::poll_with_strategy"];
    human::name(methods.iter().find_map(|method| path.strip_suffix(method)).unwrap_or(&path))
}

/// So many lines are told of what awaits what.
const MAX_CHAIN: usize = 8;

/// Crates of the language.
const LANGUAGE: &[&str] = &["std", "core", "alloc", "__rustc"];

/// Crates of the runtime, and others that wrap whatever a service awaits: they are not worth a word beside it.
const BASE_CRATES: &[&str] = &[
    "tokio",
    "tokio_util",
    "tokio_stream",
    "futures",
    "futures_core",
    "futures_util",
    "futures_task",
    "futures_sink",
    "pin_project_lite",
    "async_stream",
    "async_backtrace",
    "await_tree",
    "event_listener_strategy",
    "futures_lite",
    "opentelemetry",
    "sentry_core",
    "tokio_metrics",
    "tower_service",
    "tracing",
    "tracing_futures",
    "diag",
];

/// Modules of all that only keep a waker for others: whoever uses them is the leaf.
const WAKERS: &[&str] = &[
    "tokio::sync::task",
    "futures_core::task",
    "futures_task",
    "futures_util::task",
    "atomic_waker",
    "diatomic_waker",
    "waker_set",
];

/// Crates that many services are built on, for stacks without debug info.
const LIBRARIES: &[&str] = &[
    "async_broadcast",
    "async_channel",
    "async_compression",
    "async_event",
    "async_executor",
    "async_io",
    "async_lock",
    "async_nats",
    "async_oneshot",
    "async_std",
    "axum",
    "axum_core",
    "axum_server",
    "bb8",
    "aws_config",
    "aws_sdk_s3",
    "aws_smithy_runtime",
    "crossbeam_channel",
    "deadpool",
    "diesel_async",
    "event_listener",
    "flume",
    "futures_channel",
    "futures_intrusive",
    "futures_timer",
    "governor",
    "h2",
    "h3",
    "hickory_proto",
    "hickory_resolver",
    "http_body",
    "http_body_util",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "kanal",
    "lapin",
    "loole",
    "mobc",
    "moka",
    "mongodb",
    "native_tls",
    "oneshot",
    "postage",
    "quinn",
    "r2d2",
    "rdkafka",
    "redis",
    "reqwest",
    "reqwest_middleware",
    "rumqttc",
    "rustls",
    "sea_orm",
    "sqlx",
    "sqlx_core",
    "sqlx_mysql",
    "sqlx_postgres",
    "sqlx_sqlite",
    "tachyonix",
    "thingbuf",
    "tiberius",
    "tokio_native_tls",
    "tokio_postgres",
    "tokio_rustls",
    "tokio_tungstenite",
    "tonic",
    "tower",
    "tower_http",
    "tungstenite",
    "warp",
];

/// True of a function that the service's owner did not write.
fn is_library(place: &SourceLocation) -> bool {
    is_language(place)
        || is_base(place)
        || place.is_of_crate(LIBRARIES)
        || place.file.as_deref().is_some_and(is_library_file)
}

/// True of the runtime and of what only keeps wakers.
fn is_base(place: &SourceLocation) -> bool {
    is_language(place) || is_ours(place) || place.is_of_crate(BASE_CRATES)
}

/// True of the language, and of all that keeps wakers as the language might. What has neither a path nor a file
/// is the compiler's, or has no name at all.
fn is_language(place: &SourceLocation) -> bool {
    let is_symbol = place.file.is_none() && !place.function.contains("::");
    let path = place.path();
    let keeps_wakers =
        WAKERS.iter().any(|module| path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::")));
    is_symbol || keeps_wakers || place.is_of_crate(LANGUAGE)
}

/// True of the function that polls the future of a tracked task.
fn polls_a_task(place: &SourceLocation) -> bool {
    const FILES: &[&str] = &["task/future.rs", "task/parked.rs"];
    let path = place.path();
    path.starts_with("diag::task::future::")
        || path.starts_with("diag::task::parked::")
        || place.file.as_deref().and_then(in_recorder).is_some_and(|file| FILES.contains(&file))
}

/// True of the recorder, whose sources a workspace may have beside the service.
fn is_ours(place: &SourceLocation) -> bool {
    place.is_of_crate(&["diag"]) || place.file.as_deref().and_then(in_recorder).is_some()
}
