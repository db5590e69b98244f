//! `diag show SNAP`: what is in one snapshot, as it is.
//!
//! Of a damaged file it shows what is left, says what is lost, and fails. What one snapshot proves by
//! itself is printed too, but it judges nothing: the exit code does not depend on it, and only two
//! snapshots show what grows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use diag_diff::report::text::{self as report, grid};
use diag_diff::{Finding, Policy, judge_one};
use diag_snapshot::parked::Parked;
use diag_snapshot::{CancelBy, Snapshot, TaskRow, dump, file, human};
use serde::Serialize;

use super::exit::{End, Failure};
use super::output::{Format, Output, note, print};
use super::progress::Progress;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot
    snapshot: PathBuf,
    /// Show the tasks: folded by site and state in text, one by one in the other formats
    #[arg(long)]
    tasks: bool,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let progress = Progress::of(format!("reading {}", args.snapshot.display()));
    let (snapshot, damages) =
        file::read(&args.snapshot).map_err(|error| Failure::Unreadable(error.to_string()))?;
    drop(progress);
    let lost: Vec<String> = damages.iter().map(ToString::to_string).collect();
    print(&render(&snapshot, &lost, args.tasks, output.format))?;
    for lost in &lost {
        note(&format!("{}: {lost}", args.snapshot.display()));
    }
    Ok(if lost.is_empty() { End::Clean } else { End::Damaged })
}

fn render(snapshot: &Snapshot, lost: &[String], tasks: bool, format: Format) -> String {
    let view = || View::of(snapshot, lost, tasks);
    match format {
        Format::Text if tasks => dump::dump(snapshot),
        Format::Text => text(&view()),
        Format::Json => json(&view(), serde_json::to_string_pretty),
        Format::Jsonl if tasks => tasks_of(snapshot).map(|task| json(&task, serde_json::to_string)).collect(),
        Format::Jsonl => json(&view(), serde_json::to_string),
        Format::Markdown => markdown(&view()),
    }
}

/// What is shown of a snapshot; the field names are those of the JSON document.
#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    service: &'a str,
    pid: u32,
    host: Option<&'a str>,
    build_id: Option<&'a str>,
    debug_build: bool,
    taken: String,
    uptime_ns: u64,
    capture_ns: u64,
    tracked_tasks: u64,
    /// Tasks that each runtime counts itself.
    alive_tasks: BTreeMap<&'a str, Option<u64>>,
    gauges: BTreeMap<&'a str, i64>,
    rss_bytes: Option<u64>,
    open_fds: Option<u64>,
    dropped: &'a BTreeMap<String, u64>,
    heap_samples: Option<u64>,
    lost: &'a [String],
    /// What this snapshot shows without another.
    findings: Vec<Finding>,
    sites: Vec<SiteView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView<'a>>>,
}

#[derive(Serialize)]
struct SiteView {
    location: String,
    name: String,
    live: u64,
    future_bytes: u64,
    spawned: u64,
    done: u64,
    cancelled: u64,
    panicked: u64,
    never_polled: u64,
}

/// A task. Ids are strings, since a number of JSON keeps only 53 bits.
#[derive(Serialize)]
struct TaskView<'a> {
    id: String,
    tokio_id: Option<String>,
    name: Option<&'a str>,
    site: String,
    parent: Option<String>,
    parent_site: Option<String>,
    state: &'static str,
    waiting_at: Option<String>,
    age_ns: u64,
    idle_ns: u64,
    polls: u64,
    busy_ns: u64,
    longest_poll_ns: u64,
    wakers: Option<u32>,
    handles: Option<u32>,
    wakes: Option<u64>,
    self_wakes: Option<u64>,
    /// Last woken so long ago.
    woken_ns: Option<u64>,
    woken_by: Option<String>,
    asked_to_stop_ns: Option<u64>,
    asked_to_stop_by: Option<&'static str>,
}

impl<'a> View<'a> {
    fn of(snapshot: &'a Snapshot, lost: &'a [String], tasks: bool) -> Self {
        let (process, capture) = (&snapshot.process, &snapshot.capture);
        View {
            schema: "diag.show/1",
            service: &process.service,
            pid: process.pid,
            host: process.host.as_deref(),
            build_id: process.build_id.as_deref(),
            debug_build: process.debug_build,
            taken: human::time(snapshot.taken_unix_us()),
            uptime_ns: ns(capture.to_us),
            capture_ns: ns(capture.to_us.saturating_sub(capture.from_us)),
            tracked_tasks: snapshot.tracked_tasks(),
            alive_tasks: capture
                .runtimes
                .iter()
                .map(|runtime| (&*runtime.name, runtime.alive_tasks))
                .collect(),
            gauges: capture.gauges.iter().map(|gauge| (&*gauge.name, gauge.value)).collect(),
            rss_bytes: capture.resources.rss_bytes,
            open_fds: capture.resources.open_fds,
            dropped: &capture.dropped,
            heap_samples: snapshot.heap.as_ref().map(|heap| heap.samples.len() as u64),
            lost,
            findings: judge_one(snapshot, &Policy::default()),
            sites: sites(snapshot),
            tasks: tasks.then(|| tasks_of(snapshot).collect()),
        }
    }
}

