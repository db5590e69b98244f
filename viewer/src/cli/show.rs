//! `diag show SNAP`: what is in one snapshot, as it is.
//!
//! Of a damaged file it shows what is left, says what is lost, and fails. What one snapshot proves by
//! itself is printed too, but it judges nothing: the exit code does not depend on it, and only two
//! snapshots show what grows.

mod request;

use std::collections::BTreeMap;
use std::path::PathBuf;

use diag_analysis::views::{
    CpuView, DescriptorsView, Estimate, GroupSiteView, GroupView, HeapNow, MappedFileView, MemberView,
    Memory, MemoryLimitView, ProcessFactsView, ResourceSiteView, SiteView, TaskView, heap,
};
use diag_analysis::{Analysis, dump, human, unnamed};
use diag_diff::report::text::{self as report, grid};
use diag_diff::{Finding, Policy, judge_one};
use diag_snapshot::Micros;
use serde::Serialize;

use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::{Format, Output, note, print};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag show now.diag\n  diag show now.diag --format json\n  diag show now.diag --request 7f3a"
)]
pub(crate) struct Args {
    /// The snapshot
    snapshot: PathBuf,
    /// Show the tasks: folded by site and state in text, one by one in the other formats
    #[arg(long)]
    tasks: bool,
    /// Show the tasks of one request alone: those with this as their label `request_id` or `trace_id`
    #[arg(long, value_name = "ID", conflicts_with = "tasks")]
    request: Option<String>,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let (analysis, damages) = load::all_there_is(&args.snapshot, &args.debug.files()?)?;
    let lost: Vec<String> = damages.iter().map(ToString::to_string).collect();
    print(&match &args.request {
        Some(id) => request::render(&analysis, id, output.format)?,
        None => render(&analysis, &lost, args.tasks, output.format),
    })?;
    for lost in &lost {
        note(&format!("{}: {lost}", args.snapshot.display()));
    }
    Ok(if lost.is_empty() { End::Clean } else { End::Damaged })
}

