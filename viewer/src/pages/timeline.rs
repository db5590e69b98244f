//! Resident memory over real time, part upon part, as a picture whose ticks choose a pair of snapshots.
//!
//! The picture is made of numbers, ids and fixed words, so nothing in it needs escaping. Its words stand beside it.

use std::fmt::Write as _;

use diag_analysis::human;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 200.0;
/// Height of the strip below the picture in which the ticks are.
const TICKS: f64 = 16.0;
/// The limit is drawn if it is no more than so many times as much as there ever was.
const NEAR_LIMIT: f64 = 2.5;

/// One snapshot.
pub(super) struct Moment {
    pub(super) id: String,
    pub(super) taken_unix_us: u64,
    /// Parts of resident memory.
    pub(super) parts: Vec<(&'static str, u64)>,
    /// The first of its process.
    pub(super) starts_run: bool,
}

/// When something began.
pub(super) struct Mark {
    pub(super) at_us: u64,
    pub(super) says: String,
}

/// The limit, and in how long it is met, microseconds.
pub(super) struct Limit {
    pub(super) bytes: u64,
    pub(super) after_us: u64,
}

/// The picture and what stands around it.
pub(super) struct Timeline {
    moments: Vec<Moment>,
    pub(super) marks: Vec<Mark>,
    limit: Option<Limit>,
    /// Each part once, from the ground up.
    parts: Vec<&'static str>,
    most: f64,
    from_us: u64,
    to_us: u64,
}

impl Timeline {
    /// None of fewer than two moments of which memory is known.
    /// Parts have the colour of their place in `parts`, and those that are not in it come after.
    pub(super) fn new(
        mut parts: Vec<&'static str>,
        moments: Vec<Moment>,
        marks: Vec<Mark>,
        limit: Option<Limit>,
    ) -> Option<Self> {
        for (part, _) in moments.iter().flat_map(|moment| &moment.parts) {
            if !parts.contains(part) {
                parts.push(part);
            }
        }
        // Processes may have run side by side.
        let times = || moments.iter().map(|moment| moment.taken_unix_us);
        let (from_us, last_us) = (times().min()?, times().max()?);
        let is_known = moments.iter().any(|moment| !moment.parts.is_empty());
        if !is_known || last_us <= from_us {
            return None;
        }
        let whole = |moment: &Moment| moment.parts.iter().map(|&(_, bytes)| bytes as f64).sum::<f64>();
        let highest = moments.iter().map(whole).fold(1.0, f64::max);
        let limit = limit.filter(|limit| limit.bytes as f64 <= highest * NEAR_LIMIT);
        let most = limit.as_ref().map_or(highest, |limit| highest.max(limit.bytes as f64));
        // The time when the limit is met is in the picture if it is not farther away than the first snapshot.
        let met = limit.as_ref().map(|limit| limit.after_us).filter(|&after| after <= last_us - from_us);
        let to_us = last_us.saturating_add(met.unwrap_or(0));
        // What began before the first snapshot has no place here.
        let marks = marks.into_iter().filter(|mark| (from_us..=to_us).contains(&mark.at_us)).collect();
        Some(Timeline { moments, marks, limit, parts, most, from_us, to_us })
    }

    /// The parts that are anywhere, with the places of their colours.
    pub(super) fn shown_parts(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let is_shown = |part: &str| self.moments.iter().any(|moment| size_of(moment, part) > 0.0);
        self.parts.iter().copied().enumerate().filter(move |(_, part)| is_shown(part))
    }

    /// What the topmost line stands for.
    pub(super) fn top(&self) -> String {
        human::bytes(self.most as u64)
    }

    pub(super) fn middle(&self) -> String {
        human::bytes((self.most / 2.0) as u64)
    }

    /// Times at even distances, the ends among them.
    pub(super) fn times(&self) -> Vec<String> {
        (0..=4).map(|step| clock(self.from_us + (self.to_us - self.from_us) / 4 * step)).collect()
    }

    pub(super) fn limit(&self) -> Option<String> {
        self.limit.as_ref().map(|limit| human::bytes(limit.bytes))
    }

    pub(super) fn restarts(&self) -> u64 {
        self.moments.iter().skip(1).filter(|moment| moment.starts_run).count() as u64
    }

