//! The snapshots of one service as one story: what they say together, and how it went.

use std::sync::Arc;

use diag_analysis::human;
use diag_diff::Series;
use diag_diff::report::course::Course;
use diag_diff::report::trend::TrendTable;
use serde::{Serialize, Serializer};

use super::timeline::{Limit, Mark, Moment, Timeline};
use crate::library::{Absent, Judged, Library, Listing, Patience, Progress, Weight};
use crate::loaded::Summary;

/// So many of the sites and functions that grew most have a picture.
const PICTURED: usize = 6;

/// What is known of one service.
#[derive(Serialize)]
pub(super) struct Story {
    pub(super) service: String,
    /// Its snapshots, in the order of time.
    pub(super) snapshots: Vec<String>,
    pub(super) compared: Compared,
    #[serde(skip)]
    pub(super) members: Vec<Summary>,
}

/// What the snapshots of a service say together.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Compared {
    /// There are not two.
    One { only: String },
    /// They were judged.
    Judged {
        /// The first and the last that were looked at.
        before: String,
        after: String,
        headline: String,
        #[serde(flatten, serialize_with = "shared")]
        judged: Arc<Judged>,
    },
    /// They cannot be compared.
    Refused { error: String },
    /// They are being read or compared; who waits for the whole never gets this.
    Pending { says: String },
}

/// How the tasks of a site or the bytes of a function went.
pub(super) struct Grown<'a> {
    pub(super) location: &'a str,
    pub(super) name: &'a str,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) svg: String,
}

/// What is shared has no form of its own.
fn shared<S: Serializer>(judged: &Arc<Judged>, serializer: S) -> Result<S::Ok, S::Error> {
    judged.as_ref().serialize(serializer)
}

impl Story {
    /// How many snapshots there are.
    pub(super) fn count(&self) -> u64 {
        self.snapshots.len() as u64
    }

    /// A story of each service, that of the newest snapshot first.
    pub(super) async fn all(library: &Arc<Library>, listing: &Listing, patience: Patience) -> Vec<Story> {
        let snapshots = &listing.snapshots;
        let mut services = Series::by_service(snapshots.to_vec());
        services.sort_by_key(|series| {
            std::cmp::Reverse(series.members().last().map_or(0, |newest| newest.taken_unix_us))
        });
        let mut stories = Vec::new();
        for series in services {
            stories.push(Story::of(library, series.members().to_vec(), listing.reading, patience).await);
        }
        stories
    }

    async fn of(
        library: &Arc<Library>,
        members: Vec<Summary>,
        reading: Option<Progress>,
        patience: Patience,
    ) -> Story {
        let whole: Vec<Summary> = members.iter().filter(|member| member.lost.is_empty()).cloned().collect();
        let compared = match (&whole[..], &members[..]) {
            // Those that are read already would be judged for nothing.
            _ if reading.is_some() => Compared::Pending { says: reading.map_or(String::new(), words) },
            ([], _) | (_, []) => Compared::Refused {
                error: "no snapshot is whole: a damaged file is not compared, copy it again".to_owned(),
            },
            ([only], _) => Compared::One { only: only.id.clone() },
            ([.., after], _) => match library.judged(&whole, patience).await {
                Ok(None) => Compared::Pending {
                    says: format!("Comparing {}", human::counted(whole.len() as u64, "snapshot")),
                },
                Ok(Some(judged)) => Compared::Judged {
                    before: judged.first.clone(),
                    after: after.id.clone(),
                    headline: judged.report.headline(),
                    judged,
                },
                Err(Absent::NotFound(error) | Absent::Unusable(error)) => Compared::Refused { error },
            },
        };
        Story {
            service: members.first().map_or(String::new(), |member| member.service.clone()),
            snapshots: members.iter().map(|member| member.id.clone()).collect(),
            compared,
            members,
        }
    }