fn render(analysis: &Analysis, lost: &[String], tasks: bool, format: Format) -> String {
    let view = || View::of(analysis, lost, tasks);
    match format {
        Format::Text if tasks => dump::dump(analysis),
        Format::Text => text(&view()),
        Format::Json => json(&view(), serde_json::to_string_pretty),
        Format::Jsonl if tasks => {
            analysis.task_views().map(|task| json(&task, serde_json::to_string)).collect()
        }
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
    /// Where the resident memory is.
    memory: Option<Memory>,
    /// The files that are mapped.
    mapped_files: Vec<MappedFileView>,
    /// The limit on memory of its control group.
    memory_limit: Option<MemoryLimitView>,
    /// CPU time of the process and of its threads.
    cpu: Option<CpuView>,
    open_fds: Option<u64>,
    /// The same with their limit and by kind.
    descriptors: Option<DescriptorsView>,
    /// Runtimes, what descriptors stand for, children, pressure: each with where it is read.
    process_facts: ProcessFactsView,
    /// Sockets and channels that are open, by where they were opened.
    resources: Vec<ResourceSiteView>,
    /// Groups of tasks that somebody still has, with their members.
    groups: Vec<GroupView>,
    /// Where groups are made, and how long members took to end once they were asked to.
    group_sites: Vec<GroupSiteView>,
    dropped: &'a BTreeMap<String, u64>,
    /// The same in a sentence each.
    not_recorded: Vec<String>,
    heap_samples: Option<u64>,
    heap: Option<HeapNow>,
    lost: &'a [String],
    /// Modules whose functions are not known by name, and what to do about it.
    without_names: Vec<String>,
    /// What this snapshot shows without another.
    findings: Vec<Finding>,
    sites: Vec<SiteView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView>>,
}

impl<'a> View<'a> {
    fn of(analysis: &'a Analysis, lost: &'a [String], tasks: bool) -> Self {
        let snapshot = analysis.snapshot();
        let (process, capture) = (&snapshot.process, &snapshot.capture);
        View {
            schema: "diag.show/3",
            service: &process.service,
            pid: process.pid,
            host: process.host.as_deref(),
            build_id: process.build_id.as_deref(),
            debug_build: process.debug_build,
            taken: human::time(snapshot.taken_unix_us()),
            uptime_ns: Micros(capture.to_us).as_nanos(),
            capture_ns: (Micros(capture.to_us) - Micros(capture.from_us)).as_nanos(),
            tracked_tasks: snapshot.tracked_tasks(),
            alive_tasks: capture
                .runtimes
                .iter()
                .map(|runtime| (&*runtime.name, runtime.alive_tasks))
                .collect(),
            gauges: capture.gauges.iter().map(|gauge| (&*gauge.name, gauge.value)).collect(),
            rss_bytes: capture.resources.rss_bytes,
            memory: analysis.memory_view(),
            mapped_files: analysis.mapped_file_views(),
            memory_limit: analysis.memory_limit_view(),
            cpu: analysis.cpu_view(),
            open_fds: capture.resources.open_fds,
            descriptors: analysis.descriptors_view(),
            process_facts: analysis.process_facts_view(),
            resources: analysis.resource_site_views(),
            groups: analysis.group_views(),
            group_sites: analysis.group_site_views(),
            dropped: &capture.dropped,
            not_recorded: diag_analysis::not_recorded(capture).collect(),
            heap_samples: snapshot.heap.as_ref().map(|heap| heap.samples.len() as u64),
            heap: analysis.heap().and_then(|heap| analysis.heap_view(&heap.functions, usize::MAX)),
            lost,
            without_names: unnamed::unnamed(snapshot).iter().map(ToString::to_string).collect(),
            findings: judge_one(analysis, &Policy::default()),
            sites: sites(analysis),
            tasks: tasks.then(|| analysis.task_views().collect()),
        }
    }
}

/// Spawn sites, the one with the most live tasks first.
fn sites(analysis: &Analysis) -> Vec<SiteView> {
    let mut sites: Vec<SiteView> = analysis.site_views().collect();
    sites.sort_by(|a, b| (b.live, &a.location, &a.name).cmp(&(a.live, &b.location, &b.name)));
    sites
}

/// Serialising to a string fails only for maps whose keys are not strings; there are none.
fn json<T: Serialize>(view: &T, write: fn(&T) -> serde_json::Result<String>) -> String {
    write(view).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string()) + "\n"
}

/// So many rows of a table are listed in text; JSON has all of them.
const LISTED: usize = 12;

const HEADS: [&str; 9] = [
    "live",
    "spawned",
    "done",
    "cancelled",
    "panicked",
    "never polled",
    "allocated",
    "by ended",
    "spawn site",
];

fn cells(site: &SiteView) -> [String; 9] {
    let [live, spawned] = [site.live, site.spawned].map(human::count);
    let how = |count: u64| if site.polls.is_some() { human::count(count) } else { "?".to_owned() };
    let [done, cancelled, panicked, never] =
        [site.done, site.cancelled, site.panicked, site.never_polled].map(how);
    let size = |bytes: &Option<Estimate>| bytes.map_or("-".to_owned(), |bytes| bytes.estimate());
    let place = format!("{}  {}", site.location, human::name(&site.name));
    [live, spawned, done, cancelled, panicked, never, size(&site.held), size(&site.held_by_ended), place]
}

/// Which process at which moment, where its memory is, how many tasks it has.
fn about(view: &View<'_>) -> String {
    let alive = view.alive_tasks.values().try_fold(0u64, |sum, alive| Some(sum.saturating_add((*alive)?)));
    let alive = alive.map_or("unknown".to_owned(), human::count);
    let memory = view.memory.as_ref().map(|memory| format!("{}\n", memory.sentence)).unwrap_or_default();
    let limit = view.memory_limit.as_ref().map(|limit| limit.sentence() + "\n").unwrap_or_default();
    let cpu = view.cpu.as_ref().map(|cpu| cpu.sentence() + "\n").unwrap_or_default();
    format!(
        "{}, pid {}, up {}, taken {}\n{memory}{limit}{cpu}{} tasks tracked, the runtimes count {alive}",
        human::name(view.service),
        view.pid,
        human::duration(view.uptime_ns),
        view.taken,
        human::count(view.tracked_tasks),
    )
}

