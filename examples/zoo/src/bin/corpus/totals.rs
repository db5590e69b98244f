//! The figures of all runs together, and the bars that they are held against.

use std::fmt;

/// Faults of which what is wanted, or enough for today, must be said.
const RECALL: f64 = 0.90;
/// Found faults of which the line must be right.
const SITE: f64 = 0.95;
/// Found faults of which the cause must be named.
const CAUSE: f64 = 0.70;
/// Windows of healthy runs that must be clean.
const CLEAN: f64 = 0.95;

/// The figures of all runs together.
#[derive(Default)]
pub(crate) struct Totals {
    /// Runs that were not recorded.
    pub(crate) missing: usize,
    faults: usize,
    right: usize,
    enough: usize,
    found: usize,
    sites: usize,
    causes: usize,
    weaker: usize,
    healthy: usize,
    windows: usize,
    clean: usize,
    alarms: usize,
    alarmed: usize,
}

impl Totals {
    /// Adds a fault: whether all was said that is wanted, or enough; where it was found, whether its line is right; whether the
    /// cause is named; and whether a pair knew more than the series.
    pub(crate) fn fault(&mut self, right: bool, enough: bool, site: Option<bool>, cause: bool, weaker: bool) {
        self.faults += 1;
        self.right += usize::from(right);
        self.enough += usize::from(enough);
        self.found += usize::from(site.is_some());
        self.sites += usize::from(site == Some(true));
        self.causes += usize::from(cause);
        self.weaker += usize::from(weaker);
    }

    /// Adds a healthy run: its long windows, those of them that are clean, and its false alarms.
    pub(crate) fn healthy(&mut self, windows: usize, clean: usize, alarms: usize) {
        self.healthy += 1;
        self.windows += windows;
        self.clean += clean;
        self.alarms += alarms;
        self.alarmed += usize::from(alarms > 0);
    }

    /// True if no bar is missed.
    pub(crate) fn pass(&self) -> bool {
        let bars = [
            (self.enough, self.faults, RECALL),
            (self.sites, self.found, SITE),
            (self.causes, self.found, CAUSE),
            (self.clean, self.windows, CLEAN),
        ];
        self.missing == 0 && self.alarms == 0 && bars.iter().all(|&(of, all, bar)| share(of, all) >= bar)
    }
}

fn share(of: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, of: usize, all: usize, bar: f64| {
            writeln!(
                f,
                "{what:<34} {of:>4} of {all:<4} {:>5.1} % (bar {:.0} %)",
                share(of, all) * 100.0,
                bar * 100.0
            )
        };
        writeln!(
            f,
            "\n{} faults, {} healthy runs, {} not recorded",
            self.faults, self.healthy, self.missing
        )?;
        writeln!(f, "{:<34} {:>4} of {}", "faults found as wanted", self.right, self.faults)?;
        line(f, "as wanted, or enough for today", self.enough, self.faults, RECALL)?;
        line(f, "line right, of those found", self.sites, self.found, SITE)?;
        line(f, "cause named, of those found", self.causes, self.found, CAUSE)?;
        line(f, "healthy windows with exit 0", self.clean, self.windows, CLEAN)?;
        writeln!(f, "{:<34} {:>4} in {} runs (bar 0)", "false alarms", self.alarms, self.alarmed)?;
        writeln!(f, "{:<34} {:>4}", "series weaker than its best pair", self.weaker)?;
        writeln!(
            f,
            "{}",
            if self.pass() { "corpus: as good as it must be" } else { "corpus: not as good as it must be" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Totals {
        let mut totals = Totals::default();
        totals.fault(true, true, Some(true), true, false);
        totals.healthy(91, 91, 0);
        totals
    }

    #[test]
    fn every_bar_counts() {
        assert!(good().pass());
        assert!(!Totals::default().pass());
        let spoil: [fn(&mut Totals); 6] = [
            |t| t.missing = 1,
            |t| t.fault(false, false, None, false, false),
            |t| t.fault(true, true, Some(false), true, false),
            |t| t.fault(true, true, Some(true), false, false),
            |t| t.healthy(91, 40, 0),
            |t| t.healthy(91, 91, 1),
        ];
        for spoil in spoil {
            let mut totals = good();
            spoil(&mut totals);
            assert!(!totals.pass());
        }
    }

    #[test]
    fn what_is_enough_today_passes() {
        let mut totals = good();
        totals.fault(false, true, Some(true), true, true);
        assert!(totals.pass());
    }
}
