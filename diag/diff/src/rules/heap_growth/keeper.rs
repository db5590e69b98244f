//! What keeps the blocks of a function that grows, where a sweep of the memory shows it.

use diag_analysis::holders::retainers::Retainers;
use diag_analysis::source_location::SourceLocation;

use crate::diff::Conditions;
use crate::rules::advice::Advice;
use crate::rules::evidence::Evidence;
use crate::rules::holder::Holder;

/// So many blocks have to be kept by one path, of the few that were asked.
const MIN_SAMPLES: u64 = 3;

/// The path by which most of the sampled blocks are kept.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    path: Vec<String>,
    samples: u64,
    of: u64,
    is_cycle: bool,
}

impl Keeper {
    /// None if the sweep has not asked, or if no path is that of half of the blocks: words that are left over lead anywhere.
    pub(super) fn of(now: &Conditions, place: &SourceLocation) -> Option<Self> {
        let retainers: &Retainers = now.holding.retained.get(place)?;
        let (path, samples) = retainers.main_path()?;
        let keeper = Keeper {
            is_cycle: path.iter().any(|step| step.kind == "cycle"),
            path: path.iter().map(|step| step.name.clone()).collect(),
            samples,
            of: retainers.samples,
        };
        (samples >= MIN_SAMPLES && samples * 2 >= retainers.samples).then_some(keeper)
    }

    pub(super) fn evidence(&self) -> Evidence {
        let Keeper { path, samples, of, .. } = self;
        Evidence::KeptBy { path: path.clone(), samples: *samples, of: *of }
    }

    pub(super) fn holder(&self) -> Holder {
        let Keeper { path, samples, of, .. } = self;
        Holder::Retainer { path: path.clone(), samples: *samples, of: *of }
    }

    pub(super) fn advice(&self) -> Advice {
        match self.path.first() {
            Some(keeper) if !self.is_cycle => Advice::EvictFrom { keeper: keeper.clone() },
            _ => Advice::BreakTheCycle,
        }
    }
}
