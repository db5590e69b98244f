//! Which snapshots there are now, and the few of them that are kept in memory.
//!
//! Files are looked for again at each listing and read when they are new; what was seen of them is
//! remembered by path, size and time. Files are not watched in the background: a page that is not loaded costs nothing.
//! Agents are asked now and then if the viewer is told to, so that there is something to compare when somebody looks.

mod files;
mod fuse;
mod judged;
mod reading;
mod shots;
mod state;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_diff::{NotComparable, Policy, Report, Series, judge_series};
use diag_snapshot::{content_id, file};

use crate::flame::heaps::Heaps;
use crate::flame::tree::Frames;
use crate::loaded::{Loaded, Summary};
use crate::recent::Recent;
use crate::source::{Place, Source};
use reading::Reading;
use shots::Shots;
use watch::Watch;

pub(crate) use judged::Judged;
pub(crate) use reading::{Patience, Progress};
pub(crate) use state::{AgentState, SourceState, Weight};
pub(crate) use watch::{Listener, Now};

/// Tasks of the snapshots that are kept, together: about 100 bytes each.
const KEPT_TASKS: u64 = 5_000_000;
/// Rows of the reports that are kept.
const KEPT_REPORT_ROWS: u64 = 100_000;
/// Call paths and stacks of the pairs of heaps that are kept: about 100 bytes each.
const KEPT_HEAP_ROWS: u64 = 500_000;
/// So many files of a folder are listed, the newest.
const LISTED_FILES: usize = 200;
/// What no file name has as its id: the newest snapshot.
pub(crate) const LIVE: &str = "live";

/// Both snapshots, and the word for the frames.
type HeapsKey = (String, String, &'static str);

/// All snapshots of a [`Source`].
pub(crate) struct Library {
    places: Vec<Place>,
    debug: DebugFiles,
    shots: Vec<Arc<Shots>>,
    known: Mutex<BTreeMap<Origin, Entry>>,
    /// What was there when it was last looked.
    looked: Mutex<BTreeSet<Origin>>,
    reading: Reading,
    loaded: Mutex<Recent<String, Arc<Loaded>>>,
    reports: Mutex<Recent<(String, String), Arc<Report>>>,
    heaps: Mutex<Recent<HeapsKey, Arc<Heaps>>>,
    /// Reports of series, by their members.
    judged: Mutex<Recent<Vec<String>, Arc<Judged>>>,
    judging: Arc<tokio::sync::Mutex<()>>,
    seen: Mutex<Seen>,
    watch: Watch,
}

/// What was seen last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    snapshots: usize,
    newest_unix_us: Option<u64>,
    unreadable: usize,
    answer: Option<Weight>,
}

/// Where the bytes of one snapshot are; other bytes have another origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    File { path: PathBuf, bytes: u64, modified: Option<SystemTime> },
    Shot { agent: String, number: u64 },
}

/// What an origin holds, or why it cannot be read.
type Entry = Result<Summary, String>;

/// Everything there is at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Readable ones in the order of time, each content once.
    pub(crate) snapshots: Vec<Summary>,
    /// What could not be read, and what to do about it.
    pub(crate) problems: Vec<String>,
    /// How much is read, if not all that is there.
    pub(crate) reading: Option<Progress>,
    /// Services that were asked and have not answered yet.
    pub(crate) silent: Vec<String>,
}

/// Ids of snapshots of the same process.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// The first of all, if it is another and earlier.
    pub(crate) first: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// A comparison that was made.
pub(crate) struct Newest {
    /// The id of its first snapshot.
    pub(crate) before: String,
    pub(crate) report: Arc<Report>,
}

/// Why there is no page.
#[derive(Clone, Debug)]
pub(crate) enum Absent {
    /// Nothing goes by that name.
    NotFound(String),
    /// It is there and cannot be used for this.
    Unusable(String),
}

impl Listing {
    /// The id of the snapshot that goes by this one; that of the newest is not known before all are read.
    fn find(&self, id: &str) -> Option<String> {
        let summary = match id {
            LIVE if self.reading.is_some() => None,
            LIVE => self.snapshots.last(),
            id => self.snapshots.iter().find(|summary| summary.id == id),
        };
        summary.map(|summary| summary.id.clone())
    }
}

