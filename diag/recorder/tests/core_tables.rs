//! A snapshot out of a core is the one that the service's agent gave a moment before, table by table.
#![cfg(all(feature = "agent", feature = "heap", target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use diag::Counted;
use diag::task::{Builder, JoinSet};
use diag_analysis::core_tables::{CoreTablesError, read_core};
use diag_snapshot::{
    GroupRow, GroupSiteRow, LabelRow, MappedFileRow, MemberRow, MemberState, Outcome, ParkedRow,
    ResourceKind, ResourceRow, ResourceSiteRow, ResourceState, Runtime, SampleRow, SiteKind, SiteRow,
    Snapshot, StackAgeRow, StackIndex, StackTotalsRow, StringIndex, TaskRow, TaskState,
};
use diag_test_support::again::again;
use diag_test_support::core_of_process::write_core_of;
use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;
use diag_test_support::http::get;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// The folder of the child.
const CHILD: &str = "CORE_TABLES_CHILD";
const PATIENCE: Duration = Duration::from_secs(60);
/// A gauge: whether the service is.
const AT_REST: &str = "at rest";
/// Threads that have come to where they stay, of so many.
static RESTING: AtomicUsize = AtomicUsize::new(0);
const THREADS: usize = 2;

/// A service that is at rest, with tasks in every state.
struct Service {
    child: Child,
    agent: SocketAddr,
}

impl Service {
    fn start(test: &str, folder: &Path) -> Self {
        let child = again(test)
            .env(CHILD, folder)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let said = folder.join("agent");
        let agent = eventually(PATIENCE, "the service has an agent", || {
            fs::read_to_string(&said).map_err(|error| error.to_string())
        });
        Service { child, agent: agent.parse().expect("an address") }
    }

    /// What it says itself.
    fn answer(&self) -> Snapshot {
        let answer = get(self.agent, "/snapshot");
        let (snapshot, damages) = diag_snapshot::read(&answer.body).expect("a snapshot");
        assert!(damages.is_empty(), "{damages:?}");
        snapshot
    }

    /// The same, once nothing moves any more.
    fn snapshot(&self) -> Snapshot {
        eventually(PATIENCE, "the service comes to rest", || {
            let gauges = self.answer().capture.gauges;
            let is_at_rest = gauges.iter().any(|gauge| gauge.name == AT_REST && gauge.value == 1);
            if is_at_rest { Ok(()) } else { Err(gauges) }
        });
        // Gauges are read last: the rows of that snapshot may be older than what it says.
        self.answer()
    }

