//! Looks at how much memory is left, as often as it takes, and has a snapshot taken before there is none.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diag_snapshot::{Cause, Date};

use super::Last;
use super::aside::Aside;
use super::ending::Apart;
use super::room::{self, Growth, Reading, Rungs};
use super::trigger::Trigger;
use crate::sys;
use crate::sys::procfs::{self, GroupFiles, KeptFile, ResidentFile};

/// With nothing to look at.
const LONG: Duration = Duration::from_secs(60);
/// For what does not hurry.
const USUAL: Duration = Duration::from_millis(250);
const MINUTE_S: u64 = 60;
const DAY_S: u64 = 86_400;

/// A limit, and how near it is.
struct Limit {
    trigger: Trigger,
    rungs: Rungs,
    growth: Growth,
    aside: Aside,
}

pub(super) struct Watch {
    last: &'static Last,
    started: Instant,
    group: Option<(GroupFiles, Limit, Met)>,
    resident: Option<ResidentFile>,
    budget: Option<(u64, Limit)>,
    step: Option<Step>,
    pressure: Option<Pressure>,
    daily: Option<Daily>,
    /// Of whom there is a first snapshot of each day, and the day that has one.
    first: Option<Option<Date>>,
}

/// How often the group's limit was met.
struct Met {
    times: Option<u64>,
    apart: Apart,
}

struct Step {
    bytes: u64,
    from: Option<u64>,
    apart: Apart,
}

struct Pressure {
    file: KeptFile,
    most_ppm: u64,
    is_above: bool,
    apart: Apart,
}

struct Daily {
    /// Seconds of the day.
    at_s: u64,
    /// The day that had its snapshot, or began after that time.
    done: Date,
}

impl Limit {
    fn new(trigger: Trigger, aside: Aside) -> Self {
        Limit { trigger, rungs: Rungs::default(), growth: Growth::new(), aside }
    }
}

impl Watch {
    /// What of it can be looked at; the texts say what cannot, and why.
    pub(super) fn new(last: &'static Last) -> (Self, Vec<String>) {
        let mut watch = Watch {
            last,
            started: Instant::now(),
            group: None,
            resident: None,
            budget: None,
            step: None,
            pressure: None,
            daily: None,
            first: None,
        };
        let triggers = last.triggers.iter();
        let failed = triggers.filter_map(|&trigger| watch.add(trigger).err()).collect();
        (watch, failed)
    }

    fn add(&mut self, trigger: Trigger) -> Result<(), String> {
        if !trigger.is_possible() {
            return Err(format!("{trigger:?} cannot be"));
        }
        match trigger {
            Trigger::Limit => {
                let files = procfs::group_files().map_err(|error| format!("limit: {error}"))?;
                let now = files.now().ok_or_else(|| format!("limit: {} cannot be read", files.used.path))?;
                let aside = Aside::new(now.limit_bytes);
                let met = Met { times: files.met(), apart: Apart::new() };
                self.group = Some((files, Limit::new(trigger, aside), met));
            }
            Trigger::Budget(bytes) => {
                self.look_at_resident()?;
                self.budget = Some((bytes, Limit::new(trigger, Aside::none())));
            }
            Trigger::Step(bytes) => {
                self.look_at_resident()?;
                self.step = Some(Step { bytes, from: None, apart: Apart::new() });
            }
            Trigger::Pressure(percent) => {
                let file = procfs::memory_pressure().map_err(|error| format!("pressure: {error}"))?;
                procfs::pressure_ppm(&file).ok_or_else(|| format!("{} cannot be read", file.path))?;
                let most_ppm = u64::from(percent) * 10_000;
                self.pressure = Some(Pressure { file, most_ppm, is_above: false, apart: Apart::new() });
            }
            Trigger::Daily { hour, minute } => {
                self.daily =
                    Some(Daily::new((u64::from(hour) * 60 + u64::from(minute)) * MINUTE_S, unix_s()));
                return Ok(());
            }
            Trigger::Signal(_) | Trigger::Http | Trigger::Terminate | Trigger::Panic | Trigger::Exit => {
                return Ok(());
            }
        }
        self.first = Some(None);
        Ok(())
    }

    fn look_at_resident(&mut self) -> Result<(), String> {
        if self.resident.is_none() {
            let page_bytes = sys::page_bytes().unwrap_or(4_096);
            let opened = ResidentFile::open(page_bytes);
            let opened = opened.map_err(|error| format!("resident memory is not told: {error}"))?;
            opened.bytes().ok_or_else(|| format!("{} cannot be read", opened.file.path))?;
            self.resident = Some(opened);
        }
        Ok(())
    }

    /// Looks once, has taken whatever is due, and says for how long nothing has to be looked at.
    pub(super) fn read(&mut self) -> Duration {
        self.look_at_days();
        let pauses =
            [self.look_at_group(), self.look_at_budget(), self.look_at_step(), self.look_at_pressure()];
        let days = (self.daily.is_some() || self.first.is_some()).then_some(USUAL);
        pauses.into_iter().flatten().chain(days).min().unwrap_or(LONG)
    }