impl Library {
    /// Snapshots of services are kept in a folder besides, if there is one.
    pub(crate) fn new(mut source: Source, token: Option<&str>, keep: Option<PathBuf>) -> Self {
        source.places.extend(keep.clone().map(Place::Folder));
        let agents = source.places.iter().filter_map(|place| match place {
            Place::Agent(agent) => {
                Some(Arc::new(Shots::new(agent.clone(), token.map(str::to_owned), keep.clone())))
            }
            Place::File(_) | Place::Folder(_) => None,
        });
        Library {
            shots: agents.collect(),
            places: source.places,
            debug: source.debug,
            known: Mutex::default(),
            looked: Mutex::default(),
            reading: Reading::default(),
            loaded: Mutex::new(Recent::new(KEPT_TASKS, |loaded| loaded.summary.tracked_tasks.max(10_000))),
            reports: Mutex::new(Recent::new(KEPT_REPORT_ROWS, |report| 100 + report.sites.len() as u64)),
            heaps: Mutex::new(Recent::new(KEPT_HEAP_ROWS, |heaps| 100 + heaps.rows())),
            judged: Mutex::new(Recent::new(KEPT_REPORT_ROWS, |judged| {
                100 + judged.report.sites.len() as u64
            })),
            judging: Arc::default(),
            seen: Mutex::default(),
            watch: Watch::default(),
        }
    }

    /// Looks at every place again; an agent is asked for a new snapshot unless the last is new enough. What takes longer goes
    /// on, for who asks next.
    pub(crate) async fn list(self: &Arc<Self>, patience: Patience) -> Listing {
        let (mut problems, mut silent) = (Vec::new(), Vec::new());
        let asked: Vec<_> =
            self.shots.iter().map(|shots| tokio::spawn(Arc::clone(shots).refresh())).collect();
        for (shots, asked) in self.shots.iter().zip(asked) {
            match patience.wait(asked).await {
                Some(problem) => problems.extend(problem.ok().flatten()),
                None => silent.push(shots.address().to_owned()),
            }
        }
        let mut listing = self.read(patience).await;
        problems.append(&mut listing.problems);
        Listing { problems, silent, ..listing }
    }

    /// True if a running service is among the places.
    pub(crate) fn has_agents(&self) -> bool {
        !self.shots.is_empty()
    }

    /// How the sources are now. A service that did not answer a moment ago is knocked at, not asked.
    pub(crate) async fn state(&self) -> SourceState {
        let mut agents = Vec::new();
        for shots in &self.shots {
            agents.push(shots.state().await);
        }
        let seen = *lock(&self.seen);
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
        let age_ns = |us: u64| now_us.saturating_sub(us).saturating_mul(1000);
        SourceState {
            agents,
            snapshots: seen.snapshots,
            newest_age_ns: seen.newest_unix_us.map(age_ns),
            unreadable: seen.unreadable,
            reading: self.reading.progress(),
        }
    }

    /// When the newest snapshot was taken that was seen; 0 without one.
    pub(crate) fn newest_unix_us(&self) -> u64 {
        lock(&self.seen).newest_unix_us.unwrap_or(0)
    }

    /// What was found when it was last looked for.
    pub(crate) fn answer(&self) -> Option<Weight> {
        lock(&self.seen).answer
    }

    pub(crate) fn set_answer(&self, answer: Option<Weight>) {
        lock(&self.seen).answer = answer;
    }

    /// Takes a snapshot of each running service, and looks at everything again.
    pub(crate) async fn poll(self: &Arc<Self>) {
        for shots in &self.shots {
            shots.poll().await;
        }
        self.list(Patience::Whole).await;
    }

    /// Takes a snapshot of each running service now.
    pub(crate) async fn take(&self) -> Result<(), Absent> {
        for shots in &self.shots {
            shots.take().await.map_err(Absent::Unusable)?;
        }
        Ok(())
    }

