//! The snapshot files of a series: in hand are the few that are looked at.
//!
//! A file of a million tasks takes a quarter of a gigabyte in memory and a folder may hold sixty, so only who each is of
//! is read at first. Those of which more is wanted are read then, and given up again for others.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use diag_analysis::Analysis;
use diag_analysis::symbols::DebugFiles;
use diag_diff::series::Member;
use diag_diff::{NotComparable, Series};
use diag_snapshot::{Damage, Snapshot, file};
use diag_viewer::recent::Recent;

use super::exit::Failure;
use super::load;
use super::output::note;
use super::progress::Progress;

/// Rows of the snapshots in hand, together: about 250 bytes each.
const KEPT_ROWS: u64 = 3_600_000;

/// A file of a series.
pub(crate) struct Head {
    path: PathBuf,
    /// True if a folder holds it, and nobody named it.
    is_listed: bool,
    /// Of whom it is; its tables are empty.
    facts: Snapshot,
}

impl Member for Head {
    fn service(&self) -> &str {
        &self.facts.process.service
    }

    fn instance(&self) -> u64 {
        self.facts.process.instance
    }

    fn taken_unix_us(&self) -> u64 {
        self.facts.taken_unix_us()
    }

    fn uptime_us(&self) -> u64 {
        self.facts.capture.to_us
    }
}

/// The files in the order given.
pub(crate) fn as_given<T>(
    paths: [&Path; 2],
    debug: DebugFiles,
    work: impl FnOnce(&Series<Head>, &Reader) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let heads = paths.into_iter().map(|path| head(path.to_owned(), false)).collect::<Result<_, _>>()?;
    let series = Series::as_given(heads).map_err(Failure::NotComparable)?;
    work(&series, &Reader::new(Arc::new(debug), &series))
}

/// These files and those of the folders among them, in the order of time; of two that hold different processes, the second is
/// the one that is asked about. A file that was named is read whole or nothing
/// is done; one that a folder holds is left out if it is damaged or gone, and that is said.
pub(crate) fn in_order<T>(
    paths: &[PathBuf],
    debug: DebugFiles,
    work: impl Fn(&Series<Head>, &Reader) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let debug = Arc::new(debug);
    let mut left_out = BTreeSet::new();
    loop {
        let series = put_in_order(heads(paths, &mut left_out)?).map_err(Failure::NotComparable)?;
        let reader = Reader::new(Arc::clone(&debug), &series);
        let done = work(&series, &reader);
        match (done, reader.unreadable.into_inner()) {
            (Err(failure), Some(path)) => leave_out(path, &failure, &mut left_out),
            (done, _) => return done,
        }
    }
}

fn leave_out(path: PathBuf, failure: &Failure, left_out: &mut BTreeSet<PathBuf>) {
    note(&format!("left out: {failure}"));
    left_out.insert(path);
}

fn put_in_order(mut of_paths: Vec<Vec<Head>>) -> Result<Series<Head>, NotComparable> {
    of_paths.iter_mut().for_each(|heads| heads.sort_by_key(Member::taken_unix_us));
    let have_a_process =
        |heads: &[Head], head: &Head| heads.iter().any(|known| known.instance() == head.instance());
    let are_two = match &of_paths[..] {
        [base, target] => !target.iter().any(|head| have_a_process(base, head)),
        _ => false,
    };
    let heads = of_paths.into_iter().flatten().collect();
    if are_two { Series::as_given(heads) } else { Series::new(heads) }
}

/// The heads of each path.
fn heads(paths: &[PathBuf], left_out: &mut BTreeSet<PathBuf>) -> Result<Vec<Vec<Head>>, Failure> {
    let mut of_paths = Vec::new();
    for path in paths {
        if !path.is_dir() {
            of_paths.push(vec![head(path.clone(), false)?]);
            continue;
        }
        let mut heads = Vec::new();
        for file in snapshots_in(path)? {
            if left_out.contains(&file) {
                continue;
            }
            match head(file.clone(), true) {
                Ok(head) => heads.push(head),
                Err(failure) => leave_out(file, &failure, left_out),
            }
        }
        of_paths.push(heads);
    }
    let all = of_paths.iter().map(Vec::len).sum();
    match all {
        0 | 1 => Err(Failure::Unreadable(format!(
            "{} and a series needs two: give more files, or a folder with `*.diag` of one service",
            match all {
                0 => "there is no snapshot that can be read,",
                _ => "there is one snapshot that can be read,",
            }
        ))),
        _ => Ok(of_paths),
    }
}

