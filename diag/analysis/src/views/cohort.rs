//! Live tasks that have one thing in common.

use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::{SiteRef, SpreadNs, StateCount};
use crate::await_points::BY_OTHERS;
use crate::cohorts::{AwaitIndex, Cohort, CohortKey, GroupBy};
use crate::task_index::STATES;
use crate::{Analysis, human};

/// So many await points and spawn sites of a cohort are named.
const NAMED: usize = 4;

/// Live tasks that have one thing in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CohortView {
    /// What that is, safe to print: a place, an await point, a state, a label.
    pub name: String,
    /// The spawn site, of themselves or of their parents, if that is what they have in common.
    pub site: Option<SiteRef>,
    /// The await point, if that is.
    pub await_point: Option<AwaitRef>,
    /// The key of the label, if that is.
    pub label_key: Option<String>,
    /// And its value.
    pub label_value: Option<String>,
    /// How many there are.
    pub tasks: u64,
    /// Of all live tasks, in percent.
    pub share_percent: f64,
    /// How many are in each state.
    pub states: Vec<StateCount>,
    /// Those that have been idle for far longer than tasks of their site usually live; none if that is not known.
    pub stale: Option<u64>,
    /// Time since their spawn.
    pub age_ns: Option<SpreadNs>,
    /// Time since their last poll, or their spawn.
    pub idle_ns: Option<SpreadNs>,
    /// How many are how old: bucket `b` is from 2^b to 2^(b+1) milliseconds, the first also holds everything shorter.
    pub ages: Vec<u64>,
    /// How many have been idle for how long, as before.
    pub idles: Vec<u64>,
    /// Polls of all of them; none if they are not known.
    pub polls: Option<u64>,
    /// The next two together.
    pub bytes: u64,
    /// Memory of the tasks themselves.
    pub cell_bytes: u64,
    /// Live heap that they allocated, without the tasks that they spawned; an estimate, none if the heap is not sampled.
    pub allocated_bytes: Option<u64>,
    /// Where most of them wait, as far as that is known.
    pub awaits: Vec<AwaitCount>,
    /// Await points that are not listed.
    pub unlisted_awaits: u64,
    /// Where most of them were spawned.
    pub sites: Vec<SiteCount>,
    /// Spawn sites that are not listed.
    pub unlisted_sites: u64,
}

/// An await point as others name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AwaitRef {
    /// The same in every snapshot: a hash of the text.
    pub id: String,
    /// What is waited for, and where: `oneshot at src/device.rs:67`.
    pub text: String,
}

/// How many tasks wait somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AwaitCount {
    /// Where.
    pub at: AwaitRef,
    /// How many.
    pub tasks: u64,
}

/// How many tasks were spawned somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SiteCount {
    /// Where.
    pub site: SiteRef,
    /// How many.
    pub tasks: u64,
}

impl AwaitRef {
    pub(crate) fn new(text: &str) -> Self {
        AwaitRef { id: AwaitRef::id_of(text), text: human::name(text) }
    }