    /// The picture; with `from`, a tick chooses the other snapshot of a pair.
    pub(super) fn svg(&self, from: Option<&str>) -> String {
        let mut svg = format!(
            "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {:.0}\" preserveAspectRatio=\"none\" role=\"group\" aria-label=\"resident memory over time\">",
            HEIGHT + TICKS
        );
        for share in [0.0, 0.5, 1.0] {
            let _ = write!(svg, "<path class=\"ground\" d=\"M0 {:.1}H{WIDTH}\"/>", HEIGHT * share);
        }
        for run in self.runs() {
            self.draw_parts(run, &mut svg);
        }
        self.draw_marks(&mut svg);
        let every = WIDTH / self.moments.len().max(1) as f64;
        for moment in &self.moments {
            self.draw_tick(moment, from, every.clamp(4.0, 24.0), &mut svg);
        }
        svg + "</svg>"
    }

    /// The moments of each process: there is no memory between two.
    fn runs(&self) -> impl Iterator<Item = &[Moment]> {
        let mut rest = &self.moments[..];
        std::iter::from_fn(move || {
            let next = rest.iter().skip(1).position(|moment| moment.starts_run);
            let end = next.map_or(rest.len(), |next| next + 1);
            let (run, after) = rest.split_at(end);
            rest = after;
            Some(run).filter(|run| !run.is_empty())
        })
    }

    fn draw_parts(&self, run: &[Moment], svg: &mut String) {
        let mut ground = vec![0.0; run.len()];
        for (place, part) in self.parts.iter().enumerate() {
            let top: Vec<f64> =
                run.iter().zip(&ground).map(|(moment, ground)| ground + size_of(moment, part)).collect();
            let point = |(moment, bytes): (&Moment, &f64)| {
                format!("{:.1} {:.1}", self.x(moment.taken_unix_us), self.y(*bytes))
            };
            let over = run.iter().zip(&top).map(point);
            let under = run.iter().zip(&ground).rev().map(point);
            let line: Vec<String> = over.chain(under).collect();
            let _ = write!(svg, "<path class=\"part-{}\" d=\"M{}Z\"/>", place % 8, line.join("L"));
            ground = top;
        }
    }

    fn draw_marks(&self, svg: &mut String) {
        for mark in &self.marks {
            let _ = write!(svg, "<path class=\"onset\" d=\"M{:.1} 0V{HEIGHT}\"/>", self.x(mark.at_us));
        }
        for restart in self.moments.iter().skip(1).filter(|moment| moment.starts_run) {
            let x = self.x(restart.taken_unix_us);
            let _ = write!(svg, "<path class=\"restart\" d=\"M{x:.1} 0V{HEIGHT}\"/>");
        }
        let Some(limit) = &self.limit else { return };
        let y = self.y(limit.bytes as f64);
        let _ = write!(svg, "<path class=\"limit\" d=\"M0 {y:.1}H{WIDTH}\"/>");
        let Some(last) = self.moments.last().filter(|last| last.taken_unix_us < self.to_us) else { return };
        let now: f64 = last.parts.iter().map(|&(_, bytes)| bytes as f64).sum();
        let _ = write!(
            svg,
            "<path class=\"forecast\" d=\"M{:.1} {:.1}L{WIDTH} {y:.1}\"/>",
            self.x(last.taken_unix_us),
            self.y(now)
        );
    }

    /// Keyboards have the table of snapshots for this, so that the way down a page is not one tick after another.
    fn draw_tick(&self, moment: &Moment, from: Option<&str>, width: f64, svg: &mut String) {
        let (x, id, time) = (self.x(moment.taken_unix_us), &moment.id, clock(moment.taken_unix_us));
        let is_later = |from: &str| {
            let of_from = self.moments.iter().find(|other| other.id == from);
            of_from.is_none_or(|of_from| of_from.taken_unix_us <= moment.taken_unix_us)
        };
        let to = match from {
            Some(from) if from == id => "/".to_owned(),
            Some(from) if is_later(from) => format!("/d/{from}..{id}"),
            Some(from) => format!("/d/{id}..{from}"),
            None => format!("/?from={id}"),
        };
        let class = if from == Some(id) { "tick chosen" } else { "tick" };
        let (left, end) = ((x - width / 2.0).max(0.0), HEIGHT + TICKS);
        let _ = write!(
            svg,
            "<a href=\"{to}\" class=\"{class}\" tabindex=\"-1\" aria-label=\"snapshot of {time}\"><title>{time}</title><rect x=\"{left:.1}\" width=\"{width:.1}\" height=\"{end}\"/><path d=\"M{x:.1} {HEIGHT}V{end}\"/></a>"
        );
    }