fn text(view: &View<'_>) -> String {
    let gauges: String =
        view.gauges.iter().map(|(name, value)| format!("gauge {}: {value}\n", human::name(name))).collect();
    let without_names: String = view.without_names.iter().map(|note| format!("{note}\n")).collect();
    let findings = report::findings(&view.findings);
    let sites = list(&HEADS, view.sites.iter().map(cells), "spawn site");
    let heap = view.heap.as_ref().map(heap_text).unwrap_or_default();
    let notes: String = view.not_recorded.iter().map(|note| format!("\nnote: {note}")).collect();
    let resources = resources_text(&view.resources);
    let groups = groups_text(&view.groups);
    let facts: String = view.process_facts.lines().into_iter().map(|line| line + "\n").collect();
    format!(
        "{}\n{facts}{gauges}{without_names}\n{findings}{sites}{resources}{groups}{heap}{notes}",
        about(view)
    )
}

const RESOURCE_HEADS: [&str; 4] =
    ["open", "opened", "closed", "sockets and channels, by where they were opened"];

fn resources_text(resources: &[ResourceSiteView]) -> String {
    let cells = |site: &ResourceSiteView| {
        let [open, opened, closed] = [site.open, site.opened, site.closed].map(human::count);
        [open, opened, closed, format!("{}: {}", site.place(), site.sentence())]
    };
    if resources.is_empty() {
        return String::new();
    }
    format!("\n{}", list(&RESOURCE_HEADS, resources.iter().map(cells), "place"))
}

const GROUP_HEADS: [&str; 4] = ["alive", "joined", "beyond cancel", "groups of tasks"];

fn groups_text(groups: &[GroupView]) -> String {
    let cells = |group: &GroupView| {
        let [alive, joined, beyond] = [group.alive, group.joined, group.stragglers].map(human::count);
        let who = group.members.iter().filter_map(MemberView::straggling).next();
        let who = who.map(|who| format!("; first: {who}")).unwrap_or_default();
        let what = format!("{} at {}: {}{who}", group.title(), group.location, group.sentence());
        [alive, joined, beyond, what]
    };
    if groups.is_empty() {
        return String::new();
    }
    format!("\n{}", list(&GROUP_HEADS, groups.iter().map(cells), "group"))
}

fn heap_text(heap: &HeapNow) -> String {
    let functions = list(&heap::HEADS, heap.functions.iter().map(heap::cells), "allocating function");
    format!("\n{}\n\n{functions}", heap_lines(heap).join("\n"))
}

/// The heap in sentences.
fn heap_lines(heap: &HeapNow) -> Vec<String> {
    let kinds = heap
        .kinds
        .iter()
        .map(|kind| format!("{} {} ({:.1} %)", kind.kind, kind.live.live.estimate(), kind.share_percent));
    let rate = match heap.rate_bytes {
        0 => "every block recorded".to_owned(),
        rate => format!("one sample in {}", human::bytes(rate)),
    };
    let mut lines = vec![
        format!(
            "heap: {} (95 %: {}) live in about {} blocks, from {} samples, {rate}",
            heap.live.live.estimate(),
            heap.live.live.interval(),
            human::count(heap.live.live_blocks.estimate_blocks),
            human::count(heap.live.samples),
        ),
        format!("parts: {}", kinds.collect::<Vec<_>>().join(", ")),
    ];
    lines.extend(heap.ended_tasks());
    lines
}

/// A table of the first rows, and how many more there are.
fn list<const N: usize>(
    heads: &[&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
    noun: &str,
) -> String {
    let rest = rows.len().saturating_sub(LISTED);
    let rows: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows.take(LISTED)).collect();
    let rest = match rest {
        0 => String::new(),
        rest => format!("and {} in --format json\n", human::counted(rest as u64, &format!("more {noun}"))),
    };
    format!("{}\n{rest}", grid(&rows).join("\n"))
}

fn markdown(view: &View<'_>) -> String {
    use diag_diff::report::markdown::table;
    let mut out = table(&about(view), &HEADS, view.sites.iter().map(cells));
    if let Some(heap) = &view.heap {
        let functions = heap.functions.iter().take(LISTED).map(heap::cells);
        out += &table(&heap_lines(heap).join("\n"), &heap::HEADS, functions);
    }
    out
}
