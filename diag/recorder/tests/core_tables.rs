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

use diag::task::{Builder, JoinSet};
use diag_analysis::core_tables::{CoreTablesError, read_core};
use diag_snapshot::{
    LabelRow, Outcome, ParkedRow, SampleRow, SiteRow, Snapshot, StackAgeRow, StackIndex, StackTotalsRow,
    StringIndex, TaskRow, TaskState,
};
use diag_test_support::again::again;
use diag_test_support::core_of_process::write_core_of;
use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;
use diag_test_support::http::get;
use tokio::sync::{Notify, oneshot};

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

    /// What it says itself, once nothing moves any more.
    fn snapshot(&self) -> Snapshot {
        let take = || {
            let answer = get(self.agent, "/snapshot");
            let (snapshot, damages) = diag_snapshot::read(&answer.body).expect("a snapshot");
            assert!(damages.is_empty(), "{damages:?}");
            snapshot
        };
        eventually(PATIENCE, "the service comes to rest", || {
            let gauges = take().capture.gauges;
            let is_at_rest = gauges.iter().any(|gauge| gauge.name == AT_REST && gauge.value == 1);
            if is_at_rest { Ok(()) } else { Err(gauges) }
        });
        // Gauges are read last: the rows of that snapshot may be older than what it says.
        take()
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
        let named = (text(row.file), text(row.type_name));
        format!("{named:?} {:?}", SiteRow { file: no_text, type_name: no_text, ..row })
    };
    let task = |row: TaskRow| format!("{:?} {:?}", row.name.map(text), TaskRow { name: None, ..row });
    let label = |row: LabelRow| format!("{:?} {} {}", row.task, text(row.key), text(row.value));
    let parked = |row: ParkedRow| format!("{:?} {}", row.task, stack(row.stack));
    let sample = |row: SampleRow| format!("{:?} {}", SampleRow { stack: no_stack, ..row }, stack(row.stack));
    let total =
        |row: StackTotalsRow| format!("{} {:?}", stack(row.stack), StackTotalsRow { stack: no_stack, ..row });
    let age = |row: StackAgeRow| format!("{} {:?}", stack(row.stack), StackAgeRow { stack: no_stack, ..row });
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
    ])
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
    let (live, core) = (tables(live), tables(core));
    for (name, live) in &live {
        let core = &core[name];
        let place = live.iter().zip(core).position(|(live, core)| live != core);
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
    core.write_all_at(&(VERSION + 1).to_le_bytes(), at).expect("a core");
    let refused = read_core(path, None).expect_err("another version");
    let diag_version = env!("CARGO_PKG_VERSION").to_owned();
    let version = VERSION + 1;
    let says = format!("of version {version}, of diag {diag_version},");
    assert!(refused.to_string().contains(&says), "{refused}");
    assert_eq!(refused, CoreTablesError::OtherVersion { version, diag_version });
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
/// The one that the service writes.
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
    let diag = diag::Builder::new().env(false).service("shop").addr(([127, 0, 0, 1], 0)).census(false);
    let diag = diag.resource_attribute("zone", "b").resource_attribute("tier", "");
    // All blocks but the smallest are samples, and stand for themselves.
    let diag = diag.heap_rate(1).stderr(false).start();
    assert!(diag.problems().is_empty(), "{:?}", diag.problems());
    let at_rest = diag::gauge(AT_REST);
    // One thread polls, so that each of its tasks has been when it is done.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(fill());
    let busy = thread::spawn(be_busy);
    let agent = diag.agent_addr().expect("an agent").to_string();
    fs::write(folder.join("agent.new"), agent).expect("a file");
    fs::rename(folder.join("agent.new"), folder.join("agent")).expect("a file");
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
