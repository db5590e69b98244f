//! Tasks by spawn site: who came, went and stayed, and who of them is stale.
//!
//! A task is *stale* in a snapshot when it is not being polled and has rested for at least
//! [`Options::stale_factor`] times the longer of two spans: the usual lifetime of its site, and the
//! mean pause between its own polls. The second lets a connection with a ping a minute be what it
//! is, at a site whose tasks usually live a second. Where nothing ended yet there is no usual
//! lifetime, and the task must have rested for a whole window instead.
//!
//! One pass over each snapshot and one over both, which are sorted by id. Why a task rests is not
//! asked here.

use diag_snapshot::{SiteIndex, Snapshot, TaskRow, TaskState};

use super::Options;
use super::merge::merge;
use super::sites::{Join, Joined, Site, Totals};

/// Tasks of two snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDiff {
    /// Every site of either snapshot, ascending.
    pub sites: Vec<SiteDiff>,
}

/// One spawn site in two snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteDiff {
    /// Which site; as the second snapshot has it, if both have it.
    pub site: Site,
    /// Size of the spawned future, bytes.
    pub future_bytes: u64,
    /// In the first snapshot.
    pub before: SiteSide,
    /// In the second snapshot.
    pub after: SiteSide,
    /// Tasks followed by id; none for two processes.
    pub moves: Option<Moves>,
    /// What became of the tasks that were stale in the first; none for two processes.
    pub cohort: Option<Cohort>,
    /// Tasks that became stale between the snapshots, by the quarter of that time; none for two
    /// processes.
    pub rested: Option<[u64; 4]>,
    /// 99 of 100 ended tasks lived no longer; none before [`Options::min_ended`] of them ended.
    pub usual_lifetime_us: Option<u64>,
}

/// The live tasks of a site in one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteSide {
    /// Totals since start.
    pub totals: Totals,
    /// Live tasks.
    pub live: u64,
    /// Live tasks that are stale.
    pub stale: u64,
    /// Live tasks too young to be stale.
    pub young: u64,
    /// The longest rest of a stale task, microseconds.
    pub longest_stale_us: Option<u64>,
    /// Time since spawn of the live tasks, microseconds.
    pub age_us: Option<Spread>,
    /// Time since the last poll, or the spawn, of the live tasks, microseconds.
    pub idle_us: Option<Spread>,
}

/// Smallest, middle and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The median: of an even number of values the upper one.
    pub p50: u64,
    /// The largest.
    pub max: u64,
}

/// Live tasks followed by id from one snapshot to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Only in the second.
    pub born: u64,
    /// Only in the first.
    pub ended: u64,
    /// In both.
    pub survived: u64,
}

/// What the tasks that were stale in the first snapshot had done by the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// They ended.
    pub ended: u64,
    /// They were polled again.
    pub polled: u64,
    /// Nothing happened to them.
    pub untouched: u64,
}

impl Cohort {
    /// Tasks that were stale in the first snapshot.
    pub fn total(&self) -> u64 {
        self.ended + self.polled + self.untouched
    }

    /// Those of them that moved after all.
    pub fn moved(&self) -> u64 {
        self.ended + self.polled
    }
}

impl Spread {
    fn of(values: &mut [u64]) -> Option<Self> {
        let (min, max) = (*values.iter().min()?, *values.iter().max()?);
        let middle = values.len() / 2;
        let (_, &mut p50, _) = values.select_nth_unstable(middle);
        Some(Spread { min, p50, max })
    }
}

pub(super) fn diff(
    before: &Snapshot,
    after: &Snapshot,
    same_process: bool,
    join: &Join,
    window_us: u64,
    options: Options,
) -> TaskDiff {
    let rests: Vec<Rest> = join.sites.iter().map(|joined| Rest::new(joined, window_us, options)).collect();
    let before_sides = sides(before, &rests, |site| join.before.of(site));
    let after_sides = sides(after, &rests, |site| join.after.of(site));
    let followed = same_process.then(|| follow(before, after, join, &rests));
    let sites = (join.sites.iter().zip(rests).zip(before_sides.into_iter().zip(after_sides)).enumerate())
        .map(|(i, ((joined, rest), (before, after)))| SiteDiff {
            site: joined.site.clone(),
            future_bytes: joined.future_bytes,
            before: SiteSide { totals: joined.before, ..before },
            after: SiteSide { totals: joined.after, ..after },
            moves: followed.as_ref().map(|followed| followed[i].moves),
            cohort: followed.as_ref().map(|followed| followed[i].cohort),
            rested: followed.as_ref().map(|followed| followed[i].rested),
            usual_lifetime_us: rest.usual_us,
        })
        .collect();
    TaskDiff { sites }
}

/// How long a task of one site must rest to be stale.
struct Rest {
    factor: f64,
    usual_us: Option<u64>,
    /// The least rest, whatever the task's own rhythm is, microseconds.
    least_us: f64,
}

