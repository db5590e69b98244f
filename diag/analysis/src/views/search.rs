//! What of a snapshot has a text in its name.

use std::collections::{BTreeMap, BTreeSet};

use diag_snapshot::{SiteIndex, StringIndex, TaskId};
use serde::Serialize;

use super::{AwaitCount, SiteCount, SiteRef, TaskRef};
use crate::cohorts::{CohortKey, GroupBy};
use crate::{Analysis, human};

/// Longer texts are looked for by their beginning.
const MAX_TEXT: usize = 200;

/// What of a snapshot has a text in its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SearchView {
    /// Spawn sites by place and type, with their live tasks.
    pub sites: Vec<SiteCount>,
    /// Await points, with the tasks that wait there.
    pub awaits: Vec<AwaitCount>,
    /// Functions of call stacks, safe to print.
    pub functions: Vec<String>,
    /// Tasks by their number, tokio's id or their name.
    pub tasks: Vec<TaskRef>,
    /// Labels by their value, with the live tasks that have them.
    pub labels: Vec<LabelCount>,
    /// True if more of any was found than is listed.
    pub is_cut: bool,
}

/// How many live tasks have a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LabelCount {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// How many.
    pub tasks: u64,
}

impl SearchView {
    /// Returns true if nothing was found.
    pub fn is_empty(&self) -> bool {
        let SearchView { sites, awaits, functions, tasks, labels, .. } = self;
        sites.is_empty() && awaits.is_empty() && functions.is_empty() && tasks.is_empty() && labels.is_empty()
    }
}

impl Analysis {
    /// Returns what has a text in its name, so many of each kind at most; nothing has an empty one.
    pub fn search(&self, text: &str, at_most: usize) -> SearchView {
        let text: String = text.trim().chars().take(MAX_TEXT).collect();
        if text.is_empty() {
            return SearchView {
                sites: Vec::new(),
                awaits: Vec::new(),
                functions: Vec::new(),
                tasks: Vec::new(),
                labels: Vec::new(),
                is_cut: false,
            };
        }
        let mut sites = self.sites_named(&text, at_most + 1);
        let mut awaits = self.awaits_named(&text, at_most + 1);
        let mut functions = self.functions_named(&text, at_most + 1);
        let mut tasks = self.tasks_named(&text, at_most + 1);
        let mut labels = self.labels_named(&text, at_most + 1);
        let found = [sites.len(), awaits.len(), functions.len(), tasks.len(), labels.len()];
        let is_cut = found.into_iter().any(|found| found > at_most);
        sites.truncate(at_most);
        awaits.truncate(at_most);
        functions.truncate(at_most);
        tasks.truncate(at_most);
        labels.truncate(at_most);
        SearchView { sites, awaits, functions, tasks, labels, is_cut }
    }

    fn sites_named(&self, text: &str, at_most: usize) -> Vec<SiteCount> {
        let snapshot = self.snapshot();
        let tasks = self.tasks();
        let is_named = |site: &SiteIndex| {
            human::name(&snapshot.site_location(*site)).contains(text)
                || snapshot.site_name(*site).contains(text)
        };
        let sites = (0..snapshot.sites.len() as u32).map(SiteIndex).filter(is_named).take(at_most);
        let count = |site: SiteIndex| SiteCount {
            site: SiteRef::new(snapshot, site),
            tasks: tasks.site(site).map_or(0, |tasks| tasks.live),
        };
        sites.map(count).collect()
    }

    fn awaits_named(&self, text: &str, at_most: usize) -> Vec<AwaitCount> {
        let cohorts = self.cohorts(GroupBy::Await).iter();
        let found = cohorts.filter_map(|cohort| match cohort.key {
            CohortKey::Await(Some(index)) => {
                Some(AwaitCount { at: self.await_ref(index)?, tasks: cohort.tasks })
            }
            _ => None,
        });
        found.filter(|count| count.at.text.contains(text)).take(at_most).collect()
    }

    fn functions_named(&self, text: &str, at_most: usize) -> Vec<String> {
        let names = &self.snapshot().stacks.names;
        let strings = &self.snapshot().strings;
        let distinct: BTreeSet<StringIndex> = names.function().iter().collect();
        let shown = distinct.into_iter().map(|name| strings.show(name)).filter(|name| name.contains(text));
        shown.take(at_most).map(human::name).collect()
    }

    fn tasks_named(&self, text: &str, at_most: usize) -> Vec<TaskRef> {
        let tasks = &self.snapshot().tasks;
        let number: Option<u64> = text.trim_start_matches('#').parse().ok();
        let strings = self.strings_with(text);
        let rows = (0..).zip(tasks.tokio_id().iter().zip(tasks.name().iter()));
        let same = rows.filter(|(_, (tokio_id, name))| {
            (number.is_some() && *tokio_id == number) || name.is_some_and(|name| strings.contains(&name))
        });
        let by_id = number.and_then(|number| tasks.id().find(TaskId(number)));
        let rows: Vec<usize> = by_id.into_iter().chain(same.map(|(row, _)| row).take(at_most)).collect();
        let ids: BTreeSet<TaskId> = rows.into_iter().filter_map(|row| tasks.id().get(row)).collect();
        ids.into_iter().take(at_most).map(|id| self.task_ref(id, None)).collect()
    }

    fn labels_named(&self, text: &str, at_most: usize) -> Vec<LabelCount> {
        let snapshot = self.snapshot();
        if snapshot.labels.is_empty() {
            return Vec::new();
        }
        let strings = self.strings_with(text);
        let mut found: BTreeMap<(StringIndex, StringIndex), u64> = BTreeMap::new();
        for label in snapshot.labels.iter().filter(|label| strings.contains(&label.value)) {
            if found.len() < at_most || found.contains_key(&(label.key, label.value)) {
                *found.entry((label.key, label.value)).or_default() += 1;
            }
        }
        let text_of = |index| snapshot.strings.show(index).to_owned();
        let count = |((key, value), tasks)| LabelCount { key: text_of(key), value: text_of(value), tasks };
        found.into_iter().map(count).collect()
    }

    /// The strings that have the text in them: a million rows are compared by number.
    fn strings_with(&self, text: &str) -> BTreeSet<StringIndex> {
        let strings = (0..).map(StringIndex).zip(self.snapshot().strings.iter());
        strings.filter(|(_, string)| string.contains(text)).map(|(index, _)| index).collect()
    }
}
