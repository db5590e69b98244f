//! Ended tasks whose memory is still held, by spawn site.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Span, number_of, place};
use crate::human::{bytes, count};
use diag_snapshot::{Outcome, SiteIndex, Snapshot, ZombieRow};

struct Group {
    tasks: u64,
    ended_us: Span,
    handles: u64,
    wakers: u64,
    cell_bytes: u64,
}

/// Empty if there is none.
pub(super) fn zombies(snapshot: &Snapshot) -> String {
    if snapshot.zombies.is_empty() {
        return String::new();
    }
    let mut groups: BTreeMap<(SiteIndex, Outcome), Group> = BTreeMap::new();
    for zombie in snapshot.zombies.iter() {
        let empty = || Group { tasks: 0, ended_us: Span::NONE, handles: 0, wakers: 0, cell_bytes: 0 };
        let group = groups.entry((zombie.site, zombie.outcome)).or_insert_with(empty);
        group.add(&zombie, snapshot.capture.to_us);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| Reverse(group.tasks));
    let text = |((site, outcome), group): &((SiteIndex, Outcome), Group)| {
        format!(
            "[x{} {} {} ago] {}\n    {}\n",
            count(group.tasks),
            outcome.as_str(),
            group.ended_us.show(),
            place(snapshot, *site),
            group.held()
        )
    };
    format!("ended, but memory is still held:\n{}", groups.iter().map(text).collect::<String>())
}

impl Group {
    fn add(&mut self, zombie: &ZombieRow, now_us: u64) {
        self.tasks += 1;
        self.ended_us.add(now_us.saturating_sub(zombie.ended_us));
        self.handles += u64::from(zombie.handles);
        self.wakers += u64::from(zombie.wakers);
        self.cell_bytes = self.cell_bytes.saturating_add(zombie.cell_bytes.unwrap_or(0));
    }

    fn held(&self) -> String {
        let by = [("handle", self.handles), ("waker", self.wakers)];
        let by: Vec<String> = by
            .iter()
            .filter(|(_, number)| *number > 0)
            .map(|(what, number)| number_of(what, *number))
            .collect();
        let by = if by.is_empty() { "nobody known".to_owned() } else { by.join(" and ") };
        match self.cell_bytes {
            0 => format!("held by {by}"),
            size => format!("held by {by}: {} at least", bytes(size)),
        }
    }
}