    /// Stops it.
    fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        eventually(PATIENCE, "it is stopped", || {
            let stat = fs::read_to_string(&stat).expect("it is there");
            if stat.contains(") T ") { Ok(()) } else { Err(stat) }
        });
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: a signal to a child that nobody has waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, signal) }, 0);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All tables that a core tells of, each row in words: what it refers to is put in the place of the reference.
fn tables(snapshot: &Snapshot) -> BTreeMap<&'static str, Vec<String>> {
    let text = |index: StringIndex| snapshot.strings.show(index).to_owned();
    let (no_text, no_stack) = (StringIndex(0), StackIndex(0));
    let stack = |index: StackIndex| stack(snapshot, index);
    let site = |row: SiteRow| {
        let named = (text(row.file), text(row.type_name), row.stack.map(stack));
        format!("{named:?} {:?}", SiteRow { file: no_text, type_name: no_text, stack: None, ..row })
    };
    let opened = |row: ResourceSiteRow| {
        let named = (row.name.map(text), row.file.map(text), row.stack.map(stack));
        format!("{named:?} {:?}", ResourceSiteRow { name: None, file: None, stack: None, ..row })
    };
    let capture = &snapshot.capture;
    let task = |row: TaskRow| format!("{:?} {:?}", row.name.map(text), TaskRow { name: None, ..row });
    let label = |row: LabelRow| format!("{:?} {} {}", row.task, text(row.key), text(row.value));
    let parked = |row: ParkedRow| format!("{:?} {}", row.task, stack(row.stack));
    let sample = |row: SampleRow| format!("{:?} {}", SampleRow { stack: no_stack, ..row }, stack(row.stack));
    let total =
        |row: StackTotalsRow| format!("{} {:?}", stack(row.stack), StackTotalsRow { stack: no_stack, ..row });
    let age = |row: StackAgeRow| format!("{} {:?}", stack(row.stack), StackAgeRow { stack: no_stack, ..row });
    let made = |row: GroupSiteRow| {
        format!(
            "{} {} {:?}",
            text(row.kind),
            text(row.file),
            GroupSiteRow { kind: no_text, file: no_text, ..row }
        )
    };
    let group = |row: GroupRow| {
        let named = (text(row.name), row.cancel_reason.map(text));
        format!("{named:?} {:?}", GroupRow { name: no_text, cancel_reason: None, ..row })
    };
    let member = |row: MemberRow| format!("{} {:?}", text(row.name), MemberRow { name: no_text, ..row });
    let mapped = |row: MappedFileRow| {
        let what = (row.path.map(text), row.is_deleted, row.files, row.mappings, row.mapped_bytes);
        format!("{what:?}")
    };
    let heap = snapshot.heap.as_ref().expect("a heap");
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    BTreeMap::from([
        ("sites", snapshot.sites.iter().map(site).collect()),
        ("lifetimes", words(snapshot.lifetimes.iter())),
        ("poll times", words(snapshot.poll_times.iter())),
        ("poll delays", words(snapshot.poll_delays.iter())),
        ("tasks", snapshot.tasks.iter().map(task).collect()),
        ("ends", words(snapshot.ends.iter())),
        ("zombies", words(snapshot.zombies.iter())),
        ("labels", snapshot.labels.iter().map(label).collect()),
        ("parked", snapshot.parked.iter().map(parked).collect()),
        ("heap facts", words([&heap.facts].into_iter())),
        ("samples", heap.samples.iter().map(sample).collect()),
        ("stack totals", sorted(heap.stack_totals.iter().map(total).collect())),
        ("stack ages", sorted(heap.stack_ages.iter().map(age).collect())),
        ("site totals", words(heap.site_totals.iter())),
        ("site ages", words(heap.site_ages.iter())),
        ("process", words([&snapshot.process].into_iter())),
        ("runtimes", words(capture.runtimes.iter().map(of_runtime))),
        ("tracked tasks", words(capture.tracked_tasks.iter())),
        ("gauges", words(capture.gauges.iter())),
        ("expected ratios", words(capture.expected_ratios.iter())),
        ("settings", words(capture.settings.iter())),
        ("parts", words(capture.parts.iter())),
        // Those of the recorder come and go with what it is asked.
        (
            "threads",
            snapshot
                .thread_cpu
                .iter()
                .filter(|row| !row.is_recorder)
                .map(|row| row.tid.to_string())
                .collect(),
        ),
        ("mapped files", sorted(snapshot.mapped_files.iter().map(mapped).collect())),
        ("group sites", snapshot.group_sites.iter().map(made).collect()),
        ("groups", snapshot.groups.iter().map(group).collect()),
        ("members", snapshot.members.iter().map(member).collect()),
        ("cancel latencies", words(snapshot.cancel_latencies.iter())),
        ("resource sites", snapshot.resource_sites.iter().map(opened).collect()),
        ("resources", words(snapshot.resources.iter().map(without_kernel))),
        ("resource ages", words(snapshot.resource_ages.iter())),
    ])
}

/// What a core has of a runtime: that it is there.
fn of_runtime(runtime: &Runtime) -> Runtime {
    Runtime { name: runtime.name.clone(), workers: runtime.workers, ..Runtime::default() }
}

/// A resource without what the kernel says of it, which is in no core.
fn without_kernel(row: ResourceRow) -> ResourceRow {
    ResourceRow {
        descriptor: None,
        protocol: None,
        state: None,
        local: None,
        peer: None,
        idle_us: None,
        unread_bytes: None,
        unsent_bytes: None,
        ..row
    }
}

fn words<R: Debug>(rows: impl Iterator<Item = R>) -> Vec<String> {
    rows.map(|row| format!("{row:?}")).collect()
}

/// Its frames, innermost first, each by its module and the place in it.
fn stack(snapshot: &Snapshot, index: StackIndex) -> String {
    let stacks = &snapshot.stacks;
    let mut frames = Vec::new();
    let mut next = Some(index);
    while let Some(row) = next.and_then(|index| stacks.stacks.get(index.0 as usize)) {
        let frame = stacks.frames.get(row.frame.0 as usize).expect("a frame");
        let module = frame.module.and_then(|module| stacks.modules.get(module.0 as usize));
        let module = module.map(|module| {
            let build_id = module.build_id.map(|id| snapshot.strings.show(id));
            // The loader goes by links to folders, and the kernel does not.
            let file = Path::new(snapshot.strings.show(module.path)).file_name();
            (file.map(ToOwned::to_owned), build_id, module.base, module.size_bytes)
        });
        frames.push(format!("{module:?}+{:x}", frame.offset));
        next = row.caller;
    }
    frames.join(" ")
}

