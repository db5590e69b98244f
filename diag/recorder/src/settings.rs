//! What can be set, and from where: default, then code, then environment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use crate::task::sampling::DEFAULT_UNITS;
use crate::thread::Choice;

/// Settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    pub(crate) service: Option<String>,
    /// Where the agent listens; none closes it.
    pub(crate) addr: Option<SocketAddr>,
    pub(crate) token: Option<String>,
    /// Whether the agent may listen off loopback without a token.
    pub(crate) open: bool,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) every: Duration,
    pub(crate) keep: usize,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) last_snapshot: Option<PathBuf>,
    /// What is recorded of the heap, if `diag::Alloc` is linked.
    pub(crate) heap: HeapMode,
    /// Mean bytes between two heap samples.
    pub(crate) heap_rate_bytes: u64,
    /// What taking the stacks of parked tasks may cost, in units a second and thread; 0 takes none.
    pub(crate) parked: u32,
    /// The signal that asks a held-up thread for its stack.
    pub(crate) signal: Choice,
    /// Whether every poll is timed precisely.
    pub(crate) exact_timing: bool,
}

/// What is recorded of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeapMode {
    Off,
    /// Some blocks, by [`Settings::heap_rate_bytes`].
    Sample,
    /// Every block.
    Full,
}

/// So many tasks of a site could be asked when `DIAG_PARKED` was their number: a number up to this may mean them.
const MOST_ONCE_ASKED: u32 = 16_384;

/// Mean bytes between two heap samples unless told otherwise: 2,000 samples a gigabyte.
pub(crate) const DEFAULT_HEAP_RATE_BYTES: u64 = 512 << 10;

/// Where the agent listens unless told otherwise.
pub(crate) const DEFAULT_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9797);

impl Settings {
    /// The defaults.
    pub(crate) const fn new() -> Self {
        Settings {
            enabled: true,
            service: None,
            addr: Some(DEFAULT_ADDR),
            token: None,
            open: false,
            dir: None,
            every: Duration::from_secs(60),
            keep: 60,
            labels: BTreeMap::new(),
            last_snapshot: None,
            heap: HeapMode::Sample,
            heap_rate_bytes: DEFAULT_HEAP_RATE_BYTES,
            parked: DEFAULT_UNITS,
            signal: Choice::Free,
            exact_timing: false,
        }
    }

    /// Lays the environment's `DIAG_*` variables over these settings. What cannot be used is left as
    /// it was and told.
    pub(crate) fn apply(&mut self, vars: impl Iterator<Item = (String, String)>) -> Vec<BadSetting> {
        let ours = vars.filter(|(name, _)| name == "DIAG" || name.starts_with("DIAG_"));
        ours.filter_map(|(name, value)| self.set(&name, &value).err()).collect()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadSetting> {
        let bad = |expected| BadSetting::value(name, value, expected);
        if NAMES.contains(&name) && value.trim().is_empty() {
            return Err(BadSetting { name: name.to_owned(), problem: Problem::Empty });
        }
        match name {
            "DIAG" => self.enabled = switch(value).ok_or_else(|| bad("on or off"))?,
            "DIAG_ADDR" => {
                self.addr = address(value).ok_or_else(|| bad("an address as 127.0.0.1:9797, or off"))?
            }
            "DIAG_TOKEN" => self.token = token(value),
            "DIAG_OPEN" => self.open = switch(value).ok_or_else(|| bad("1 or 0"))?,
            "DIAG_DIR" => self.dir = Some(value.into()),
            "DIAG_EVERY" => self.every = duration(value).ok_or_else(|| bad("a time as 30s, 5m or 1h"))?,
            "DIAG_KEEP" => {
                let keep = value.parse().ok().filter(|&keep| keep > 0);
                self.keep = keep.ok_or_else(|| bad("a number of files, at least 1"))?;
            }
            "DIAG_HEAP" => self.heap = heap(value).ok_or_else(|| bad("off, sample or full"))?,
            "DIAG_HEAP_RATE" => {
                self.heap_rate_bytes =
                    bytes(value).ok_or_else(|| bad("bytes between two samples, as 512k or 1m"))?;
            }
            "DIAG_PARKED" => {
                if let Ok(number @ 1..=MOST_ONCE_ASKED) = value.parse::<u32>() {
                    crate::warn(&format_args!(
                        "DIAG_PARKED={number} is a number of stacks a second and thread; that of tasks a site, which a \
                         capture asks, it is no more, as captures ask none"
                    ));
                }
                self.parked = parked(value)
                    .ok_or_else(|| bad("passive, off, or a number of stacks a second and thread"))?;
            }
            "DIAG_SIGNAL" => {
                self.signal = signal(value).ok_or_else(|| bad("a number of a real-time signal, or off"))?;
            }
            "DIAG_TIMING" => self.exact_timing = timing(value).ok_or_else(|| bad("sampled or exact"))?,
            "DIAG_LABELS" => self.labels.extend(labels(value).ok_or_else(|| bad("key=value,key=value"))?),
            _ => return Err(BadSetting::unknown(name)),
        }
        Ok(())
    }
}

/// The names that mean something.
const NAMES: [&str; 13] = [
    "DIAG",
    "DIAG_ADDR",
    "DIAG_TOKEN",
    "DIAG_OPEN",
    "DIAG_DIR",
    "DIAG_EVERY",
    "DIAG_KEEP",
    "DIAG_HEAP",
    "DIAG_HEAP_RATE",
    "DIAG_PARKED",
    "DIAG_SIGNAL",
    "DIAG_TIMING",
    "DIAG_LABELS",
];

/// An environment variable that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    name: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    /// As templates make it where a value is missing.
    Empty,
    Unknown {
        nearest: &'static str,
    },
    Value {
        value: String,
        expected: &'static str,
    },
}