    /// True if it will say more in a while.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.compared, Compared::Pending { .. })
    }

    pub(super) fn judged(&self) -> Option<&Judged> {
        match &self.compared {
            Compared::Judged { judged, .. } => Some(judged),
            Compared::One { .. } | Compared::Refused { .. } | Compared::Pending { .. } => None,
        }
    }

    /// The first and the last that were looked at.
    pub(super) fn pair(&self) -> Option<(&str, &str)> {
        match &self.compared {
            Compared::Judged { before, after, .. } => Some((before, after)),
            Compared::One { .. } | Compared::Refused { .. } | Compared::Pending { .. } => None,
        }
    }

    /// What the tab says of it.
    pub(super) fn weight(&self) -> Option<Weight> {
        self.judged().map(|judged| match super::diff::tone(&judged.report) {
            "good" => Weight::Good,
            "alarm" => Weight::Alarm,
            _ => Weight::Doubt,
        })
    }

    /// Where resident memory was, if that is known of two moments.
    pub(super) fn timeline(&self) -> Option<Timeline> {
        let judged = self.judged()?;
        let moments = judged.moments().map(|(run, id, at)| Moment {
            id: id.to_owned(),
            taken_unix_us: self.taken(id),
            parts: parts(run, at),
            starts_run: at == 0,
        });
        let marks = judged.findings.iter().filter_map(|course| {
            Some(Mark {
                at_us: u64::try_from(course.since?.as_microsecond()).ok()?,
                says: course.location.clone(),
            })
        });
        let newest = judged.report.after.memory.iter();
        let order = newest.flat_map(|memory| memory.parts.iter().map(|&(part, _)| part));
        Timeline::new(order.collect(), moments.collect(), marks.collect(), judged.limit())
    }

    fn taken(&self, id: &str) -> u64 {
        self.members.iter().find(|member| member.id == id).map_or(0, |member| member.taken_unix_us)
    }

    /// When the snapshots of the newest process were taken, seconds.
    fn seconds(&self) -> Vec<f64> {
        let Some(judged) = self.judged() else { return Vec::new() };
        judged.newest_ids().iter().map(|id| self.taken(id) as f64 / 1e6).collect()
    }

    /// A small picture of a finding, with a line at its onset.
    pub(super) fn picture(&self, course: &Course) -> String {
        let seconds = self.seconds();
        let points = seconds.iter().zip(&course.values);
        let points: Vec<(f64, f64)> =
            points.filter_map(|(&at, value)| Some((at, (*value)? as f64))).collect();
        let onset = course.since.map(|since| since.as_microsecond() as f64 / 1e6);
        super::chart::sparkline(&points, span(&seconds), onset)
    }

    pub(super) fn sites(&self) -> Vec<Grown<'_>> {
        let rows = self.table().map_or(&[][..], |table| &table.tasks);
        self.grown(rows.iter().map(|row| (row.location.as_str(), row.name.as_str(), &row.live[..])))
    }

    pub(super) fn functions(&self) -> Vec<Grown<'_>> {
        let rows = self.table().map_or(&[][..], |table| &table.heap);
        self.grown(rows.iter().map(|row| (row.location.as_str(), row.name.as_str(), &row.live_bytes[..])))
    }

    fn table(&self) -> Option<&TrendTable> {
        self.judged()?.runs.last()
    }

    /// Those that grew, the most first. The first capture makes buffers of its own, so of three or more moments the
    /// second is where growth begins.
    fn grown<'a>(&self, rows: impl Iterator<Item = (&'a str, &'a str, &'a [u64])>) -> Vec<Grown<'a>> {
        let seconds = self.seconds();
        let mut grown: Vec<(u64, Grown<'a>)> = rows
            .filter_map(|(location, name, values)| {
                let begin = *values.get(usize::from(values.len() > 2))?;
                let (first, last) = (*values.first()?, *values.last()?);
                let more = last.checked_sub(begin).filter(|&more| more > 0)?;
                let points: Vec<(f64, f64)> =
                    seconds.iter().copied().zip(values.iter().map(|&value| value as f64)).collect();
                let svg = super::chart::sparkline(&points, span(&seconds), None);
                Some((more, Grown { location, name, first, last, svg }))
            })
            .collect();
        grown.sort_by_key(|(more, _)| std::cmp::Reverse(*more));
        grown.into_iter().take(PICTURED).map(|(_, grown)| grown).collect()
    }
}

impl Judged {
    /// Each moment of each process: its table, its id, and its place in the table.
    fn moments(&self) -> impl Iterator<Item = (&TrendTable, &str, usize)> {
        let runs = self.runs.iter().zip(&self.ids);
        runs.flat_map(|(run, ids)| ids.iter().enumerate().map(move |(at, id)| (run, id.as_str(), at)))
    }

    /// The snapshots of the newest process.
    pub(super) fn newest_ids(&self) -> &[String] {
        self.ids.last().map_or(&[], |ids| ids)
    }

    /// The newest snapshot after the first of its process, and after the one before it: in words, and both ids.
    pub(super) fn newest_pairs(&self) -> Vec<(&'static str, &str, &str)> {
        match self.newest_ids() {
            [] | [_] => Vec::new(),
            [first, last] => vec![("with start", first, last)],
            [first, .., before, last] => {
                vec![("with start", first, last), ("with the one before", before, last)]
            }
        }
    }

    /// The most memory that the process may have, as its findings say.
    fn limit(&self) -> Option<Limit> {
        self.report.memory_limit().map(|(bytes, after_us)| Limit { bytes, after_us })
    }
}

/// `Reading 3 of 50 files`.
pub(super) fn words(Progress { done, all }: Progress) -> String {
    format!("Reading {} of {}", human::count(done), human::counted(all, "file"))
}

fn span(seconds: &[f64]) -> (f64, f64) {
    let from = seconds.first().copied().unwrap_or(0.0);
    (from, seconds.last().copied().unwrap_or(from))
}

/// The parts of resident memory at a moment; none if they are not known there.
fn parts(run: &TrendTable, at: usize) -> Vec<(&'static str, u64)> {
    // The first row is the whole.
    let parts = run.memory.iter().skip(1);
    let size =
        |bytes: &Vec<Option<i64>>| u64::try_from(bytes.get(at).copied().flatten().unwrap_or(0)).unwrap_or(0);
    parts.map(|row| (row.part, size(&row.bytes))).collect()
}