    fn x(&self, at_us: u64) -> f64 {
        let width = (self.to_us - self.from_us).max(1) as f64;
        WIDTH * at_us.saturating_sub(self.from_us) as f64 / width
    }

    fn y(&self, bytes: f64) -> f64 {
        HEIGHT - HEIGHT * bytes / self.most
    }
}

impl Mark {
    pub(super) fn time(&self) -> String {
        clock(self.at_us)
    }
}

fn size_of(moment: &Moment, part: &str) -> f64 {
    moment.parts.iter().find(|(name, _)| *name == part).map_or(0.0, |&(_, bytes)| bytes as f64)
}

/// The time of day, as it stands in the stamp.
fn clock(unix_us: u64) -> String {
    let stamp = human::time(unix_us);
    stamp.get(11..19).map_or(stamp.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(id: &str, second: u64, heap: u64, starts_run: bool) -> Moment {
        let parts = vec![("heap", heap), ("other", 10)];
        Moment { id: id.to_owned(), taken_unix_us: second * 1_000_000, parts, starts_run }
    }

    fn timeline(limit: Option<Limit>) -> Timeline {
        let moments = vec![moment("a", 0, 10, true), moment("b", 10, 30, false), moment("c", 20, 90, true)];
        let marks =
            vec![Mark { at_us: 10_000_000, says: "x".into() }, Mark { at_us: 99_000_000, says: "y".into() }];
        Timeline::new(Vec::new(), moments, marks, limit).expect("two moments")
    }

    #[test]
    fn parts_lie_upon_each_other_over_real_time() {
        let timeline = timeline(None);
        let svg = timeline.svg(None);
        assert!(svg.contains("M0.0 180.0L500.0 140.0L500.0 200.0L0.0 200.0Z"), "{svg}");
        assert!(svg.contains("M0.0 160.0L500.0 120.0L500.0 140.0L0.0 180.0Z"), "{svg}");
        assert_eq!((timeline.top().as_str(), timeline.restarts(), timeline.marks.len()), ("100 B", 1, 1));
        assert_eq!(timeline.times()[..2], ["00:00:00", "00:00:05"]);
        assert!(svg.contains("class=\"restart\" d=\"M1000.0") && svg.contains("class=\"onset\" d=\"M500.0"));
    }

    #[test]
    fn two_ticks_choose_a_pair_in_the_order_of_time() {
        let timeline = timeline(None);
        assert!(timeline.svg(None).contains("href=\"/?from=b\""));
        let svg = timeline.svg(Some("b"));
        assert!(svg.contains("href=\"/d/a..b\"") && svg.contains("href=\"/d/b..c\""), "{svg}");
        assert!(svg.contains("href=\"/\" class=\"tick chosen\""), "{svg}");
    }

    #[test]
    fn a_near_limit_is_drawn_with_the_way_to_it() {
        let svg = timeline(Some(Limit { bytes: 200, after_us: 20_000_000 })).svg(None);
        assert!(svg.contains("class=\"limit\" d=\"M0 0.0H1000\""), "{svg}");
        assert!(svg.contains("class=\"forecast\" d=\"M500.0 100.0L1000 0.0\""), "{svg}");
        let far = timeline(Some(Limit { bytes: 2_000, after_us: 20_000_000 })).svg(None);
        assert!(!far.contains("limit") && !far.contains("forecast"), "{far}");
    }

    #[test]
    fn of_one_moment_there_is_none() {
        assert!(Timeline::new(Vec::new(), vec![moment("a", 1, 1, true)], Vec::new(), None).is_none());
        assert!(Timeline::new(Vec::new(), Vec::new(), Vec::new(), None).is_none());
    }
}