/// Says of each table what is not the same.
#[track_caller]
fn assert_same(live: &Snapshot, core: &Snapshot) {
    assert!(core.thread_cpu.iter().any(|row| row.is_recorder));
    assert_eq!(core.capture.resources.threads, Some(core.thread_cpu.len() as u64));
    let (live, core) = (tables(live), tables(core));
    for (name, live) in &live {
        // A thread may have begun since.
        let is_told = |row: &&String| *name != "threads" || live.contains(row);
        let core: Vec<&String> = core[name].iter().filter(is_told).collect();
        let live: Vec<&String> = live.iter().collect();
        let place = live.iter().zip(&core).position(|(live, core)| live != core);
        let place = place.unwrap_or_else(|| live.len().min(core.len()));
        let (live_row, core_row) = (live.get(place), core.get(place));
        assert!(
            live == core,
            "{name}: {} rows, {} in the core; row {place}:\n{live_row:?}\n{core_row:?}",
            live.len(),
            core.len()
        );
    }
}

/// What the service is to have, or the comparison would be of nothing.
#[track_caller]
fn assert_full(snapshot: &Snapshot) {
    let states: Vec<TaskState> = snapshot.tasks.iter().map(|task| task.state).collect();
    for state in [TaskState::NeverPolled, TaskState::Idle, TaskState::Polling, TaskState::Woken] {
        assert!(states.contains(&state), "{state:?}");
    }
    assert!(snapshot.tasks.iter().any(|task| task.lost == Some(2)) && snapshot.labels.len() >= 3);
    let outcomes: Vec<Outcome> = snapshot.zombies.iter().map(|zombie| zombie.outcome).collect();
    assert!([Outcome::Done, Outcome::Panicked, Outcome::Cancelled].iter().all(|one| outcomes.contains(one)));
    assert!(snapshot.ends.len() > 100 && snapshot.parked.len() > 5 && snapshot.lifetimes.len() > 2);
    let heap = snapshot.heap.as_ref().expect("a heap");
    assert!(heap.samples.len() > 100 && heap.stack_totals.len() > 10 && heap.site_totals.len() > 2);
    assert!(heap.samples.iter().any(|sample| sample.task_end == Some(Outcome::Done)));
    assert_full_of_libraries(snapshot);
}

/// What the census is to have.
#[track_caller]
fn assert_full_of_libraries(snapshot: &Snapshot) {
    let site = |task: &TaskRow| snapshot.sites.get(task.site.0 as usize).expect("a site");
    let of_libraries: Vec<TaskRow> =
        snapshot.tasks.iter().filter(|task| site(task).kind == Some(SiteKind::Library)).collect();
    assert!(of_libraries.len() >= 4, "{of_libraries:?}");
    assert!(of_libraries.iter().any(|task| task.parent.is_some() && task.runtime.is_some()));
    assert!(snapshot.zombies.iter().any(|zombie| zombie.end_seen == Some(false)));
    assert!(snapshot.sites.iter().any(|site| site.freed > Some(1) && site.stack.is_some()));
    let of_kind = |kind| {
        let site = |row: &ResourceRow| snapshot.resource_sites.get(row.site.0 as usize).expect("a site");
        snapshot.resources.iter().filter(|row| site(row).kind == kind).collect::<Vec<ResourceRow>>()
    };
    // What they say of themselves depends on what lay in their memory before: two forms may have one size.
    assert!(of_kind(ResourceKind::Channel).len() >= 3);
    let sockets = of_kind(ResourceKind::Socket);
    assert!(sockets.len() >= 5 && sockets.iter().any(|socket| socket.descriptor.is_some()));
    assert!(snapshot.resource_ages.iter().count() > 0);
    let values = of_kind(ResourceKind::Value);
    assert!(values.len() == 3 && values.iter().any(|value| value.due_us.is_some() && value.opener.is_some()));
    let states: Vec<_> = of_kind(ResourceKind::InUse).iter().map(|row| row.in_state).collect();
    for state in [None, Some(ResourceState::Created), Some(ResourceState::InUse), Some(ResourceState::Idle)] {
        assert!(states.contains(&state), "{states:?}");
    }
    let states: Vec<MemberState> = snapshot.members.iter().map(|member| member.state).collect();
    let all = [MemberState::Alive, MemberState::Done, MemberState::Panicked, MemberState::Cancelled];
    assert!(all.iter().all(|state| states.contains(state)), "{states:?}");
    assert!(snapshot.groups.iter().any(|group| group.joined > 70 && group.cancel_reason.is_some()));
    assert!(snapshot.groups.iter().any(|group| group.aborted == Some(true)));
    assert!(snapshot.thread_cpu.iter().filter(|row| !row.is_recorder).count() >= 3);
    assert!(snapshot.mapped_files.len() > 2);
    let capture = &snapshot.capture;
    assert!(!capture.parts.is_empty());
    assert!(
        !capture.runtimes.is_empty() && !capture.settings.is_empty() && capture.expected_ratios.len() == 2
    );
}