impl Rest {
    fn new(joined: &Joined, window_us: u64, options: Options) -> Self {
        let usual_us = joined.usual_lifetime_us(options.min_ended);
        let least_us = usual_us.map_or(window_us as f64, |usual| usual as f64 * options.stale_factor);
        Rest { factor: options.stale_factor, usual_us, least_us }
    }

    fn is_stale(&self, task: &TaskRow, idle_us: u64) -> bool {
        let own_us = mean_pause_us(task).unwrap_or(0.0) * self.factor;
        task.state != TaskState::Polling && idle_us as f64 >= self.least_us.max(own_us)
    }

    /// In which quarter between the snapshots the task became stale.
    fn quarter(&self, task: &TaskRow, from_us: u64, to_us: u64) -> usize {
        // Without a usual lifetime the least rest is as long as the window, which may reach back to
        // before the process was there.
        let from_us =
            if self.usual_us.is_none() { self.least_us.max(from_us as f64) } else { from_us as f64 };
        let stale_us = task.last_progress_us() as f64 + self.least_us;
        let share = (stale_us - from_us) / (to_us as f64 - from_us).abs().max(1.0);
        // Out of range are those whose own pauses are longer than the least rest.
        (share * 4.0).clamp(0.0, 3.0) as usize
    }

    fn is_young(&self, age_us: u64) -> bool {
        (age_us as f64) < self.least_us
    }
}

/// Mean time between the polls that a task had; none before the second.
fn mean_pause_us(task: &TaskRow) -> Option<f64> {
    let pauses = task.polls.checked_sub(1).filter(|&pauses| pauses > 0)?;
    Some(task.last_poll_us?.saturating_sub(task.spawned_us) as f64 / pauses as f64)
}

/// The live tasks of one snapshot, a [`SiteSide`] for each joined site.
fn sides(snapshot: &Snapshot, rests: &[Rest], place: impl Fn(SiteIndex) -> Option<usize>) -> Vec<SiteSide> {
    let now_us = snapshot.capture.to_us;
    let mut sides = vec![SiteSide::default(); rests.len()];
    let mut times = vec![(Vec::new(), Vec::new()); rests.len()];
    for task in snapshot.tasks.iter() {
        let Some(i) = place(task.site) else { continue };
        let age_us = now_us.saturating_sub(task.spawned_us);
        let idle_us = idle_us(&task, now_us);
        let side = &mut sides[i];
        side.live += 1;
        side.young += u64::from(rests[i].is_young(age_us));
        if rests[i].is_stale(&task, idle_us) {
            side.stale += 1;
            side.longest_stale_us = side.longest_stale_us.max(Some(idle_us));
        }
        times[i].0.push(age_us);
        times[i].1.push(idle_us);
    }
    for (side, (ages, idles)) in sides.iter_mut().zip(&mut times) {
        side.age_us = Spread::of(ages);
        side.idle_us = Spread::of(idles);
    }
    sides
}

fn idle_us(task: &TaskRow, now_us: u64) -> u64 {
    now_us.saturating_sub(task.last_progress_us())
}

/// What became of the tasks of a site.
#[derive(Clone, Copy, Default)]
struct Followed {
    moves: Moves,
    cohort: Cohort,
    rested: [u64; 4],
}

/// Follows the tasks of one process by id through two snapshots.
fn follow(before: &Snapshot, after: &Snapshot, join: &Join, rests: &[Rest]) -> Vec<Followed> {
    let (from_us, to_us) = (before.capture.to_us, after.capture.to_us);
    let mut followed = vec![Followed::default(); rests.len()];
    merge(
        &before.tasks,
        &after.tasks,
        |task| task.id.0,
        |was, is| {
            let place = match was {
                Some(task) => join.before.of(task.site),
                None => is.and_then(|task| join.after.of(task.site)),
            };
            let Some(i) = place else { return };
            let stale = |task: TaskRow, now_us| rests[i].is_stale(&task, idle_us(&task, now_us));
            let was_stale = was.is_some_and(|task| stale(task, from_us));
            let moved = was.map(|task| task.polls) != is.map(|task| task.polls);
            followed[i].count(was.is_some(), is.is_some(), was_stale, moved);
            if let Some(task) = is.filter(|&task| stale(task, to_us) && (moved || !was_stale)) {
                followed[i].rested[rests[i].quarter(&task, from_us, to_us)] += 1;
            }
        },
    );
    followed
}

impl Followed {
    fn count(&mut self, was: bool, is: bool, was_stale: bool, moved: bool) {
        let (moves, cohort) = (&mut self.moves, &mut self.cohort);
        let (move_, fate) = match (was, is) {
            (true, true) if moved => (&mut moves.survived, &mut cohort.polled),
            (true, true) => (&mut moves.survived, &mut cohort.untouched),
            (true, false) => (&mut moves.ended, &mut cohort.ended),
            (false, _) => (&mut moves.born, &mut cohort.ended),
        };
        *move_ += 1;
        *fate += u64::from(was_stale);
    }
}
