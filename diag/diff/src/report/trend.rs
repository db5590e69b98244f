//! A series as a table over its moments: tasks by spawn site, heap by function, and where resident memory was.
//!
//! Nothing is judged here. Text shows some of the moments and the rows that changed most; JSON has all.

use diag_analysis::human;
use diag_snapshot::Micros;
use serde::Serialize;

use super::log::{Source, SpanContext};
use super::text::{LISTED_SITES, grid, rest};
use crate::time::timestamp;
use crate::trend::Trend;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "diag.trend/1";

/// So many moments have a column in the text: the first, the last, and others at even distances.
const COLUMNS: usize = 8;

/// A series over time. Every list of numbers has one for each moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrendTable {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Name of the service.
    pub service: String,
    /// Snapshots of processes before this one, which are not in the table.
    pub of_earlier_processes: usize,
    /// When the snapshots were taken.
    pub moments: Vec<TrendMoment>,
    /// Tasks by spawn site, the largest change first.
    pub tasks: Vec<SiteOverTime>,
    /// The live heap by allocating function, the largest change first.
    pub heap: Vec<FunctionOverTime>,
    /// Where resident memory was.
    pub memory: Vec<PartOverTime>,
}

/// One snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrendMoment {
    /// When it was taken.
    pub taken: Option<jiff::Timestamp>,
    /// How long the process had been running.
    pub uptime_ns: u64,
}

/// The tasks of one spawn site.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SiteOverTime {
    /// Where they are spawned.
    pub location: String,
    /// Type of their future.
    pub name: String,
    /// Live tasks.
    pub live: Vec<u64>,
    /// Ended tasks that are still held.
    pub zombies: Vec<u64>,
    /// Tasks spawned since start.
    pub spawned: Vec<u64>,
    /// Tasks that ended since start.
    pub ended: Vec<u64>,
}

/// What one function allocated and nobody freed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FunctionOverTime {
    /// Where it allocates.
    pub location: String,
    /// The function.
    pub name: String,
    /// Estimates.
    pub live_bytes: Vec<u64>,
}

/// One part of resident memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartOverTime {
    /// What it is, for people.
    pub part: &'static str,
    /// Its size, where that is known.
    pub bytes: Vec<Option<i64>>,
}

impl TrendTable {
    /// The table of the members of one process.
    pub fn new(service: &str, trend: &Trend, of_earlier_processes: usize) -> Self {
        let moments = trend.moments.iter().map(|moment| TrendMoment {
            taken: timestamp(moment.taken_unix_us),
            uptime_ns: Micros(moment.uptime_us).as_nanos(),
        });
        TrendTable {
            schema: SCHEMA,
            service: service.to_owned(),
            of_earlier_processes,
            moments: moments.collect(),
            tasks: tasks(trend),
            heap: heap(trend),
            memory: memory(trend),
        }
    }

    /// The document, indented, with a line end.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string()) + "\n"
    }

    /// A record a moment, as logs have them.
    pub fn json_lines(&self, span: Option<&SpanContext>) -> String {
        let sum = |rows: &mut dyn Iterator<Item = &Vec<u64>>, moment: usize| -> u64 {
            rows.map(|row| row.get(moment).copied().unwrap_or(0)).sum()
        };
        let line = |(place, moment): (usize, &TrendMoment)| {
            let tasks = sum(&mut self.tasks.iter().map(|row| &row.live), place);
            let heap_bytes = sum(&mut self.heap.iter().map(|row| &row.live_bytes), place);
            let resident_bytes = self.memory.first().and_then(|row| *row.bytes.get(place)?);
            let message = format!("{}, heap {}", human::counted(tasks, "task"), human::bytes(heap_bytes));
            let more = serde_json::json!({
                "tasks": tasks,
                "heap_bytes": heap_bytes,
                "resident_bytes": resident_bytes,
            });
            let source = Source { timestamp: moment.taken, service: &self.service, span };
            let line = source.record("INFO", &message, more);
            format!("{line}\n")
        };
        self.moments.iter().enumerate().map(line).collect()
    }

    /// The table as text.
    pub fn text(&self) -> String {
        let shown = columns(self.moments.len());
        let mut out = self.head(shown.len());
        let times: Vec<String> = shown.iter().map(|&at| self.since_first(at)).collect();
        out += &section(
            "tasks, and those that ended and are held",
            &times,
            self.tasks
                .iter()
                .map(|row| (row.cells(&shown), format!("{}  {}", row.location, human::name(&row.name)))),
        );
        out += &section(
            "live heap (estimated)",
            &times,
            self.heap.iter().map(|row| {
                let cells = shown.iter().map(|&at| human::bytes(row.live_bytes[at]));
                (cells.collect(), format!("{}  {}", human::name(&row.name), row.location))
            }),
        );
        out += &section(
            "where resident memory is",
            &times,
            self.memory.iter().map(|row| {
                let size = |bytes: Option<i64>| {
                    bytes.map_or("-".to_owned(), |bytes| human::signed_bytes(bytes as f64))
                };
                (shown.iter().map(|&at| size(row.bytes[at])).collect(), row.part.to_owned())
            }),
        );
        out
    }

    fn head(&self, shown: usize) -> String {
        let taken = |moment: Option<&TrendMoment>| {
            let taken = moment.and_then(|moment| moment.taken);
            taken.map_or("an unknown time".to_owned(), |taken| format!("{taken:.0}"))
        };
        let (first, last) = (taken(self.moments.first()), taken(self.moments.last()));
        let count = human::counted(self.moments.len() as u64, "snapshot");
        let mut head = format!("{}: {count} from {first} to {last}\n", human::name(&self.service));
        if shown < self.moments.len() {
            head += &format!("{shown} of them are shown, all in --format json\n");
        }
        if self.of_earlier_processes > 0 {
            let before = human::counted(self.of_earlier_processes as u64, "snapshot");
            head += &format!("{before} of an earlier process left out: the service was started anew\n");
        }
        head
    }

    fn since_first(&self, at: usize) -> String {
        let uptime = |at: usize| self.moments.get(at).map_or(0, |moment| moment.uptime_ns);
        format!("+{}", human::duration(uptime(at).saturating_sub(uptime(0))))
    }
}