/// One service, as it is costly to name all of its code in its own snapshot.
#[test]
fn cores_say_what_the_service_said_as_far_as_they_are_whole() {
    const TEST: &str = "cores_say_what_the_service_said_as_far_as_they_are_whole";
    if let Some(folder) = std::env::var_os(CHILD) {
        serve(folder.into());
    }
    let folder = Folder::new("core-tables");
    let mut service = Service::start(TEST, &folder);
    let live = service.snapshot();
    assert_full(&live);
    service.stop();
    let path = folder.join("written");
    write_core_of(service.child.id(), &path).expect("a core");
    assert_same(&live, &read_core(&path, None).expect("tables"));
    match core_of_kernel(&folder, &mut service) {
        Ok(core) => assert_same(&live, &read_core(&core, None).expect("tables")),
        Err(why) => skipped(1, &why),
    }
    check_executables(&live, &path, &folder);
    let core = File::options().read(true).write(true).open(&path).expect("a core");
    check_versions(&path, &core);
    check_cuts(&live, &path, &core);
}

/// The core that the kernel writes as the service, which was stopped, ends in its folder; why there is none.
fn core_of_kernel(folder: &Folder, service: &mut Service) -> Result<PathBuf, String> {
    service.signal(libc::SIGABRT);
    service.signal(libc::SIGCONT);
    let status = service.child.wait().expect("a child");
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").map_err(|error| error.to_string())?;
    if pattern.contains(['|', '/']) {
        return Err(format!("cores go elsewhere: {}", pattern.trim()));
    }
    let start = pattern.trim().split('%').next().unwrap_or_default();
    let name = folder
        .names()
        .into_iter()
        .find(|name| name.starts_with(start) && !["agent", "written"].contains(&name.as_str()));
    let name = name.filter(|_| status.core_dumped());
    name.map(|name| folder.join(name)).ok_or_else(|| "the kernel wrote none".to_owned())
}

#[expect(clippy::print_stderr, reason = "a test that proves less must say so")]
fn skipped(cores: usize, why: &str) {
    eprintln!("skipped: {cores} core ({why})");
}

/// The executable was moved, or another is given.
#[track_caller]
fn check_executables(live: &Snapshot, path: &Path, folder: &Folder) {
    let moved = folder.join("moved");
    fs::copy(std::env::current_exe().expect("a path"), &moved).expect("a copy");
    assert_same(live, &read_core(path, Some(&moved)).expect("tables"));
    let other = read_core(path, Some("/proc/self/cmdline".as_ref()));
    assert!(matches!(other, Err(CoreTablesError::OtherExecutable { .. })), "{other:?}");
}

/// Tables of another version are refused by name.
#[track_caller]
fn check_versions(path: &Path, core: &File) {
    let at = layout_in(core) + VERSION_AT;
    let other = VERSION + 1;
    core.write_all_at(&other.to_le_bytes(), at).expect("a core");
    let refused = read_core(path, None).expect_err("another version");
    let diag_version = env!("CARGO_PKG_VERSION").to_owned();
    let says = format!("of version {other}, of diag {diag_version},");
    assert!(refused.to_string().contains(&says), "{refused}");
    assert_eq!(refused, CoreTablesError::OtherVersion { version: other, diag_version });
    core.write_all_at(&VERSION.to_le_bytes(), at).expect("a core");
}