    /// Returns the id of the await point that a task waits at, by what the lists of tasks say of it: FNV-1a, 64 bits.
    pub fn id_of(waiting_at: &str) -> String {
        let text = waiting_at.strip_suffix(BY_OTHERS).unwrap_or(waiting_at);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

impl Analysis {
    /// Returns what tasks of a cohort have in common, safe to print.
    pub fn cohort_name(&self, key: CohortKey) -> String {
        let snapshot = self.snapshot();
        let location = |site| human::name(&snapshot.site_location(site));
        match key {
            CohortKey::Site(site) | CohortKey::Parent(Some(site)) => location(site),
            CohortKey::Parent(None) => "outside of a tracked task".to_owned(),
            CohortKey::Await(Some(index)) => {
                human::name(self.common().await_point(index).unwrap_or_default())
            }
            CohortKey::Await(None) => "not known".to_owned(),
            CohortKey::State(state) => state.as_str().to_owned(),
            CohortKey::Label(key, value) => {
                let text = |index| human::name(snapshot.strings.show(index));
                format!("{} {}", text(key), text(value))
            }
        }
    }

    /// Returns the type that is spawned where these have their site, or their parents have it; empty of all others.
    pub fn cohort_type(&self, key: CohortKey) -> &str {
        match key {
            CohortKey::Site(site) | CohortKey::Parent(Some(site)) => self.snapshot().site_name(site),
            _ => "",
        }
    }

    /// Returns a cohort for people.
    pub fn cohort_view(&self, cohort: &Cohort) -> CohortView {
        let snapshot = self.snapshot();
        let site_ref = |site: SiteIndex| SiteRef::new(snapshot, site);
        let text = |index| snapshot.strings.show(index).to_owned();
        let label = match cohort.key {
            CohortKey::Label(key, value) => Some((key, value)),
            _ => None,
        };
        let allocated = snapshot.heap.is_some().then(|| cohort.allocated_bytes.round() as u64);
        let count = |&(site, tasks): &(SiteIndex, u64)| SiteCount { site: site_ref(site), tasks };
        CohortView {
            name: self.cohort_name(cohort.key),
            site: match cohort.key {
                CohortKey::Site(site) | CohortKey::Parent(Some(site)) => Some(site_ref(site)),
                _ => None,
            },
            await_point: match cohort.key {
                CohortKey::Await(Some(index)) => self.await_ref(index),
                _ => None,
            },
            label_key: label.map(|(key, _)| text(key)),
            label_value: label.map(|(_, value)| text(value)),
            tasks: cohort.tasks,
            share_percent: cohort.tasks as f64 / snapshot.tasks.len().max(1) as f64 * 100.0,
            states: (STATES.iter().zip(cohort.states))
                .map(|(state, tasks)| StateCount { state: state.as_str(), tasks })
                .collect(),
            stale: cohort.stale,
            age_ns: cohort.age_us.map(SpreadNs::from),
            idle_ns: cohort.idle_us.map(SpreadNs::from),
            ages: cohort.ages.clone(),
            idles: cohort.idles.clone(),
            polls: cohort.polls,
            bytes: cohort.cell_bytes.saturating_add(allocated.unwrap_or(0)),
            cell_bytes: cohort.cell_bytes,
            allocated_bytes: allocated,
            awaits: self.await_counts(cohort, NAMED),
            unlisted_awaits: cohort.awaits.len().saturating_sub(NAMED) as u64,
            sites: cohort.sites.iter().take(NAMED).map(count).collect(),
            unlisted_sites: cohort.sites.len().saturating_sub(NAMED) as u64,
        }
    }

    /// Returns how many tasks of a cohort wait where, so many await points at most.
    pub fn await_counts(&self, cohort: &Cohort, at_most: usize) -> Vec<AwaitCount> {
        let count =
            |&(index, tasks): &(AwaitIndex, u64)| Some(AwaitCount { at: self.await_ref(index)?, tasks });
        cohort.awaits.iter().take(at_most).filter_map(count).collect()
    }

    /// Returns the cohort of a spawn site, if the snapshot has it.
    pub fn site_cohort(&self, site: SiteIndex) -> Option<&Cohort> {
        self.cohorts(GroupBy::Site).iter().find(|cohort| cohort.key == CohortKey::Site(site))
    }

    /// Returns an await point as others name it.
    pub fn await_ref(&self, index: AwaitIndex) -> Option<AwaitRef> {
        self.common().await_point(index).map(AwaitRef::new)
    }
}

impl CohortView {
    /// Returns how many tasks are in which state, for people: `412 idle, 3 polling`.
    pub fn states_in_words(&self) -> String {
        let some = self.states.iter().filter(|state| state.tasks > 0);
        some.map(|state| format!("{} {}", human::count(state.tasks), state.state))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Returns true if those that are stale are worth a word.
    pub fn has_stale(&self) -> bool {
        self.stale.is_some_and(|stale| stale > 0)
    }
}
