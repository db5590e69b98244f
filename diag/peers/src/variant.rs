//! The rows of the tables: which package, built and started how.

use peers_bench::request::Inner;

/// A peer in one way of building and starting it.
#[derive(Debug)]
pub(crate) struct Variant {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// The package in this folder.
    pub(crate) package: &'static str,
    /// `RUSTFLAGS` of the build.
    pub(crate) flags: &'static str,
    /// The environment of the process.
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// A process of a heap peer, and the subjects it measures over one inner allocator.
#[derive(Debug)]
pub(crate) struct HeapVariant {
    /// How it is built and started. Its name is the one of the row that the process is there for.
    pub(crate) variant: Variant,
    /// The allocator below.
    pub(crate) inner: Inner,
    /// Names of the rows.
    pub(crate) subjects: &'static [&'static str],
}

const NONE: &str = "";
const UNSTABLE: &str = "--cfg tokio_unstable";
/// dial9 and pprof-alloc walk frame pointers and nothing else, so all heap peers get them.
const FRAME_POINTERS: &str = "-C force-frame-pointers=yes";
const OFF: &[(&str, &str)] = &[("DIAG", "off")];
const EXACT: &[(&str, &str)] = &[("DIAG_TIMING", "exact")];
/// More stacks a second than there can be polls.
const ALL_STACKS: &[(&str, &str)] = &[("DIAG_PARKED", "1000000000")];
const NO_STACKS: &[(&str, &str)] = &[("DIAG_PARKED", "off")];
const JEMALLOC_PROF: &[(&str, &str)] = &[("_RJEM_MALLOC_CONF", "prof:true,lg_prof_sample:19")];

/// The task peers. The first is the baseline of the ratios, the second the same once more.
pub(crate) static TASKS: &[Variant] = &[
    variant("tokio", "peer-tokio", NONE, &[]),
    variant("tokio-again", "peer-tokio", NONE, &[]),
    variant("diag", "peer-diag", NONE, &[]),
    variant("diag-no-stacks", "peer-diag", NONE, NO_STACKS),
    variant("diag-all-stacks", "peer-diag", NONE, ALL_STACKS),
    variant("diag-exact", "peer-diag", NONE, EXACT),
    variant("diag-off", "peer-diag", NONE, OFF),
    variant("tokio-metrics", "peer-tokio-metrics", NONE, &[]),
    variant("dial9", "peer-dial9", NONE, &[]),
    variant("tokio", "peer-tokio", UNSTABLE, &[]),
    variant("diag", "peer-diag", UNSTABLE, &[]),
    variant("console-subscriber", "peer-console-subscriber", UNSTABLE, &[]),
];

/// The services: the first is the baseline, the second the same once more.
pub(crate) static SERVICE: &[Variant] = &[
    variant("plain", "peer-service-plain", NONE, &[]),
    variant("plain-again", "peer-service-plain", NONE, &[]),
    variant("diag", "peer-service-diag", NONE, &[]),
    variant("diag-off", "peer-service-diag", NONE, OFF),
    variant("diag-heap", "peer-service-heap", NONE, &[]),
    variant("diag-heap-off", "peer-service-heap", NONE, OFF),
];

/// The heap peers. Those of `diag` carry the baseline of their inner allocator.
pub(crate) static HEAP: &[HeapVariant] = &[
    over(Inner::System, variant("diag", "peer-heap-diag", FRAME_POINTERS, &[]), VALUES),
    over(Inner::System, variant("dial9", "peer-heap-dial9", FRAME_POINTERS, &[]), &["dial9"]),
    over(
        Inner::System,
        variant("pprof-alloc", "peer-heap-pprof-alloc", FRAME_POINTERS, &[]),
        &["pprof-alloc"],
    ),
    over(Inner::System, variant("dhat", "peer-heap-dhat", FRAME_POINTERS, &[]), &["dhat"]),
    over(Inner::Mimalloc, variant("diag", "peer-heap-diag", FRAME_POINTERS, &[]), VALUES),
    over(Inner::Jemalloc, variant("diag", "peer-heap-diag", FRAME_POINTERS, &[]), VALUES),
    over(
        Inner::Jemalloc,
        variant("jemalloc-prof", "peer-heap-jemalloc-prof", FRAME_POINTERS, JEMALLOC_PROF),
        &["jemalloc-prof"],
    ),
];

const VALUES: &[&str] = &["plain", "plain-again", "diag"];

const fn variant(
    name: &'static str,
    package: &'static str,
    flags: &'static str,
    env: &'static [(&'static str, &'static str)],
) -> Variant {
    Variant { name, package, flags, env }
}

const fn over(inner: Inner, variant: Variant, subjects: &'static [&'static str]) -> HeapVariant {
    HeapVariant { variant, inner, subjects }
}
