//! The figures of each spawn site: the first ones by themselves, all others as one.

use std::collections::HashMap;

use crate::Analysis;
use diag_snapshot::{SiteIndex, SiteRow, Snapshot, TaskState};

/// Spawn sites with figures of their own.
pub const MAX_SITES: usize = 512;

const OTHER: &str = "(other)";
/// Longer names are cut, and sites that are then alike are summed up.
const MAX_NAME_CHARS: usize = 200;

/// What a task may be doing, as the label `state` has it.
pub(crate) const STATES: [(&str, TaskState); 4] = [
    ("never_polled", TaskState::NeverPolled),
    ("idle", TaskState::Idle),
    ("polling", TaskState::Polling),
    ("woken", TaskState::Woken),
];
/// A count of a spawn site.
pub(crate) type CountOf = fn(&SiteRow) -> u64;
/// How a task may have ended, as the label `outcome` has it, and how many of a site did.
pub(crate) const OUTCOMES: [(&str, CountOf); 5] = [
    ("done", |site| site.done),
    ("cancelled", |site| site.cancelled),
    ("panicked", |site| site.panicked),
    ("never_polled", |site| site.never_polled),
    ("freed", |site| site.freed.unwrap_or(0)),
];

/// The figures of each spawn site, in the order in which sites were met: the same ones are told each time.
pub(crate) struct Sites {
    names: Vec<[String; 2]>,
    figures: Vec<Figures>,
    pub(crate) by_state: [u64; STATES.len()],
}

/// Sums of one site.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    pub(crate) alive: u64,
    pub(crate) spawned: u64,
    /// In the order of [`OUTCOMES`].
    pub(crate) ended: [u64; OUTCOMES.len()],
    pub(crate) polls: u64,
    pub(crate) busy_ns: u64,
    pub(crate) heap_bytes: f64,
    /// False if a library spawns there: then polls and heap are not known.
    is_recorded: bool,
}

impl Sites {
    /// Sums them up.
    pub(crate) fn of(analysis: &Analysis) -> Self {
        let snapshot = analysis.snapshot();
        let mut sites = Sites { names: Vec::new(), figures: Vec::new(), by_state: Default::default() };
        let mut known = HashMap::new();
        let mut row_of = Vec::with_capacity(snapshot.sites.len());
        for (i, site) in snapshot.sites.iter().enumerate() {
            let row = *known.entry(names(snapshot, i)).or_insert_with_key(|names| {
                sites.names.push(names.clone());
                sites.figures.push(Figures::default());
                sites.names.len() - 1
            });
            row_of.push(row);
            sites.figures[row].add(&site);
        }
        sites.add_tasks(snapshot, &row_of);
        for stack in &analysis.heap_stacks().in_use {
            if let Some(figures) = stack.task_site.and_then(|site| sites.figures_of(site, &row_of)) {
                figures.heap_bytes += stack.bytes;
            }
        }
        sites
    }

    fn add_tasks(&mut self, snapshot: &Snapshot, row_of: &[usize]) {
        for (task, busy) in snapshot.tasks.times().zip(snapshot.tasks.busy_ns().iter()) {
            if let Some(state) = STATES.iter().position(|(_, state)| *state == task.state) {
                self.by_state[state] += 1;
            }
            let Some(figures) = self.figures_of(task.site, row_of) else { continue };
            figures.alive += 1;
            figures.polls = figures.polls.saturating_add(task.polls);
            figures.busy_ns = figures.busy_ns.saturating_add(busy.0);
        }
    }

    /// The same of those whose polls and heap are known.
    pub(crate) fn each_recorded(&self, mut tell: impl FnMut(&[(&str, &str); 2], &Figures)) {
        self.each(|labels, figures| {
            if figures.is_recorded {
                tell(labels, figures);
            }
        });
    }

    fn figures_of(&mut self, site: SiteIndex, row_of: &[usize]) -> Option<&mut Figures> {
        self.figures.get_mut(*row_of.get(site.0 as usize)?)
    }

    /// Each site with its labels.
    pub(crate) fn each(&self, mut tell: impl FnMut(&[(&str, &str); 2], &Figures)) {
        for ([site, name], figures) in self.names.iter().zip(&self.figures) {
            tell(&[("site", site), ("name", name)], figures);
        }
    }
}

impl Figures {
    fn add(&mut self, site: &SiteRow) {
        self.is_recorded |= !site.is_of_library();
        self.spawned = self.spawned.saturating_add(site.spawned);
        self.polls = self.polls.saturating_add(site.polls);
        self.busy_ns = self.busy_ns.saturating_add(site.busy_ns);
        for (sum, (_, count)) in self.ended.iter_mut().zip(OUTCOMES) {
            *sum = sum.saturating_add(count(site));
        }
    }
}

/// SourceLocation and name of a site.
fn names(snapshot: &Snapshot, site: usize) -> [String; 2] {
    if site >= MAX_SITES {
        return [OTHER.to_owned(), OTHER.to_owned()];
    }
    let index = SiteIndex(site as u32);
    [snapshot.site_location(index), snapshot.site_name(index).chars().take(MAX_NAME_CHARS).collect()]
}
