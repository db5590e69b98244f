//! Tasks by spawn site: who came, went and stayed, and who of them is stale.
//!
//! A task is *stale* in a snapshot when it is not being polled and has rested for at least
//! [`Options::stale_factor`] times the longer of two spans: the usual lifetime of its site, and the
//! mean pause between its own polls. The second lets a connection with a ping a minute be what it
//! is, at a site whose tasks usually live a second. Where nothing ended yet there is no usual
//! lifetime, and the task must have rested for a whole window instead.
//!
//! One pass over each snapshot and one over both, which are sorted by id. What a stale task waits for
//! is told where that is known, and decides nothing here.

use std::collections::{BTreeMap, HashSet};

use diag_analysis::Analysis;
use diag_analysis::await_point::Direction;
use diag_analysis::task_labels::Labels;
use diag_snapshot::{Micros, SiteIndex, SiteKind, Snapshot, TaskId, TaskState, TaskTimes};

use super::Options;
use super::sites::{Join, Joined};
use super::{Lifetimes, Site, Totals};
use crate::merge::merge;

/// Tasks of two snapshots.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskDiff {
    /// Every site of either snapshot, ascending.
    pub sites: Vec<SiteDiff>,
}

impl TaskDiff {
    /// Returns what both snapshots say of a site; none if neither has it.
    pub fn site(&self, site: &Site) -> Option<&SiteDiff> {
        self.sites.iter().find(|known| known.site == *site)
    }
}

/// One spawn site in two snapshots.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SiteDiff {
    /// Which site; as the second snapshot has it, if both have it.
    pub site: Site,
    /// What is made there.
    pub kind: SiteKind,
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
    /// What became of the tasks that had outlived their peers in the first; none for two processes.
    pub outlived: Option<Older>,
    /// Ended tasks that are still held, followed by id; none for two processes.
    pub zombies: Option<Moves>,
    /// How long those lived that ended before the first, and those that ended since; none for two processes.
    pub lifetimes: Option<[Lifetimes; 2]>,
    /// 99 of 100 ended tasks lived no longer; none before [`Options::min_ended`] of them ended.
    pub usual_lifetime_us: Option<u64>,
}

/// The live tasks of a site in one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SiteSide {
    /// Totals since start.
    pub totals: Totals,
    /// Live tasks.
    pub live: u64,
    /// Live tasks that are stale.
    pub stale: u64,
    /// Live tasks too young to be stale.
    pub young: u64,
    /// Stale tasks by when they came to rest: by eighths of the time since the first of them, which
    /// is at least a window long.
    pub rested: [u64; 8],
    /// The longest rest of a stale task, microseconds.
    pub longest_stale_us: Option<u64>,
    /// What those of the stale tasks that were asked wait for, and how many of them:
    /// `mpsc recv at src/orders.rs:131`.
    pub stale_waits: BTreeMap<String, u64>,
    /// What these waits need of others, as far as that is one thing.
    pub stale_needs: BTreeMap<String, Direction>,
    /// What those of the live tasks that have outlived their peers wait for, as far as it is known, and how many of them.
    pub outlived_waits: BTreeMap<String, u64>,
    /// What the live tasks are for.
    pub live_labels: Labels,
    /// What the stale tasks are for.
    pub stale_labels: Labels,
    /// What those of the live tasks are for that have outlived their peers.
    pub outlived_labels: Labels,
    /// When those of the live tasks were spawned that have outlived their peers.
    pub births: Births,
    /// Time since spawn of the live tasks, microseconds.
    pub age_us: Option<Spread>,
    /// Time since the last poll, or the spawn, of the live tasks, microseconds.
    pub idle_us: Option<Spread>,
}

/// Tasks older than [`Options::stale_factor`] usual lifetimes of their site, whether idle or not; where nothing
/// ended yet, all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Older {
    /// In the first snapshot.
    pub before: u64,
    /// Those of them that had ended by the second.
    pub ended: u64,
}