    /// Has the idle tasks of the running services polled, to show where they are parked. Gives the id of the newest
    /// snapshot.
    pub(crate) async fn ask(self: &Arc<Self>) -> Result<String, Absent> {
        for shots in &self.shots {
            shots.ask().await.map_err(Absent::Unusable)?;
        }
        let newest = self.list(Patience::Whole).await.snapshots.pop();
        newest.map(|newest| newest.id).ok_or_else(|| Absent::NotFound("no snapshot came".to_owned()))
    }

    /// Has the memory of the running services swept for who holds what. Gives the id of the newest snapshot.
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<String, Absent> {
        for shots in &self.shots {
            shots.sweep().await.map_err(Absent::Unusable)?;
        }
        let newest = self.list(Patience::Whole).await.snapshots.pop();
        newest.map(|newest| newest.id).ok_or_else(|| Absent::NotFound("no snapshot came".to_owned()))
    }

    /// Has the running services' CPU time profiled for so many seconds. Gives the id of the newest snapshot that has it.
    pub(crate) async fn profile(self: &Arc<Self>, seconds: u64) -> Result<String, Absent> {
        let taking = |shots: &Arc<Shots>| {
            let shots = Arc::clone(shots);
            tokio::spawn(async move { shots.profile(seconds).await })
        };
        let all: Vec<_> = self.shots.iter().map(taking).collect();
        for taken in all {
            taken.await.map_err(failed)?.map_err(Absent::Unusable)?;
        }
        let snapshots = self.list(Patience::Whole).await.snapshots;
        let newest = snapshots.into_iter().rev().find(|summary| summary.has_cpu);
        newest.map(|newest| newest.id).ok_or_else(|| Absent::NotFound("no snapshot came".to_owned()))
    }

    /// The snapshot with this id, or the newest for `live`.
    pub(crate) async fn open(self: &Arc<Self>, id: &str) -> Result<Arc<Loaded>, Absent> {
        if let Some(loaded) = lock(&self.loaded).get(&id.to_owned()) {
            return Ok(loaded);
        }
        let mut found = self.list(Patience::Page).await.find(id);
        if found.is_none() {
            found = self.list(Patience::Whole).await.find(id);
        }
        let Some(id) = found else {
            let next = "the overview lists those that are there now";
            return Err(Absent::NotFound(format!("no snapshot `{id}`: {next}")));
        };
        let library = Arc::clone(self);
        blocking(move || library.load(&id)).await?
    }

    /// The judged diff of two snapshots: what `diag diff` says of them.
    pub(crate) async fn report(
        self: &Arc<Self>,
        before: &Arc<Loaded>,
        after: &Arc<Loaded>,
    ) -> Result<Arc<Report>, Absent> {
        let key = (before.summary.id.clone(), after.summary.id.clone());
        if let Some(report) = lock(&self.reports).get(&key) {
            return Ok(report);
        }
        let (before, after) = (Arc::clone(before), Arc::clone(after));
        let report = Arc::new(blocking(move || compare(&before, &after)).await??);
        lock(&self.reports).put(key, Arc::clone(&report));
        Ok(report)
    }

    /// The newest comparison that was made with this as its second snapshot; none is made for it.
    pub(crate) fn newest_report(&self, after: &str) -> Option<Newest> {
        let reports = lock(&self.reports);
        let ((before, _), report) = reports.newest(|(_, other)| other == after)?;
        Some(Newest { before: before.clone(), report: Arc::clone(report) })
    }

    /// The other snapshots of the same process, as far as they were seen.
    pub(crate) fn beside(&self, summary: &Summary) -> Beside {
        let known = lock(&self.known);
        let moment = |of: &Summary| (of.taken_unix_us, of.id.clone());
        let same = |other: &&Summary| {
            let process = |of: &Summary| (of.instance, of.pid, of.service.clone(), of.host.clone());
            other.id != summary.id && process(other) == process(summary)
        };
        let mut moments: Vec<_> =
            known.values().filter_map(|entry| entry.as_ref().ok()).filter(same).map(moment).collect();
        moments.sort();
        let at = moments.partition_point(|other| *other < moment(summary));
        let id = |place: Option<usize>| Some(moments.get(place?)?.1.clone());
        Beside { first: id(at.checked_sub(1).map(|_| 0)), before: id(at.checked_sub(1)), after: id(Some(at)) }
    }

