//! What can be set, and from where: default, then code, then environment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use diag_snapshot::{Setting, SettingSource};

use crate::bad_setting::BadSetting;
use crate::core_layout::CORE_LAYOUT;
use crate::last::Trigger;
use crate::options::{OPTIONS, Opt};
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
    /// What snapshots are taken for that are kept apart.
    pub(crate) last: Vec<Trigger>,
    pub(crate) resource_attributes: BTreeMap<String, String>,
    /// What is recorded of the heap, if `diag::Alloc` is linked.
    pub(crate) heap: HeapMode,
    /// Mean bytes between two heap samples.
    pub(crate) heap_rate_bytes: u64,
    /// Whether blocks of tasks, channels and sockets are entered in the census.
    pub(crate) census: bool,
    /// What taking the stacks of parked tasks may cost, in units a second and thread; 0 takes none.
    pub(crate) parked: u32,
    /// The signal that asks a held-up thread for its stack.
    pub(crate) signal: Choice,
    /// Whether every poll is timed precisely.
    pub(crate) exact_timing: bool,
    /// The variables that were used.
    by_variable: BTreeSet<&'static str>,
}

/// What is recorded of the heap, if `diag::Alloc` is the global allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeapMode {
    /// Nothing.
    Off,
    /// Some blocks, by [`Builder::heap_rate`](crate::Builder::heap_rate).
    Sample,
    /// Every block, for tests and staging: an allocation then takes some hundred times as long, and sizes are exact to
    /// the byte. Up to 1,048,575 blocks are kept; what is beyond is dropped, and counted in the snapshot.
    Full,
}

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
            last: Vec::new(),
            resource_attributes: BTreeMap::new(),
            heap: HeapMode::Sample,
            heap_rate_bytes: DEFAULT_HEAP_RATE_BYTES,
            census: true,
            parked: DEFAULT_UNITS,
            signal: Choice::Free,
            exact_timing: false,
            by_variable: BTreeSet::new(),
        }
    }

    /// Lays the environment's `DIAG_*` variables over these settings. What cannot be used is left as
    /// it was and told.
    pub(crate) fn apply(&mut self, vars: impl Iterator<Item = (String, String)>) -> Vec<BadSetting> {
        let ours = vars.filter(|(name, _)| name == "DIAG" || name.starts_with("DIAG_"));
        ours.filter_map(|(name, value)| self.set(&name, &value).err()).collect()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadSetting> {
        let option = OPTIONS.iter().find(|option| option.variable == name);
        let option = option.ok_or_else(|| BadSetting::unknown(name))?;
        if value.trim().is_empty() {
            return Err(BadSetting::empty(name));
        }
        (option.set)(self, value).ok_or_else(|| BadSetting::value(name, value, option.values))?;
        self.by_variable.insert(option.variable);
        Ok(())
    }

    /// What is in force, and where each came from. Code that sets the default is not told from none.
    fn sources(&self) -> Vec<Setting> {
        let default = Settings::new();
        let setting = |option: &Opt| {
            let value = (option.show)(self);
            let from = match () {
                () if self.by_variable.contains(option.variable) => SettingSource::Environment,
                () if value != (option.show)(&default) => SettingSource::Code,
                () => SettingSource::Default,
            };
            Setting { variable: option.variable.to_owned(), value, from }
        };
        OPTIONS.iter().map(setting).collect()
    }
}

/// Null for the defaults. What was in force before stays in memory: somebody may be reading it.
static CURRENT: AtomicPtr<Settings> = AtomicPtr::new(ptr::null_mut());

/// The settings in force.
pub(crate) fn current() -> Settings {
    // Acquire: pairs with the Release of `install`.
    // SAFETY: null, or what `install` leaked.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }.map_or_else(Settings::new, Settings::clone)
}

/// The settings in force and where each came from, for snapshots; none before diag was started.
pub(crate) fn sources() -> Vec<Setting> {
    // As in `current`.
    // SAFETY: null, or what `install` leaked.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }.map(Settings::sources).unwrap_or_default()
}

/// Puts settings in force.
pub(crate) fn install(settings: Settings) {
    let shown = |Setting { variable, value, from }| format!("{variable}\0{value}\0{}\0", from.as_str());
    CORE_LAYOUT.tables.settings.enter_text(&settings.sources().into_iter().map(shown).collect::<String>());
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
        assert_eq!(settings.resource_attributes["cell"], "b");
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(apply(&[("DIAG_ADDR", "localhost:1")]).0.addr, Some(([127, 0, 0, 1], 1).into()));
    }

    #[test]
    fn each_setting_knows_where_it_came_from() {
        let (mut settings, _) = apply(&[("DIAG_HEAP", "sample"), ("DIAG_TOKEN", "hush"), ("DIAG_KEEP", "0")]);
        (settings.every, settings.parked) = (Duration::from_millis(1_500), 0);
        let shown: Vec<_> = (settings.sources().iter())
            .filter(|setting| setting.from != SettingSource::Default)
            .map(|Setting { variable, value, from }| format!("{variable}={value} {}", from.as_str()))
            .collect();
        // A token is nobody's business, and what could not be used is not in force.
        assert_eq!(
            shown,
            [
                "DIAG_TOKEN=set environment",
                "DIAG_EVERY=1500ms code",
                "DIAG_HEAP=sample environment",
                "DIAG_PARKED=off code"
            ]
        );
        // What is shown of a default can be given again, and is the default.
        for Setting { variable, value, .. } in Settings::new().sources() {
            if !["none", "any"].contains(&value.as_str()) {
                let given = apply(&[(&variable, &value)]);
                let changed: Vec<_> = given.0.sources().into_iter().map(|setting| setting.value).collect();
                let default: Vec<_> =
                    Settings::new().sources().into_iter().map(|setting| setting.value).collect();
                assert_eq!((changed, given.1), (default, vec![]), "{variable}");
            }
        }
    }

    #[test]
    fn an_empty_variable_is_none() {
        let (settings, told) =
            apply(&[("DIAG_TOKEN", ""), ("DIAG_DIR", " "), ("DIAG_ADDR", ""), ("DIAG_EVERY", "")]);
        assert_eq!(settings, Settings::new());
        assert_eq!(told[0], "DIAG_TOKEN is empty, which counts as not set");
        assert_eq!(told.len(), 4);
        assert_eq!(apply(&[("DIAG_TOKEN", "hush\n")]).0.token.as_deref(), Some("hush"));
        assert!(apply(&[("DIAG_OPEN", "1")]).0.open && !apply(&[("DIAG_CENSUS", "off")]).0.census);
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