/// When tasks were spawned, in the order of their spawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Births {
    /// How many there are.
    pub count: u64,
    /// By eighths of the time from the first of them to the last moment at which one could be counted.
    pub eighths: [u64; 8],
    /// The first of them so long ago, microseconds.
    pub oldest_us: u64,
    /// The last of them so long before the last moment at which one could be counted, microseconds.
    pub quiet_us: u64,
    /// The longest time between two of them, microseconds.
    pub longest_gap_us: u64,
}

impl Births {
    /// Looks at ages that descend, of tasks that are counted from `least_us` on.
    pub(super) fn of(ages_us: &[u64], least_us: u64) -> Self {
        let (Some(&oldest_us), Some(&youngest_us)) = (ages_us.iter().max(), ages_us.iter().min()) else {
            return Births::default();
        };
        let range_us = oldest_us.saturating_sub(least_us).max(1);
        let mut eighths = [0; 8];
        for age_us in ages_us {
            let before_last = u128::from(age_us.saturating_sub(least_us)) * 8 / u128::from(range_us);
            eighths[7 - before_last.min(7) as usize] += 1;
        }
        let gaps = ages_us.windows(2).map(|pair| pair[0].saturating_sub(pair[1]));
        Births {
            count: ages_us.len() as u64,
            eighths,
            oldest_us,
            quiet_us: youngest_us.saturating_sub(least_us),
            longest_gap_us: gaps.max().unwrap_or(0),
        }
    }
}