/// Without the end there is less, and it says so.
#[track_caller]
fn check_cuts(live: &Snapshot, path: &Path, core: &File) {
    let (len, at) = (core.metadata().expect("a core").len(), layout_in(core));
    let mut tasks = live.tasks.len();
    for len in [len - 1, at + (len - at) / 2, at + (1 << 20)] {
        core.set_len(len).expect("a core");
        let cut = read_core(path, None).expect("some tables");
        assert!(cut.capture.dropped.get("core_cut_short") > Some(&0), "{:?}", cut.capture.dropped);
        assert!(cut.tasks.len() <= tasks, "{} of {tasks}", cut.tasks.len());
        assert_eq!(cut.process.diag_version, live.process.diag_version);
        tasks = cut.tasks.len();
    }
    assert_eq!(tasks, 0, "their memory lies behind that of the executable");
    core.set_len(at + 64).expect("a core");
    assert_eq!(read_core(path, None).expect_err("cut"), CoreTablesError::Damaged);
    core.set_len(at).expect("a core");
    assert_eq!(read_core(path, None).expect_err("cut"), CoreTablesError::NoTables);
}

/// From the start of the layout to its version.
const VERSION_AT: u64 = 24;
/// That of this package.
const VERSION: u32 = 2;

/// Where the layout begins in a core.
fn layout_in(core: &File) -> u64 {
    let magic = b"\x93diag tables\r\n\x1a\n";
    let mut piece = vec![0; 1 << 20];
    let mut pieces = (0..).map(|piece| piece << 20);
    pieces
        .find_map(|start| {
            let len = core.read_at(&mut piece, start).expect("a core");
            assert!(len > 0, "no layout");
            // Behind it are its own address, and the version; other places have neither. It is aligned to words.
            let is_it = |at: &usize| {
                piece[*at..].starts_with(magic)
                    && piece[at + VERSION_AT as usize..].starts_with(&VERSION.to_le_bytes())
            };
            let at = (0..len.saturating_sub(VERSION_AT as usize)).step_by(8).find(is_it)?;
            Some(start + at as u64)
        })
        .expect("a layout")
}

/// One that was never asked for a snapshot, and that has not sampled a single block.
#[test]
fn a_heap_without_samples_is_empty_and_what_was_never_learnt_is_said() {
    const TEST: &str = "a_heap_without_samples_is_empty_and_what_was_never_learnt_is_said";
    if let Some(folder) = std::env::var_os(CHILD) {
        serve_unasked(folder.into());
    }
    let folder = Folder::new("core-tables-unasked");
    let service = Service::start(TEST, &folder);
    service.stop();
    let path = folder.join("written");
    write_core_of(service.child.id(), &path).expect("a core");
    let core = read_core(&path, None).expect("tables");
    let heap = core.heap.as_ref().expect("a heap");
    assert!(heap.samples.is_empty() && heap.facts.next_birth == 1, "{:?}", heap.facts);
    assert_eq!(heap.facts.rate_bytes, HARDLY_EVER);
    let note = core.capture.dropped_sentences.get("core_census").expect("a note");
    assert!(note.contains("never been asked for a snapshot"), "{note}");
    service.signal(libc::SIGCONT);
    let live = service.answer();
    assert_eq!(live.heap.map(|heap| heap.facts), core.heap.map(|heap| heap.facts));
    service.stop();
    write_core_of(service.child.id(), &path).expect("a core");
    let asked = read_core(&path, None).expect("tables");
    assert_eq!(asked.capture.dropped_sentences.get("core_census"), None);
    assert_eq!((core.tasks.len(), asked.tasks.len()), (0, 1), "what a library has spawned");
}

/// Bytes between two samples.
const HARDLY_EVER: u64 = 1 << 50;

fn serve_unasked(folder: PathBuf) -> ! {
    let diag = diag::Builder::new().env(false).addr(([127, 0, 0, 1], 0)).heap_rate(HARDLY_EVER);
    let diag = diag.stderr(false).start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { std::mem::forget(tokio::spawn(pending::<()>())) });
    tell_agent(&diag, &folder);
    drop(folder);
    let _for_ever = (runtime, diag);
    loop {
        thread::park();
    }
}