impl BadSetting {
    /// True if the variable is empty, which is as if it were not there, and no reason for a service to stop.
    pub(crate) fn is_empty(&self) -> bool {
        self.problem == Problem::Empty
    }

    fn value(name: &str, value: &str, expected: &'static str) -> Self {
        BadSetting { name: name.to_owned(), problem: Problem::Value { value: value.to_owned(), expected } }
    }

    fn unknown(name: &str) -> Self {
        let alike = |known: &&str| common(known, name);
        let nearest = NAMES.into_iter().max_by_key(alike).unwrap_or("DIAG");
        BadSetting { name: name.to_owned(), problem: Problem::Unknown { nearest } }
    }
}

/// Letters that two names share at their beginnings and ends: enough to find the one that was meant.
fn common(a: &str, b: &str) -> usize {
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    same(&mut a.bytes().zip(b.bytes())) + same(&mut a.bytes().rev().zip(b.bytes().rev()))
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.problem {
            Problem::Empty => write!(f, "{name} is empty, which counts as not set"),
            Problem::Unknown { nearest } => {
                write!(f, "{name} is not a setting of diag; did you mean {nearest}?")
            }
            Problem::Value { value, expected } => {
                write!(f, "{name}={} cannot be used: expected {expected}", value.escape_debug())
            }
        }
    }
}

impl std::error::Error for BadSetting {}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "1" | "true" => Some(true),
        "off" | "0" | "false" => Some(false),
        _ => None,
    }
}

fn address(value: &str) -> Option<Option<SocketAddr>> {
    if switch(value) == Some(false) {
        return Some(None);
    }
    value.replace("localhost:", "127.0.0.1:").parse().ok().map(Some)
}

/// Without the blanks around it, which no header carries and a file of secrets ends in; none if it is empty.
pub(crate) fn token(value: &str) -> Option<String> {
    Some(value.trim().to_owned()).filter(|token| !token.is_empty())
}

fn heap(value: &str) -> Option<HeapMode> {
    match value {
        "sample" => Some(HeapMode::Sample),
        "full" => Some(HeapMode::Full),
        _ => switch(value).map(|on| if on { HeapMode::Sample } else { HeapMode::Off }),
    }
}

fn parked(value: &str) -> Option<u32> {
    match value {
        "passive" => Some(DEFAULT_UNITS),
        "0" => Some(0),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok(),
        _ => switch(value).map(|on| if on { DEFAULT_UNITS } else { 0 }),
    }
}

