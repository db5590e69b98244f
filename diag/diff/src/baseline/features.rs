//! What a feature is: which number of what, of which dimension, and how much of a change is one.

use std::fmt;

/// What a behaviour has three of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// Whether and how fast tests end.
    ExecutionStability,
    /// What is allocated and computed.
    ResourceSensitivity,
    /// Whether and when tasks end.
    TaskHealth,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 3] =
        [Dimension::ExecutionStability, Dimension::ResourceSensitivity, Dimension::TaskHealth];

    /// The key of it in files.
    pub fn key(self) -> &'static str {
        match self {
            Dimension::ExecutionStability => "execution_stability",
            Dimension::ResourceSensitivity => "resource_sensitivity",
            Dimension::TaskHealth => "task_health",
        }
    }

    /// The words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Dimension::ExecutionStability => "execution stability",
            Dimension::ResourceSensitivity => "resource sensitivity",
            Dimension::TaskHealth => "task health",
        }
    }
}

/// A number of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// Time from start to end, seconds.
    TimeS,
    /// Times that it failed.
    Failures,
    /// Bytes allocated.
    AllocatedBytes,
    /// Blocks allocated.
    AllocatedBlocks,
    /// Bytes that live at the end.
    LiveBytes,
    /// Time on a CPU, seconds.
    CpuS,
    /// Mean lifetime of those that ended, milliseconds.
    LifetimeMs,
    /// How many live at the end.
    Alive,
    /// How many panicked.
    Panicked,
}

/// From when on a change is one, whatever the runs say.
pub(super) struct Limits {
    /// Part of what it usually is.
    pub(super) share: f64,
    /// So much at least.
    pub(super) least: f64,
}

impl Measure {
    const ALL: [Measure; 9] = [
        Measure::TimeS,
        Measure::Failures,
        Measure::AllocatedBytes,
        Measure::AllocatedBlocks,
        Measure::LiveBytes,
        Measure::CpuS,
        Measure::LifetimeMs,
        Measure::Alive,
        Measure::Panicked,
    ];

    /// The word in files, which ends with the unit.
    pub fn key(self) -> &'static str {
        match self {
            Measure::TimeS => "time_s",
            Measure::Failures => "failures",
            Measure::AllocatedBytes => "allocated_bytes",
            Measure::AllocatedBlocks => "allocated_blocks",
            Measure::LiveBytes => "live_bytes",
            Measure::CpuS => "cpu_s",
            Measure::LifetimeMs => "lifetime_ms",
            Measure::Alive => "alive",
            Measure::Panicked => "panicked",
        }
    }

    /// The measure of this word.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        Measure::ALL.into_iter().find(|measure| measure.key() == key)
    }

    /// True if none of it is 0 of it. A test that did not run took no time that can be compared.
    pub(super) fn is_absence_zero(self) -> bool {
        !matches!(self, Measure::TimeS | Measure::LifetimeMs)
    }

    pub(super) fn limits(self) -> Limits {
        const MIB: f64 = (1 << 20) as f64;
        let (share, least) = match self {
            Measure::TimeS => (0.25, 0.05),
            Measure::Failures | Measure::Panicked => (0.0, 0.5),
            Measure::AllocatedBytes => (0.15, MIB),
            Measure::AllocatedBlocks => (0.15, 10_000.0),
            Measure::LiveBytes => (0.15, 2.0 * MIB),
            Measure::CpuS => (0.25, 0.1),
            Measure::LifetimeMs => (0.5, 5.0),
            Measure::Alive => (0.2, 10.0),
        };
        Limits { share, least }
    }
}

/// One number of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Feature {
    /// Of which dimension it is.
    pub dimension: Dimension,
    /// What it is a number of: `test orders::take`, `desk::quote`, `tasks at src/desk.rs desk::serve`. Without lines, which
    /// move with every change.
    pub of: String,
    /// Which number.
    pub measure: Measure,
}

impl Feature {
    pub(super) fn new(dimension: Dimension, of: impl Into<String>, measure: Measure) -> Self {
        Feature { dimension, of: of.into(), measure }
    }
}

/// `desk::quote: allocated_bytes`.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.measure.key())
    }
}