#[test]
fn a_process_without_diag_has_no_tables() {
    let folder = Folder::new("core-tables-none");
    let mut child = Command::new("sleep").arg("600").spawn().expect("it runs");
    let path = folder.join("core");
    let exe = format!("/proc/{}/exe", child.id());
    eventually(PATIENCE, "it is another program", || {
        let exe = fs::read_link(&exe).expect("it is there");
        if Some(&exe) == std::env::current_exe().ok().as_ref() { Err(exe) } else { Ok(()) }
    });
    // SAFETY: a signal to a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGSTOP) }, 0);
    let written = eventually(PATIENCE, "it is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it is there");
        if stat.contains(") T ") { Ok(write_core_of(child.id(), &path)) } else { Err(stat) }
    });
    child.kill().and_then(|()| child.wait()).expect("it ends");
    written.expect("a core");
    assert_eq!(read_core(&path, None).expect_err("no tables"), CoreTablesError::NoTables);
    let none = read_core(&folder.join("none"), None);
    assert_eq!(none.expect_err("no file"), CoreTablesError::Unreadable(folder.join("none")));
}

/// A service with tasks in every state and blocks of some of them; then it rests: whatever is allocated, freed or polled has
/// been when it says so, which takes no memory.
fn serve(folder: PathBuf) -> ! {
    allow_cores();
    let diag = diag::Builder::new().env(false).service("shop").addr(([127, 0, 0, 1], 0));
    let diag = diag.resource_attribute("zone", "b").resource_attribute("tier", "");
    // All blocks but the smallest are samples, and stand for themselves.
    let diag = diag.heap_rate(1).stderr(false).start();
    assert!(diag.problems().is_empty(), "{:?}", diag.problems());
    let at_rest = diag::gauge(AT_REST);
    diag::gauge("balance").set(-7);
    diag::expect_ratio("serve", "connections", 0.1).each(2.0);
    diag::expect_ratio("", "balance", 0.0);
    // One thread polls, so that each of its tasks has been when it is done.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        fill().await;
        fill_of_libraries().await;
        fill_resources().await;
        fill_groups().await;
    });
    let busy = thread::spawn(be_busy);
    tell_agent(&diag, &folder);
    drop(folder);
    while RESTING.load(Ordering::Acquire) < THREADS {
        thread::yield_now();
    }
    at_rest.set(1);
    let _for_ever = (runtime, busy, diag);
    loop {
        thread::park();
    }
}

/// Writes down where the agent listens.
fn tell_agent(diag: &diag::Guard, folder: &Path) {
    let agent = diag.agent_addr().expect("an agent").to_string();
    fs::write(folder.join("agent.new"), agent).expect("a file");
    fs::rename(folder.join("agent.new"), folder.join("agent")).expect("a file");
}

/// As large as they get, if that may be.
fn allow_cores() {
    // SAFETY: plain numbers, read and written by the call.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
        }
    }
}

/// Rests.
fn rest() -> ! {
    RESTING.fetch_add(1, Ordering::Release);
    loop {
        thread::park();
    }
}

/// Tasks that wait, that have ended, and that are held.
async fn fill() {
    let named = |name: &'static str| Builder::new().name(name);
    let keep = |bytes: usize| black_box(vec![1_u8; bytes]);
    for n in 0..5 {
        let device = diag::scope("device", n).label("tenant", "acme");
        device.in_scope(|| _ = named("session").spawn(pending::<()>()).expect("a task"));
    }
    for n in 0..7_usize {
        let (sender, receiver) = oneshot::channel::<()>();
        std::mem::forget(sender);
        let mut kept = keep(1_000 * n);
        diag::spawn(async move {
            kept.extend(keep(3_000));
            _ = receiver.await;
            drop(kept);
        });
    }
    let bell = Arc::new(Notify::new());
    for _ in 0..3 {
        let bell = Arc::clone(&bell);
        diag::spawn(async move {
            tokio::select! { () = bell.notified() => {}, () = pending() => {} }
        });
    }
    let sleeping = named("sleeping").spawn(tokio::time::sleep(1_000 * PATIENCE)).expect("a task");
    let lost = named("lost").spawn(poll_fn(|_| Poll::<()>::Pending)).expect("a task");
    let blocks = diag::task::spawn_blocking(|| rest());
    let ended: Vec<_> =
        (0..300).map(|n| diag::spawn(async move { std::mem::forget(keep(10 + n)) })).collect();
    let panicked = diag::spawn(async { std::panic::resume_unwind(Box::new(())) });
    let aborted = diag::spawn(pending::<()>());
    let mut set = JoinSet::new();
    (0..4).for_each(|_| _ = set.spawn(pending::<()>()));
    // Some tasks of the queue are polled for each.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    aborted.abort();
    set.abort_all();
    while set.join_next().await.is_some() {}
    while !(aborted.is_finished() && panicked.is_finished() && ended.iter().all(|task| task.is_finished())) {
        tokio::task::yield_now().await;
    }
    std::mem::forget((ended, panicked, aborted, sleeping, lost, blocks, bell));
}