    fn look_at_group(&mut self) -> Option<Duration> {
        let (files, limit, met) = self.group.as_mut()?;
        let Some(now) = files.now() else { return Some(USUAL) };
        // What is set aside is ours to give, so the limit is as far from it as without.
        let used_bytes = now.used_bytes.saturating_sub(limit.aside.held_bytes());
        let reading = Reading { used_bytes, limit_bytes: now.limit_bytes };
        let pause = limit.read(self.last, self.started.elapsed(), reading, &files.used.path);
        let before = std::mem::replace(&mut met.times, files.met());
        let is_met = before.zip(met.times).is_some_and(|(before, now)| now > before);
        if is_met && reading.gap_bytes() < reading.limit_bytes / 2 && met.apart.may_take() {
            let source = files.events.as_ref().map(|file| file.path.clone()).unwrap_or_default();
            limit.keep(self.last, reading, source);
        }
        Some(pause)
    }

    fn look_at_budget(&mut self) -> Option<Duration> {
        let (limit_bytes, limit) = self.budget.as_mut()?;
        let resident = self.resident.as_ref()?;
        let Some(used_bytes) = resident.bytes() else { return Some(USUAL) };
        let reading = Reading { used_bytes, limit_bytes: *limit_bytes };
        Some(limit.read(self.last, self.started.elapsed(), reading, &resident.file.path))
    }

    fn look_at_step(&mut self) -> Option<Duration> {
        let step = self.step.as_mut()?;
        let resident = self.resident.as_ref()?;
        let Some(bytes) = resident.bytes() else { return Some(USUAL) };
        let from = *step.from.get_or_insert(bytes);
        if bytes.saturating_sub(from) >= step.bytes {
            step.from = Some(bytes);
            if step.apart.may_take() {
                let _ = self.last.keep(Trigger::Step(step.bytes), resident.file.path.clone());
            }
        }
        Some(USUAL)
    }

    fn look_at_pressure(&mut self) -> Option<Duration> {
        let pressure = self.pressure.as_mut()?;
        let Some(ppm) = procfs::pressure_ppm(&pressure.file) else { return Some(USUAL) };
        let was_above = pressure.is_above;
        // Half of it has to be over before it counts anew.
        pressure.is_above = ppm >= pressure.most_ppm || was_above && ppm >= pressure.most_ppm / 2;
        if pressure.is_above && !was_above && pressure.apart.may_take() {
            let percent = (pressure.most_ppm / 10_000) as u8;
            let _ = self.last.keep(Trigger::Pressure(percent), pressure.file.path.clone());
        }
        Some(USUAL)
    }

    fn look_at_days(&mut self) {
        let now_s = unix_s();
        if let Some(daily) = self.daily.as_mut().filter(|daily| daily.is_due(now_s)) {
            let cause = self.last.cause(Trigger::Daily { hour: 0, minute: 0 }, "the clock".to_owned());
            daily.done = Date::at(now_s);
            self.last.keep_day(cause, daily.done);
        }
        let today = Date::at(now_s);
        if let Some(first) = self.first.as_mut().filter(|first| **first != Some(today)) {
            *first = Some(today);
            if !self.last.has_day(today) {
                self.last.keep_first(today);
            }
        }
    }
}

impl Limit {
    fn read(&mut self, last: &'static Last, now: Duration, reading: Reading, source: &str) -> Duration {
        self.growth.add(now, reading.used_bytes);
        if self.rungs.reach(reading) {
            self.keep(last, reading, source.to_owned());
        } else {
            self.aside.hold(reading.gap_bytes());
        }
        room::pause(reading, self.growth.limit_in(reading))
    }

    fn keep(&mut self, last: &'static Last, reading: Reading, source: String) {
        self.aside.release();
        let limit_in = self.growth.limit_in(reading);
        let cause = Cause {
            used_bytes: Some(reading.used_bytes),
            limit_bytes: Some(reading.limit_bytes),
            gap_bytes: Some(reading.gap_bytes()),
            bytes_per_second: self.growth.bytes_per_second(),
            limit_in_ms: limit_in.and_then(|time| u64::try_from(time.as_millis()).ok()),
            ..last.cause(self.trigger, source)
        };
        let _ = last.keep_for(cause, self.trigger);
    }
}

impl Daily {
    /// A process that starts after the time waits for the next day.
    fn new(at_s: u64, now_s: u64) -> Self {
        let is_over = now_s % DAY_S >= at_s;
        Daily { at_s, done: Date::at(if is_over { now_s } else { now_s.saturating_sub(DAY_S) }) }
    }

    fn is_due(&self, now_s: u64) -> bool {
        now_s % DAY_S >= self.at_s && Date::at(now_s) > self.done
    }
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_day_is_once_a_day() {
        let hour = 3_600;
        let noon = 20_000 * DAY_S + 12 * hour;
        let daily = Daily::new(3 * hour, noon);
        assert!(!daily.is_due(noon) && !daily.is_due(noon + 14 * hour), "3 h have passed when it starts");
        assert!(daily.is_due(noon + 15 * hour));
        let done = Daily { done: Date::at(noon + 15 * hour), ..daily };
        assert!(!done.is_due(noon + 16 * hour) && done.is_due(noon + 39 * hour));
        assert!(!done.is_due(noon), "the clock was put back");
        assert!(Daily::new(13 * hour, noon).is_due(noon + hour));
    }
}