    /// Both heaps in one tree of these frames; none unless both are sampled. It takes long the first time.
    pub(crate) fn heaps(&self, before: &Loaded, after: &Loaded, frames: Frames) -> Option<Arc<Heaps>> {
        let key = (before.summary.id.clone(), after.summary.id.clone(), frames.word());
        if let Some(heaps) = lock(&self.heaps).get(&key) {
            return Some(heaps);
        }
        let heaps = Arc::new(Heaps::of(&before.analysis, &after.analysis, frames)?);
        lock(&self.heaps).put(key, Arc::clone(&heaps));
        Some(heaps)
    }

    fn files(&self, problems: &mut Vec<String>) -> Vec<Origin> {
        let mut files = Vec::new();
        for place in &self.places {
            match place {
                Place::File(path) => files.push(Origin::file(path)),
                Place::Folder(path) => files.extend(folder(path, problems)),
                Place::Agent(_) => {}
            }
        }
        files
    }

    /// What reading the origin shows; none of a snapshot that is no longer kept.
    fn entry(&self, origin: &Origin) -> Option<Entry> {
        let bytes = match origin {
            // What went from a folder while others were read is missed by nobody.
            Origin::File { path, .. } => origin
                .read()
                .map(Some)
                .or_else(|error| {
                    let is_named =
                        self.places.iter().any(|place| matches!(place, Place::File(named) if named == path));
                    if is_named || path.exists() { Err(error) } else { Ok(None) }
                })
                .transpose()?,
            Origin::Shot { .. } => Ok(self.shot(origin)?),
        };
        let loaded = bytes.and_then(|bytes| parse(origin, &bytes, &self.debug));
        if let Ok(loaded) = &loaded {
            self.keep(loaded);
        }
        Some(loaded.map(|loaded| loaded.summary.clone()))
    }

    fn shot(&self, origin: &Origin) -> Option<Vec<u8>> {
        self.shots.iter().find_map(|shots| shots.bytes(origin))
    }

    /// The snapshot as it was written.
    pub(crate) fn bytes(&self, id: &str) -> Result<Vec<u8>, Absent> {
        let origin = self.origin_of(id).ok_or_else(|| gone(id))?;
        match &origin {
            Origin::File { .. } => origin.read().map_err(Absent::Unusable),
            Origin::Shot { .. } => self.shot(&origin).ok_or_else(|| gone(id)),
        }
    }

    fn load(&self, id: &str) -> Result<Arc<Loaded>, Absent> {
        if let Some(loaded) = lock(&self.loaded).get(&id.to_owned()) {
            return Ok(loaded);
        }
        let origin = self.origin_of(id).ok_or_else(|| gone(id))?;
        let bytes = self.bytes(id)?;
        let loaded = parse(&origin, &bytes, &self.debug).map_err(Absent::Unusable)?;
        self.keep(&loaded);
        Ok(loaded)
    }

    /// Of several with this id the one that lost least.
    fn origin_of(&self, id: &str) -> Option<Origin> {
        let known = lock(&self.known);
        let summaries = known.iter().filter_map(|(origin, entry)| Some((origin, entry.as_ref().ok()?)));
        let with_id = summaries.filter(|(_, summary)| summary.id == id);
        with_id.min_by_key(|(_, summary)| summary.lost.len()).map(|(origin, _)| origin.clone())
    }

    /// A damaged snapshot is not kept: a whole copy of it has the same id.
    fn keep(&self, loaded: &Arc<Loaded>) {
        if loaded.summary.lost.is_empty() {
            lock(&self.loaded).put(loaded.summary.id.clone(), Arc::clone(loaded));
        }
    }
}

impl Origin {
    /// The file as it is now; one that is not there is an origin too, with nothing known of it.
    fn file(path: &Path) -> Self {
        let facts = fs::metadata(path).ok();
        let bytes = facts.as_ref().map_or(0, fs::Metadata::len);
        Origin::File { path: path.to_owned(), bytes, modified: facts.and_then(|facts| facts.modified().ok()) }
    }