/// Smallest, middle and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    before: &Analysis,
    after: &Analysis,
    same_process: bool,
    join: &Join,
    window_us: u64,
    options: Options,
) -> TaskDiff {
    let rests: Vec<Rest> = join.sites.iter().map(|joined| Rest::new(joined, window_us, options)).collect();
    let before_sides = sides(before, &rests, window_us, |site| join.before.of(site));
    let after_sides = sides(after, &rests, window_us, |site| join.after.of(site));
    let followed = same_process.then(|| follow(before.snapshot(), after.snapshot(), join, &rests));
    let zombies = same_process.then(|| zombies(before.snapshot(), after.snapshot(), join));
    let sites = (join.sites.iter().zip(rests).zip(before_sides.into_iter().zip(after_sides)).enumerate())
        .map(|(i, ((joined, rest), (before, after)))| SiteDiff {
            site: joined.site.clone(),
            kind: joined.kind,
            future_bytes: joined.future_bytes,
            before: SiteSide { totals: joined.before, ..before },
            after: SiteSide { totals: joined.after, ..after },
            moves: followed.as_ref().map(|followed| followed[i].0),
            cohort: followed.as_ref().map(|followed| followed[i].1),
            outlived: followed.as_ref().map(|followed| followed[i].2),
            zombies: zombies.as_ref().map(|zombies| zombies[i]),
            lifetimes: same_process.then(|| {
                let [before, after] = &joined.ended;
                [before.clone(), after.since(before)]
            }),
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

    /// For how long the task has rested, if it is stale. One whose polls are not known never is.
    fn stale_us(&self, task: &TaskTimes, now_us: u64) -> Option<u64> {
        let own_us = mean_pause_us(task).unwrap_or(0.0) * self.factor;
        let is_stale = |&idle_us: &u64| idle_us as f64 >= self.least_us.max(own_us);
        idle_us(task, now_us).filter(is_stale).filter(|_| task.state != TaskState::Polling)
    }

    /// How many of the tasks that have rested for so long came to rest in each eighth of the time
    /// from the first of them, and at least of a window, to the last moment that makes stale.
    fn eighths(&self, idles_us: &[u64], window_us: u64, now_us: u64) -> [u64; 8] {
        let longest = idles_us.iter().copied().max().unwrap_or(0) as f64;
        // Without a usual lifetime that moment is a window ago, and there may be less before it.
        let lived_us = if self.usual_us.is_none() { now_us as f64 - self.least_us } else { f64::INFINITY };
        let least_range_us = lived_us.min(window_us as f64);
        let range_us = (longest - self.least_us).max(least_range_us).max(1.0);
        let mut eighths = [0; 8];
        for &idle_us in idles_us {
            let before_last = (idle_us as f64 - self.least_us) / range_us;
            eighths[7 - (before_last * 8.0).clamp(0.0, 7.0) as usize] += 1;
        }
        eighths
    }

    /// From this age on a task has outlived its peers, microseconds.
    fn outlived_us(&self) -> u64 {
        self.usual_us.map_or(0, |usual| (usual as f64 * self.factor) as u64)
    }

    fn is_young(&self, age_us: u64) -> bool {
        (age_us as f64) < self.least_us
    }
}

/// Mean time between the polls that a task had; none before the second.
pub(super) fn mean_pause_us(task: &TaskTimes) -> Option<f64> {
    let pauses = task.polls.checked_sub(1).filter(|&pauses| pauses > 0)?;
    Some((task.last_poll? - task.spawned).0 as f64 / pauses as f64)
}

/// The live tasks of one snapshot, a [`SiteSide`] for each joined site.
fn sides(
    analysis: &Analysis,
    rests: &[Rest],
    window_us: u64,
    place: impl Fn(SiteIndex) -> Option<usize>,
) -> Vec<SiteSide> {
    let snapshot = analysis.snapshot();
    let now_us = snapshot.capture.to_us;
    let mut times = vec![Times::default(); rests.len()];
    for task in snapshot.tasks.times() {
        let Some(i) = place(task.site) else { continue };
        times[i].ages_us.push((Micros(now_us) - task.spawned).0);
        times[i].idles_us.extend(idle_us(&task, now_us));
        times[i].stale_idles_us.extend(rests[i].stale_us(&task, now_us));
    }
    let sides = times.into_iter().zip(rests).map(|(times, rest)| times.side(rest, window_us, now_us));
    let mut sides: Vec<SiteSide> = sides.collect();
    let parked = analysis.await_points();
    for (task, waits) in parked.answers() {
        let Some(task) = snapshot.task(task).map(|task| task.times()) else { continue };
        let Some(i) = place(task.site) else { continue };
        if rests[i].stale_us(&task, now_us).is_some() {
            *sides[i].stale_waits.entry(waits.to_owned()).or_default() += 1;
            sides[i]
                .stale_needs
                .extend(parked.direction(waits).map(|direction| (waits.to_owned(), direction)));
        }
        if (Micros(now_us) - task.spawned).0 >= rests[i].outlived_us() {
            *sides[i].outlived_waits.entry(waits.to_owned()).or_default() += 1;
        }
    }
    add_labels(snapshot, rests, place, &mut sides);
    sides
}

/// The oldest tasks come first, by their ids, and their values are those that are named.
fn add_labels(
    snapshot: &Snapshot,
    rests: &[Rest],
    place: impl Fn(SiteIndex) -> Option<usize>,
    sides: &mut [SiteSide],
) {
    let now_us = snapshot.capture.to_us;
    let mut values = HashSet::new();
    for label in snapshot.labels.iter() {
        let Some(task) = snapshot.task(label.task).map(|task| task.times()) else { continue };
        let Some(i) = place(task.site) else { continue };
        let mut add = |among: u8, labels: &mut Labels| {
            if values.insert((i, among, label.key, label.value)) {
                let known = labels.entry(snapshot.strings.show(label.key).to_owned()).or_default();
                known.add(snapshot.strings.show(label.value));
            }
        };
        add(0, &mut sides[i].live_labels);
        if rests[i].stale_us(&task, now_us).is_some() {
            add(1, &mut sides[i].stale_labels);
        }
        if (Micros(now_us) - task.spawned).0 >= rests[i].outlived_us() {
            add(2, &mut sides[i].outlived_labels);
        }
    }
}

/// The live tasks of one site.
#[derive(Clone, Default)]
struct Times {
    ages_us: Vec<u64>,
    idles_us: Vec<u64>,
    stale_idles_us: Vec<u64>,
}

impl Times {
    /// The tasks come by their ids, which ascend about as their spawns do.
    fn births(&self, least_us: u64) -> Births {
        let outlived: Vec<u64> = self.ages_us.iter().copied().filter(|&age_us| age_us >= least_us).collect();
        Births::of(&outlived, least_us)
    }

    fn side(mut self, rest: &Rest, window_us: u64, now_us: u64) -> SiteSide {
        SiteSide {
            totals: Totals::default(),
            live: self.ages_us.len() as u64,
            stale: self.stale_idles_us.len() as u64,
            young: self.ages_us.iter().filter(|&&age_us| rest.is_young(age_us)).count() as u64,
            births: self.births(rest.outlived_us()),
            rested: rest.eighths(&self.stale_idles_us, window_us, now_us),
            longest_stale_us: self.stale_idles_us.iter().copied().max(),
            stale_waits: BTreeMap::new(),
            stale_needs: BTreeMap::new(),
            outlived_waits: BTreeMap::new(),
            live_labels: Labels::new(),
            stale_labels: Labels::new(),
            outlived_labels: Labels::new(),
            age_us: Spread::of(&mut self.ages_us),
            idle_us: Spread::of(&mut self.idles_us),
        }
    }
}

fn idle_us(task: &TaskTimes, now_us: u64) -> Option<u64> {
    task.last_progress().map(|at| (Micros(now_us) - at).0)
}

/// Follows the ended tasks that are held.
fn zombies(before: &Snapshot, after: &Snapshot, join: &Join) -> Vec<Moves> {
    let mut zombies = vec![Moves::default(); join.sites.len()];
    let was: HashSet<TaskId> = before.zombies.iter().map(|zombie| zombie.id).collect();
    let is: HashSet<TaskId> = after.zombies.iter().map(|zombie| zombie.id).collect();
    for zombie in before.zombies.iter().filter(|zombie| !is.contains(&zombie.id)) {
        join.before.of(zombie.site).into_iter().for_each(|place| zombies[place].ended += 1);
    }
    for zombie in after.zombies.iter() {
        let Some(place) = join.after.of(zombie.site) else { continue };
        let moves = &mut zombies[place];
        *if was.contains(&zombie.id) { &mut moves.survived } else { &mut moves.born } += 1;
    }
    zombies
}

/// Follows the tasks of one process by id through two snapshots.
fn follow(before: &Snapshot, after: &Snapshot, join: &Join, rests: &[Rest]) -> Vec<(Moves, Cohort, Older)> {
    let mut followed = vec![(Moves::default(), Cohort::default(), Older::default()); rests.len()];
    merge(
        before.tasks.times(),
        after.tasks.times(),
        |task| task.id.0,
        |was, is| {
            let place = match was {
                Some(task) => join.before.of(task.site),
                None => is.and_then(|task| join.after.of(task.site)),
            };
            let Some(i) = place else { return };
            let (moves, cohort, outlived) = &mut followed[i];
            let Some(was) = was else {
                moves.born += 1;
                return;
            };
            let stale = u64::from(rests[i].stale_us(&was, before.capture.to_us).is_some());
            let (way, fate) = match is {
                None => (&mut moves.ended, &mut cohort.ended),
                Some(is) if is.polls != was.polls => (&mut moves.survived, &mut cohort.polled),
                Some(_) => (&mut moves.survived, &mut cohort.untouched),
            };
            *way += 1;
            *fate += stale;
            let age_us = (Micros(before.capture.to_us) - was.spawned).0;
            let is_outlived = u64::from(age_us >= rests[i].outlived_us());
            outlived.before += is_outlived;
            outlived.ended += if is.is_none() { is_outlived } else { 0 };
        },
    );
    followed
}
