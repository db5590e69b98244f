//! A CPU profile as pprof reads it: from addresses and sites to names.

use std::collections::HashMap;

use diag_analysis::pprof::{self, CpuFacts, CpuSample};
use diag_snapshot::Strings;

use super::stacks;
use crate::clock;
use crate::cpu::{Met, PERIOD, Recorded};
use crate::task::site;

/// The file for pprof. Looks names up, so it takes its time.
pub(crate) fn profile(recorded: &Recorded) -> Vec<u8> {
    // What is allocated for it is not the service's.
    #[cfg(feature = "heap")]
    let _hidden = crate::heap::hide_capture();

    let sites: HashMap<u32, String> =
        site::all().into_iter().map(|(id, site)| (id.0, site.location.to_string())).collect();
    let (mut stacks, mut strings) = (stacks::tree(), Strings::default());
    let sample = |(met, &samples): (&Met, &u64)| CpuSample {
        stack: stacks.add(&met.frames),
        task_site: met.task.site().and_then(|site| sites.get(&site.0).cloned()),
        samples,
    };
    let samples: Vec<CpuSample> = recorded.counts.iter().map(sample).collect();
    let anchor = clock::anchor();
    let facts = CpuFacts {
        taken_unix_us: anchor.start_unix_us + anchor.us(clock::precise_ns()),
        for_us: recorded.took.as_micros() as u64,
        period_ns: PERIOD.as_nanos() as u64,
        cpu_ns: recorded.cpu_ns,
    };
    let stacks = stacks::into_stacks(stacks, &mut strings);
    pprof::cpu(&stacks, &strings, &samples, facts)
}