    fn name(&self) -> String {
        match self {
            Origin::File { path, .. } => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Origin::Shot { agent, number } => format!("{agent} #{number}"),
        }
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Origin::File { path, .. } => file::read_bytes(path).map_err(|error| error.to_string()),
            Origin::Shot { agent, .. } => Err(format!("{agent}: this snapshot is no longer kept")),
        }
    }
}

fn gone(id: &str) -> Absent {
    Absent::NotFound(format!("snapshot `{id}` is gone: reload the overview"))
}

fn parse(origin: &Origin, bytes: &[u8], debug: &DebugFiles) -> Result<Arc<Loaded>, String> {
    let name = origin.name();
    let (mut snapshot, damages) = diag_snapshot::read(bytes).map_err(|error| format!("{name}: {error}"))?;
    let id = content_id(bytes).map(|id| id.short()).ok_or_else(|| format!("{name}: no header"))?;
    let notes = fill_in(&mut snapshot, debug);
    Ok(Arc::new(Loaded::new(id, name, snapshot, &damages, &notes)))
}

/// The snapshot files of a folder in the order of time. What links point to lies elsewhere and is
/// not opened.
fn folder(path: &Path, problems: &mut Vec<String>) -> Vec<Origin> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(format!("cannot list {}: {error}", path.display()));
            return Vec::new();
        }
    };
    let is_snapshot = |entry: &fs::DirEntry| {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let diag = entry.path().extension().is_some_and(|extension| extension == "diag");
        diag && !hidden && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    let mut files: Vec<Origin> =
        entries.flatten().filter(is_snapshot).map(|entry| Origin::file(&entry.path())).collect();
    files.sort_by(|a, b| a.age_key().cmp(&b.age_key()));
    if let Some(more) = files.len().checked_sub(LISTED_FILES).filter(|&more| more > 0) {
        let next = "give them by name to see them";
        problems.push(format!("{} older files of {} are not listed: {next}", more, path.display()));
        files.drain(..more);
    }
    files
}

impl Origin {
    fn age_key(&self) -> (Option<SystemTime>, &Path) {
        match self {
            Origin::File { path, modified, .. } => (*modified, path),
            Origin::Shot { .. } => (None, Path::new("")),
        }
    }
}

fn listing<'a>(entries: impl Iterator<Item = &'a Entry>, mut problems: Vec<String>) -> Listing {
    let mut snapshots: BTreeMap<&str, &Summary> = BTreeMap::new();
    for entry in entries {
        match entry {
            Err(error) => problems.push(error.clone()),
            Ok(summary) => {
                let same = snapshots.entry(&summary.id).or_insert(summary);
                if same.lost.len() > summary.lost.len() {
                    *same = summary;
                }
            }
        }
    }
    let mut snapshots: Vec<Summary> = snapshots.into_values().cloned().collect();
    snapshots.sort_by(|a, b| (a.taken_unix_us, &a.name).cmp(&(b.taken_unix_us, &b.name)));
    Listing { snapshots, problems, ..Listing::default() }
}

fn compare(before: &Loaded, after: &Loaded) -> Result<Report, Absent> {
    for loaded in [before, after] {
        if let Some(lost) = loaded.summary.lost.first() {
            return Err(Absent::Unusable(format!(
                "{}: {lost}; a damaged file is not compared, copy it again",
                loaded.summary.name
            )));
        }
    }
    let refused = |refusal: NotComparable| Absent::Unusable(refusal.to_string());
    let series = Series::as_given(vec![&before.analysis, &after.analysis]).map_err(refused)?;
    let report = judge_series(&series, &Policy::default()).map_err(refused)?;
    report.ok_or_else(|| Absent::Unusable("two snapshots are needed".to_owned()))
}

/// Runs what takes long beside the threads that answer requests.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Absent> {
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

fn failed(error: tokio::task::JoinError) -> Absent {
    Absent::Unusable(format!("the viewer failed: {error}"))
}

/// What is kept is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