fn ns(us: u64) -> u64 {
    us.saturating_mul(1000)
}

/// Spawn sites, the one with the most live tasks first.
fn sites(snapshot: &Snapshot) -> Vec<SiteView> {
    let mut live: BTreeMap<_, u64> = BTreeMap::new();
    snapshot.tasks.iter().for_each(|task| *live.entry(task.site).or_default() += 1);
    let rows = (0..).map(diag_snapshot::SiteIndex).zip(snapshot.sites.iter());
    let mut sites: Vec<SiteView> = rows
        .map(|(index, row)| SiteView {
            location: snapshot.site_location(index),
            name: snapshot.strings.show(row.type_name).to_owned(),
            live: live.get(&index).copied().unwrap_or(0),
            future_bytes: row.future_bytes,
            spawned: row.spawned,
            done: row.done,
            cancelled: row.cancelled,
            panicked: row.panicked,
            never_polled: row.never_polled,
        })
        .collect();
    sites.sort_by(|a, b| (b.live, &a.location, &a.name).cmp(&(a.live, &b.location, &b.name)));
    sites
}

fn tasks_of(snapshot: &Snapshot) -> impl Iterator<Item = TaskView<'_>> {
    let parked = Parked::new(snapshot);
    snapshot.tasks.iter().map(move |task| task_view(snapshot, &parked, &task))
}

fn task_view<'a>(snapshot: &'a Snapshot, parked: &Parked, task: &TaskRow) -> TaskView<'a> {
    let since_ns = |us| ns(snapshot.capture.to_us.saturating_sub(us));
    TaskView {
        id: task.id.0.to_string(),
        tokio_id: task.tokio_id.map(|id| id.to_string()),
        name: task.name.map(|name| snapshot.strings.show(name)),
        site: snapshot.site_location(task.site),
        parent: task.parent.map(|parent| parent.0.to_string()),
        parent_site: task.parent_site.map(|site| snapshot.site_location(site)),
        state: task.state.as_str(),
        waiting_at: parked.of(task).map(str::to_owned),
        age_ns: since_ns(task.spawned_us),
        idle_ns: since_ns(task.last_progress_us()),
        polls: task.polls,
        busy_ns: task.busy_ns,
        longest_poll_ns: task.longest_poll_ns,
        wakers: task.wakers,
        handles: task.handles,
        wakes: task.wakes,
        self_wakes: task.self_wakes,
        woken_ns: task.woken_us.map(since_ns),
        woken_by: task.woken_by.map(|by| by.0.to_string()),
        asked_to_stop_ns: task.cancel_us.map(since_ns),
        asked_to_stop_by: task.cancel_by.map(CancelBy::as_str),
    }
}

/// Serialising to a string fails only for maps whose keys are not strings; there are none.
fn json<T: Serialize>(view: &T, write: fn(&T) -> serde_json::Result<String>) -> String {
    write(view).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string()) + "\n"
}

const HEADS: [&str; 7] = ["live", "spawned", "done", "cancelled", "panicked", "never polled", "spawn site"];

fn cells(site: &SiteView) -> [String; 7] {
    let [live, spawned, done, cancelled, panicked, never] =
        [site.live, site.spawned, site.done, site.cancelled, site.panicked, site.never_polled]
            .map(human::count);
    let place = format!("{}  {}", human::name(&site.location), human::name(&site.name));
    [live, spawned, done, cancelled, panicked, never, place]
}

fn about(view: &View<'_>) -> String {
    let alive = view.alive_tasks.values().try_fold(0u64, |sum, alive| Some(sum.saturating_add((*alive)?)));
    let alive = alive.map_or("unknown".to_owned(), human::count);
    format!(
        "{}, pid {}, up {}, taken {}\n{} tasks tracked, the runtimes count {alive}",
        human::name(view.service),
        view.pid,
        human::duration(view.uptime_ns),
        view.taken,
        human::count(view.tracked_tasks),
    )
}

fn text(view: &View<'_>) -> String {
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(view.sites.iter().map(cells));
    let gauges: String =
        view.gauges.iter().map(|(name, value)| format!("gauge {}: {value}\n", human::name(name))).collect();
    let findings = report::findings(&view.findings);
    format!("{}\n{gauges}\n{findings}{}\n", about(view), grid(&rows).join("\n"))
}

fn markdown(view: &View<'_>) -> String {
    diag_diff::report::markdown::table(&about(view), &HEADS, view.sites.iter().map(cells))
}