impl SiteOverTime {
    /// `120`, or `120 (4 held)`.
    fn cells(&self, shown: &[usize]) -> Vec<String> {
        let cell = |at: usize| match self.zombies[at] {
            0 => human::count(self.live[at]),
            held => format!("{} ({} held)", human::count(self.live[at]), human::count(held)),
        };
        shown.iter().map(|&at| cell(at)).collect()
    }
}

/// The places of the moments that are shown.
fn columns(moments: usize) -> Vec<usize> {
    let Some(last) = moments.checked_sub(1) else { return Vec::new() };
    let steps = last.clamp(1, COLUMNS - 1);
    let mut places: Vec<usize> = (0..=steps).map(|step| step * last / steps).collect();
    places.dedup();
    places
}

fn tasks(trend: &Trend) -> Vec<SiteOverTime> {
    let rows = trend.tasks.iter().map(|(site, tasks)| SiteOverTime {
        location: site.to_string(),
        name: site.type_name.clone(),
        live: tasks.live.clone(),
        zombies: tasks.zombies.clone(),
        spawned: tasks.spawned.clone(),
        ended: tasks.ended.clone(),
    });
    let mut rows: Vec<SiteOverTime> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(change(&row.live).saturating_add(change(&row.zombies))));
    rows
}

fn heap(trend: &Trend) -> Vec<FunctionOverTime> {
    let rows = trend.heap.iter().map(|(place, heap)| FunctionOverTime {
        location: place.location(),
        name: place.function.to_string(),
        live_bytes: heap.live_bytes.iter().map(|&bytes| bytes.max(0.0) as u64).collect(),
    });
    let mut rows: Vec<FunctionOverTime> = rows.collect();
    rows.sort_by(|a, b| {
        (change(&b.live_bytes).cmp(&change(&a.live_bytes))).then_with(|| a.location.cmp(&b.location))
    });
    rows
}

/// Parts that no moment knows are left out.
fn memory(trend: &Trend) -> Vec<PartOverTime> {
    let all: Vec<Option<Vec<_>>> =
        trend.moments.iter().map(|moment| moment.memory.as_ref().map(super::memory::rows)).collect();
    let Some(names) = all.iter().flatten().next() else { return Vec::new() };
    let row = |(place, &(part, _)): (usize, &(&'static str, Option<i64>))| PartOverTime {
        part,
        bytes: all.iter().map(|parts| parts.as_ref()?.get(place)?.1).collect(),
    };
    names.iter().enumerate().map(row).filter(|row| row.bytes.iter().any(Option::is_some)).collect()
}

/// How far the last is from the first.
fn change(numbers: &[u64]) -> u64 {
    numbers.first().zip(numbers.last()).map_or(0, |(first, last)| first.abs_diff(*last))
}

/// A title, the times, and rows of cells with a name at their end.
fn section(
    title: &str,
    times: &[String],
    rows: impl ExactSizeIterator<Item = (Vec<String>, String)>,
) -> String {
    let all = rows.len();
    if all == 0 {
        return String::new();
    }
    let head = std::iter::once((times.to_vec(), title.to_owned()));
    let named = head.chain(rows.take(LISTED_SITES)).map(|(mut cells, name)| {
        cells.push(name);
        cells
    });
    let lines = grid(&named.collect::<Vec<_>>());
    format!("\n{}\n{}", lines.join("\n"), rest(all, "row").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_moment_are_always_shown() {
        assert!(columns(0).is_empty());
        assert_eq!(columns(1), [0]);
        assert_eq!(columns(3), [0, 1, 2]);
        assert_eq!(columns(8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(columns(60), [0, 8, 16, 25, 33, 42, 50, 59]);
    }
}