/// What is spawned and opened without diag: live tasks, one that made others, ended ones that are held and that are gone; channels
/// and sockets, open and closed.
async fn fill_of_libraries() {
    let waiting: Vec<_> = (0..3).map(|_| tokio::spawn(pending::<()>())).collect();
    let parent = tokio::spawn(async {
        let child = tokio::spawn(pending::<()>());
        let recorded = Builder::new().name("of a library's task").spawn(pending::<()>());
        pending::<()>().await;
        drop((child, recorded));
    });
    let ended: Vec<_> = (0..3).map(|n| tokio::spawn(async move { n })).collect();
    for n in 0..20 {
        tokio::spawn(async move { n }).await.expect("it ends");
    }
    let (sender, mut receiver) = mpsc::channel::<u64>(8);
    for n in 0..3 {
        sender.send(n).await.expect("a receiver");
    }
    receiver.recv().await.expect("a message");
    let (unbounded, gone) = mpsc::unbounded_channel::<[u8; 40]>();
    drop(gone);
    // One stack, of which one stays and tells what the others were.
    let mut channels: Vec<_> = (0..5).map(|_| mpsc::channel::<u8>(1)).collect();
    channels.truncate(1);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let mut connections = Vec::new();
    for _ in 0..3 {
        let (one, other) = tokio::join!(TcpStream::connect(addr), listener.accept());
        connections.push((one.expect("a connection"), other.expect("a connection")));
    }
    connections.pop();
    while !ended.iter().all(|task| task.is_finished()) {
        tokio::task::yield_now().await;
    }
    std::mem::forget((waiting, parent, ended, sender, receiver, unbounded, channels, listener, connections));
}

/// What the service says that it has: in use, in a pool in each state, and values; more of each that are gone.
async fn fill_resources() {
    let value = |n: u32| Counted::new(n);
    let mut values: Vec<_> = (0..90).map(value).collect();
    values.truncate(2);
    let owned = diag::spawn(async {
        let _mine = Counted::new("a text").expect_dropped(PATIENCE);
        let _lease = diag::resource::acquire("lease");
        pending::<()>().await;
    });
    let pool: Vec<_> = (0..5).map(|_| diag::resource::create("connection")).collect();
    pool[1..].iter().for_each(diag::resource::Resource::in_use);
    pool[3].idle();
    drop(diag::resource::acquire("permit"));
    tokio::task::yield_now().await;
    std::mem::forget((values, owned, pool, diag::resource::acquire("permit")));
}

/// Groups: one whose members live and have ended in each way, with more of them than are listed; one that was aborted; one that
/// nobody has.
async fn fill_groups() {
    let upload = diag::group("upload", "photos/7.jpg");
    let parts: Vec<_> = (0..70).map(|part| upload.spawn(part, async move { part })).collect();
    let waiting: Vec<_> = (0..3).map(|n| upload.spawn(format!("waits {n}"), pending::<()>())).collect();
    let panicked = upload.spawn("panics", async { std::panic::resume_unwind(Box::new(())) });
    let sync = diag::group("sync", "");
    let aborted = sync.spawn("one", pending::<()>());
    drop(diag::group("upload", "gone"));
    while !(parts.iter().all(|part| part.is_finished()) && panicked.is_finished()) {
        tokio::task::yield_now().await;
    }
    waiting[0].abort();
    upload.cancel("the client went away");
    sync.abort("it is late");
    while !(waiting[0].is_finished() && aborted.is_finished()) {
        tokio::task::yield_now().await;
    }
    std::mem::forget((upload, parts, waiting, panicked, sync, aborted));
}

/// A worker that never comes to what is woken or new.
fn be_busy() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let bell = Arc::new(Notify::new());
        let heard = Arc::clone(&bell);
        diag::spawn(async move { heard.notified().await });
        tokio::task::yield_now().await;
        diag::spawn(async move {
            bell.notify_one();
            diag::spawn(pending::<()>());
            rest()
        });
        pending::<()>().await;
    });
}