/// The files `*.diag` of a folder, by name.
pub(super) fn snapshots_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::Unreadable(format!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files = paths.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "diag") && path.is_file());
    files.sort();
    Ok(files)
}

fn head(path: PathBuf, is_listed: bool) -> Result<Head, Failure> {
    let (facts, damages) = file::read_facts(&path).map_err(load::unreadable)?;
    refuse_damage(&path, &damages)?;
    Ok(Head { path, is_listed, facts })
}

/// A damaged file is refused: what is missing from it would look as if it had ended.
fn refuse_damage(path: &Path, damages: &[Damage]) -> Result<(), Failure> {
    damages.first().map_or(Ok(()), |damage| {
        Err(Failure::Unreadable(format!(
            "{}: {damage}; a damaged file is not compared, copy it again or see what is left of it with `diag show`",
            path.display()
        )))
    })
}

/// Reads the files of a series whole, and keeps those that are asked for again. While one is looked at, the next is read.
pub(crate) struct Reader {
    debug: Arc<DebugFiles>,
    recent: RefCell<Recent<PathBuf, Arc<Analysis>>>,
    /// The files that were not read yet, in order.
    unread: RefCell<VecDeque<PathBuf>>,
    ahead: RefCell<Option<Ahead>>,
    /// What was said of a file is not said again when it is read again.
    told: RefCell<BTreeSet<String>>,
    /// The listed file that could not be read, if that ended the work.
    unreadable: RefCell<Option<PathBuf>>,
}

/// A file that is being read.
struct Ahead {
    path: PathBuf,
    reading: JoinHandle<Result<WithNotes, Failure>>,
}

/// A snapshot, and what is to be said of its names.
type WithNotes = (Analysis, Vec<String>);

impl Reader {
    fn new(debug: Arc<DebugFiles>, series: &Series<Head>) -> Self {
        let rows = |analysis: &Arc<Analysis>| {
            let samples = |heap: &diag_snapshot::Heap| heap.samples.len() as u64;
            let snapshot = analysis.snapshot();
            snapshot.live_tasks() + snapshot.heap.as_ref().map_or(0, samples)
        };
        Reader {
            debug,
            recent: RefCell::new(Recent::new(KEPT_ROWS, rows)),
            unread: RefCell::new(series.members().iter().map(|head| head.path.clone()).collect()),
            ahead: RefCell::default(),
            told: RefCell::default(),
            unreadable: RefCell::default(),
        }
    }

    /// The snapshot in a file, whole.
    pub(crate) fn open(&self, head: &Head) -> Result<Arc<Analysis>, Failure> {
        if let Some(kept) = self.recent.borrow_mut().get(&head.path) {
            return Ok(kept);
        }
        let read = self.read(&head.path);
        match &read {
            Ok(analysis) => self.recent.borrow_mut().put(head.path.clone(), Arc::clone(analysis)),
            Err(_) => *self.unreadable.borrow_mut() = head.is_listed.then(|| head.path.clone()),
        }
        read
    }

    fn read(&self, path: &Path) -> Result<Arc<Analysis>, Failure> {
        let _progress = Progress::of(format!("reading {}", path.display()));
        let ahead = self.ahead.take().filter(|ahead| ahead.path == path);
        let read = match ahead.map(|ahead| ahead.reading.join()) {
            Some(Ok(read)) => read,
            // Whatever went wrong there is met again here.
            Some(Err(_)) | None => read(path, &self.debug),
        };
        self.read_ahead(path);
        let (analysis, notes) = read?;
        for told in notes {
            if self.told.borrow_mut().insert(told.clone()) {
                note(&told);
            }
        }
        Ok(Arc::new(analysis))
    }

    /// Begins to read the file after this one, if nobody has yet.
    fn read_ahead(&self, path: &Path) {
        let mut unread = self.unread.borrow_mut();
        let Some(place) = unread.iter().position(|other| other == path) else { return };
        unread.drain(..=place);
        let Some(next) = unread.front().cloned() else { return };
        let (debug, path) = (Arc::clone(&self.debug), next.clone());
        // Without a thread it is read when it is asked for.
        let reading = thread::Builder::new().spawn(move || read(&path, &debug)).ok();
        *self.ahead.borrow_mut() = reading.map(|reading| Ahead { path: next, reading });
    }
}

fn read(path: &Path, debug: &DebugFiles) -> Result<WithNotes, Failure> {
    let (snapshot, damages) = file::read(path).map_err(load::unreadable)?;
    refuse_damage(path, &damages)?;
    let (analysis, notes) = load::named(path, snapshot, debug);
    // Whoever looks at it asks for these first.
    analysis.stacks();
    Ok((analysis, notes))
}
