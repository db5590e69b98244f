//! What the prober knows of itself, from its own bookkeeping: what a diagnosis is measured against.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::mirror::{Last, Mirror};
use crate::prober::Prober;

/// The prober's own account of itself at one moment. Nothing in it comes from the recorder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Truth {
    /// `mirrorprobe.truth/1`.
    pub schema: String,
    /// The mistake that it makes, if any.
    pub fault: Option<String>,
    /// The lines at fault.
    pub lines: Vec<String>,
    /// How many times the mistake was made so far: checks, indexes, fuses, series, reports that stay.
    pub count: u64,
    /// Checks that were begun, and that are under way.
    pub checks: [u64; 2],
    /// Checks that others have spawned to try again, and that are there.
    pub again: u64,
    /// Indexes in the cache, and their bytes.
    pub cache: [u64; 2],
    /// Series of the metrics.
    pub series: u64,
    /// Reports that somebody has not read.
    pub unread: u64,
    /// The mirrors.
    pub mirrors: Vec<OfMirror>,
}

/// What the prober knows of a mirror.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfMirror {
    /// Its address.
    pub url: String,
    /// Whether it answered when it was last asked.
    pub last: Last,
    /// Attempts that were begun, and that are under way.
    pub attempts: [u64; 2],
    /// Checks that its fuse has turned away.
    pub refused: u64,
    /// True while its fuse is open.
    pub is_open: bool,
}

impl OfMirror {
    fn new(mirror: &Mirror) -> Self {
        OfMirror {
            url: mirror.url.clone(),
            last: mirror.last(),
            attempts: [mirror.begun.load(Ordering::Relaxed), mirror.under_way()],
            refused: mirror.fuse.refused.load(Ordering::Relaxed),
            is_open: mirror.fuse.is_open(),
        }
    }
}

impl Truth {
    pub(crate) fn of(prober: &Prober) -> Self {
        let mirrors: Vec<_> = prober.mirrors.iter().map(OfMirror::new).collect();
        let fault = prober.fault;
        let mut truth = Truth {
            schema: "mirrorprobe.truth/1".to_owned(),
            fault: fault.map(Fault::name),
            lines: fault.map(Fault::lines).unwrap_or_default(),
            count: 0,
            checks: [prober.begun.load(Ordering::Relaxed), prober.under_way()],
            again: prober.again.load(Ordering::Relaxed),
            cache: prober.cache.size().map(|size| size as u64),
            series: prober.metrics.len() as u64,
            unread: prober.feed.unread() as u64,
            mirrors,
        };
        truth.count = truth.count(fault);
        truth
    }

    fn count(&self, fault: Option<Fault>) -> u64 {
        match fault {
            None => 0,
            Some(Fault::RetryStorm | Fault::NoTimeout) => self.checks[1],
            Some(Fault::CacheWithoutTtl) => self.cache[0],
            Some(Fault::SpawnPerRetry) => self.again,
            Some(Fault::FuseStuckOpen) => self.mirrors.iter().filter(|mirror| mirror.is_open).count() as u64,
            Some(Fault::LabelExplosion) => self.series,
            Some(Fault::BroadcastLag) => self.unread,
        }
    }
}
