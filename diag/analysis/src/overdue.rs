//! Values that live beyond the time by which the service has said that they are dropped.

use std::collections::BTreeMap;

use diag_snapshot::{Micros, ResourceKind, ResourceSiteIndex, Snapshot};

use crate::site::{Site, sites};
use crate::source_location::SourceLocation;

/// Those that one place has made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Overdue {
    /// What they are: the name of their type, as a rule.
    pub name: String,
    /// What kind of resource that is.
    pub kind: ResourceKind,
    /// Where they were made.
    pub place: SourceLocation,
    /// Where most of the tasks were spawned that make them, as far as that is known.
    pub opener: Option<Site>,
    /// How many of the place live, overdue or not.
    pub live: u64,
    /// Each that is overdue, the one that is so for longest at the head.
    pub values: Vec<OverdueValue>,
}

/// A value that is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverdueValue {
    /// It was to live for so long at most.
    pub within: Micros,
    /// And does for so much longer.
    pub beyond: Micros,
}

/// Returns those of all places.
pub(crate) fn overdue(snapshot: &Snapshot) -> Vec<Overdue> {
    let now_us = snapshot.capture.to_us;
    let mut places: BTreeMap<ResourceSiteIndex, (u64, Vec<OverdueValue>)> = BTreeMap::new();
    for row in snapshot.resources.iter() {
        let (live, values) = places.entry(row.site).or_default();
        *live += 1;
        if let Some(due_us) = row.due_us.filter(|&due_us| due_us < now_us) {
            let within = Micros(due_us.saturating_sub(row.opened_us));
            values.push(OverdueValue { within, beyond: Micros(now_us - due_us) });
        }
    }
    places.retain(|_, (_, values)| !values.is_empty());
    if places.is_empty() {
        return Vec::new();
    }
    let openers: Vec<Site> = sites(snapshot).collect();
    let text = |name| snapshot.strings.show(name);
    let of_place = |(index, (live, mut values)): (ResourceSiteIndex, (u64, Vec<OverdueValue>))| {
        let site = snapshot.resource_sites.get(index.0 as usize).unwrap_or_default();
        values.sort_by_key(|value| std::cmp::Reverse(value.beyond));
        Overdue {
            name: site.name.map_or("", text).to_owned(),
            kind: site.kind,
            place: SourceLocation {
                function: site.function.map_or("", text).trim_end_matches("::{{closure}}").into(),
                file: site.file.map(|file| text(file).into()),
                line: site.line,
            },
            opener: site.opener.and_then(|opener| openers.get(opener.0 as usize)).cloned(),
            live,
            values,
        }
    };
    places.into_iter().map(of_place).collect()
}