fn signal(value: &str) -> Option<Choice> {
    match switch(value) {
        Some(false) => Some(Choice::Off),
        _ => value.parse().ok().filter(|number| (32..=64).contains(number)).map(Choice::Number),
    }
}

fn timing(value: &str) -> Option<bool> {
    match value {
        "sampled" => Some(false),
        "exact" => Some(true),
        _ => None,
    }
}

/// `500ms`, `30s`, `5m`, `1h`; at least 100 ms.
fn duration(value: &str) -> Option<Duration> {
    let ms = quantity(value, &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)])?;
    (ms >= 100).then(|| Duration::from_millis(ms))
}

/// `524288`, `512k`, `1m`; at least one.
fn bytes(value: &str) -> Option<u64> {
    quantity(&value.to_ascii_lowercase(), &[("", 1), ("k", 1 << 10), ("m", 1 << 20)])
        .filter(|&bytes| bytes > 0)
}

/// A whole number with one of these units.
fn quantity(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn labels(value: &str) -> Option<BTreeMap<String, String>> {
    let pair =
        |pair: &str| pair.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
    value.split(',').filter(|part| !part.is_empty()).map(pair).collect()
}

/// Null for the defaults. What was in force before stays in memory: somebody may be reading it.
static CURRENT: AtomicPtr<Settings> = AtomicPtr::new(ptr::null_mut());

/// The settings in force.
pub(crate) fn current() -> Settings {
    // Acquire: pairs with the Release of `install`.
    // SAFETY: null, or what `install` leaked.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }.map_or_else(Settings::new, Settings::clone)
}

/// Puts settings in force.
pub(crate) fn install(settings: Settings) {
    // Release: pairs with the Acquire of `current`.
    CURRENT.store(Box::into_raw(Box::new(settings)), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(vars: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let mut settings = Settings::new();
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let bad = settings.apply(vars).iter().map(BadSetting::to_string).collect();
        (settings, bad)
    }

    #[test]
    fn the_environment_comes_last() {
        let (settings, bad) = apply(&[
            ("PATH", "/bin"),
            ("DIAG_ADDR", "off"),
            ("DIAG_EVERY", "5m"),
            ("DIAG_HEAP_RATE", "64k"),
            ("DIAG_HEAP", "off"),
            ("DIAG_PARKED", "off"),
            ("DIAG_TIMING", "exact"),
            ("DIAG_LABELS", "az=1,cell=b"),
        ]);
        assert_eq!((settings.addr, settings.every), (None, Duration::from_secs(300)));
        assert_eq!((settings.heap, settings.heap_rate_bytes), (HeapMode::Off, 65_536));
        assert_eq!((settings.parked, settings.exact_timing), (0, true));
        assert_eq!(apply(&[("DIAG_SIGNAL", "40")]).0.signal, Choice::Number(40));
        assert_eq!(apply(&[("DIAG_HEAP", "full")]).0.heap, HeapMode::Full);
        assert_eq!(settings.labels["cell"], "b");
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(apply(&[("DIAG_ADDR", "localhost:1")]).0.addr, Some(([127, 0, 0, 1], 1).into()));
    }

    #[test]
    fn an_empty_variable_is_none() {
        let (settings, told) =
            apply(&[("DIAG_TOKEN", ""), ("DIAG_DIR", " "), ("DIAG_ADDR", ""), ("DIAG_EVERY", "")]);
        assert_eq!(settings, Settings::new());
        assert_eq!(told[0], "DIAG_TOKEN is empty, which counts as not set");
        assert_eq!(told.len(), 4);
        assert_eq!(apply(&[("DIAG_TOKEN", "hush\n")]).0.token.as_deref(), Some("hush"));
        assert!(apply(&[("DIAG_OPEN", "1")]).0.open);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (settings, bad) = apply(&[("DIAG_EVREY", "5m"), ("DIAG_KEEP", "0"), ("DIAG", "maybe")]);
        assert_eq!(settings, Settings::new());
        assert_eq!(bad[0], "DIAG_EVREY is not a setting of diag; did you mean DIAG_EVERY?");
        assert_eq!(bad[1], "DIAG_KEEP=0 cannot be used: expected a number of files, at least 1");
        assert_eq!(bad[2], "DIAG=maybe cannot be used: expected on or off");
    }
}
