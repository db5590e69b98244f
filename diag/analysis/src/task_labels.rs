//! What the tasks are for that something is told of.

use std::collections::{BTreeMap, HashSet};

use diag_snapshot::{Snapshot, StringIndex, TaskId};

/// The labels of some tasks of a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskLabels {
    /// By task, and then as the snapshot has them: the innermost first.
    labels: BTreeMap<TaskId, Vec<(StringIndex, StringIndex)>>,
    /// The texts of these.
    texts: BTreeMap<StringIndex, String>,
}

/// What tasks are for: the values of their labels, by key.
pub type Labels = BTreeMap<String, LabelValues>;

/// Different values that the labels of one key have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelValues {
    /// A few of them, of the oldest tasks.
    pub named: Vec<String>,
    /// How many more there are.
    pub others: u64,
}

impl LabelValues {
    /// Counts one more value, and keeps it if there are few.
    pub fn add(&mut self, value: &str) {
        const NAMED: usize = 3;
        if self.named.len() < NAMED {
            self.named.push(value.to_owned());
        } else {
            self.others += 1;
        }
    }
}

impl TaskLabels {
    /// Adds those of `tasks`, which are live ones of `snapshot`. All that is added is of one snapshot.
    pub fn add(&mut self, snapshot: &Snapshot, tasks: impl IntoIterator<Item = TaskId>) {
        let tasks: HashSet<TaskId> =
            tasks.into_iter().filter(|task| !self.labels.contains_key(task)).collect();
        if tasks.is_empty() {
            return;
        }
        for label in snapshot.labels.iter().filter(|label| tasks.contains(&label.task)) {
            self.labels.entry(label.task).or_default().push((label.key, label.value));
            for text in [label.key, label.value] {
                self.texts.entry(text).or_insert_with(|| snapshot.strings.show(text).to_owned());
            }
        }
    }

    /// What these tasks are for, the oldest first.
    pub fn among(&self, tasks: impl IntoIterator<Item = TaskId>) -> Labels {
        let mut tasks: Vec<TaskId> = tasks.into_iter().collect();
        tasks.sort_unstable();
        tasks.dedup();
        let (mut known, mut among) = (HashSet::new(), Labels::new());
        for &(key, value) in tasks.iter().filter_map(|task| self.labels.get(task)).flatten() {
            if known.insert((key, value)) {
                among.entry(self.text(key)).or_default().add(&self.text(value));
            }
        }
        among
    }

    fn text(&self, id: StringIndex) -> String {
        self.texts.get(&id).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag_snapshot::LabelRow;

    #[test]
    fn values_are_those_of_the_tasks_that_are_asked_for_each_once() {
        let mut snapshot = Snapshot::default();
        let mut label = |task, key, value| {
            let [key, value] = [key, value].map(|text| snapshot.strings.intern(text));
            snapshot.labels.push(LabelRow { task: TaskId(task), key, value });
        };
        for task in 1..=6 {
            label(task, "device", ["a", "b", "c", "d", "e", "a"][task as usize - 1]);
        }
        label(6, "tenant", "t");
        let mut labels = TaskLabels::default();
        labels.add(&snapshot, []);
        assert_eq!(labels, TaskLabels::default());
        labels.add(&snapshot, [6, 5, 4, 3].map(TaskId));
        labels.add(&snapshot, [4, 1].map(TaskId));
        let all = labels.among([6, 5, 4, 3, 2, 1].map(TaskId));
        assert_eq!(all["device"].named, ["a", "c", "d"], "of 2 nothing was to be told");
        assert_eq!((all["device"].others, &all["tenant"].named[..]), (1, &["t".to_owned()][..]));
        assert_eq!(labels.among([2].map(TaskId)), Labels::new());
    }
}
