//! Numbers that say how much the process has in use, to compare over time and with tasks.

use std::collections::BTreeMap;
use std::fmt;

use diag_snapshot::{DescriptorKind, Snapshot};

use crate::human;

const KINDS: [DescriptorKind; 9] = [
    DescriptorKind::File,
    DescriptorKind::Socket,
    DescriptorKind::Pipe,
    DescriptorKind::Eventfd,
    DescriptorKind::Eventpoll,
    DescriptorKind::Timerfd,
    DescriptorKind::Inotify,
    DescriptorKind::Memfd,
    DescriptorKind::Other,
];

const ENDED_CHILDREN: &str = "ended child processes";

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Open file descriptors of a kind.
    Descriptors(DescriptorKind),
    /// All open file descriptors, where their kinds are not known.
    OpenFiles,
    /// Child processes that have ended and that nobody has waited for.
    EndedChildren,
    /// A number that the service publishes.
    Published(String),
}

impl Gauge {
    /// Returns what a person means: `sockets`, `open files`, `ended child processes`, or a published name, which may follow the word `gauge`. None of
    /// an empty text.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let kind = KINDS.into_iter().find(|kind| text.strip_suffix('s') == Some(kind.as_str()));
        match (kind, text) {
            (_, "") => None,
            (Some(kind), _) => Some(Gauge::Descriptors(kind)),
            (None, "open files") => Some(Gauge::OpenFiles),
            (None, ENDED_CHILDREN) => Some(Gauge::EndedChildren),
            (None, name) => Some(Gauge::Published(name.strip_prefix("gauge ").unwrap_or(name).to_owned())),
        }
    }

    /// Returns what a snapshot says of each; what it does not know is not there.
    pub fn all(snapshot: &Snapshot) -> BTreeMap<Gauge, u64> {
        let published = snapshot.capture.gauges.iter().filter_map(|gauge| {
            Some((Gauge::Published(gauge.name.clone()), u64::try_from(gauge.value).ok()?))
        });
        let children = ended_children(snapshot).map(|children| (Gauge::EndedChildren, children));
        descriptors(snapshot).into_iter().chain(children).chain(published).collect()
    }
}

/// In a word or two: `sockets`; safe to print.
impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gauge::Descriptors(kind) => write!(f, "{}s", kind.as_str()),
            Gauge::OpenFiles => f.write_str("open files"),
            Gauge::EndedChildren => f.write_str(ENDED_CHILDREN),
            Gauge::Published(name) => write!(f, "gauge {}", human::name(name)),
        }
    }
}

/// A kind without a row has none open. Of very many descriptors a fair sample was read, which stands for all.
fn descriptors(snapshot: &Snapshot) -> Vec<(Gauge, u64)> {
    let Some(open) = snapshot.capture.resources.open_fds else { return Vec::new() };
    let read = snapshot.descriptors.iter().fold(0_u64, |sum, row| sum.saturating_add(row.open));
    if read == 0 {
        return vec![(Gauge::OpenFiles, open)];
    }
    let times = if read < open / 2 { open as f64 / read as f64 } else { 1.0 };
    let of = |kind: DescriptorKind| {
        let rows = snapshot.descriptors.iter().filter(|row| row.kind == kind);
        let open = rows.fold(0_u64, |sum, row| sum.saturating_add(row.open));
        (Gauge::Descriptors(kind), (open as f64 * times).round() as u64)
    };
    KINDS.map(of).to_vec()
}

/// Of very many children some are listed, which stand for all.
fn ended_children(snapshot: &Snapshot) -> Option<u64> {
    let resources = &snapshot.capture.resources;
    let (all, listed) = (resources.child_processes?, resources.children.as_ref()?);
    let ended = listed.iter().filter(|child| child.has_ended).count();
    Some((all as f64 * ended as f64 / listed.len().max(1) as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{Child, DescriptorRow, Gauge as Published};

    use super::*;

    fn snapshot(open: u64, sockets: u64, files: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.capture.resources.open_fds = Some(open);
        let rows = [(DescriptorKind::Socket, sockets), (DescriptorKind::File, files)];
        let rows = rows.into_iter().filter(|(_, open)| *open > 0);
        snapshot.descriptors = rows.map(|(kind, open)| DescriptorRow { kind, open }).collect();
        snapshot
    }

    fn of(snapshot: &Snapshot, kind: DescriptorKind) -> Option<u64> {
        Gauge::all(snapshot).get(&Gauge::Descriptors(kind)).copied()
    }

    #[test]
    fn a_kind_without_a_row_has_none_open() {
        let known = snapshot(12, 10, 2);
        let counts =
            [DescriptorKind::Socket, DescriptorKind::File, DescriptorKind::Pipe].map(|kind| of(&known, kind));
        assert_eq!(counts, [Some(10), Some(2), Some(0)]);
        assert_eq!(Gauge::all(&known).get(&Gauge::OpenFiles), None);
    }

    #[test]
    fn a_gauge_is_named_as_it_is_shown() {
        let published = |name: &str| Gauge::Published(name.to_owned());
        for (text, gauge) in [
            ("sockets", Gauge::Descriptors(DescriptorKind::Socket)),
            (" files ", Gauge::Descriptors(DescriptorKind::File)),
            ("open files", Gauge::OpenFiles),
            ("ended child processes", Gauge::EndedChildren),
            ("devices", published("devices")),
            ("gauge sockets", published("sockets")),
        ] {
            assert_eq!(Gauge::of(text), Some(gauge), "{text}");
        }
        assert_eq!(Gauge::of(" "), None);
    }

    #[test]
    fn a_sample_stands_for_all() {
        assert_eq!(of(&snapshot(100_000, 15_000, 1_000), DescriptorKind::Socket), Some(93_750));
    }

    #[test]
    fn children_that_run_are_not_counted() {
        let children = |all: Option<u64>, ended: usize, run: usize| {
            let mut snapshot = Snapshot::default();
            let child = |has_ended| Child { has_ended, ..Child::default() };
            let listed = [true].repeat(ended).into_iter().chain([false].repeat(run));
            snapshot.capture.resources.children = Some(listed.map(child).collect());
            snapshot.capture.resources.child_processes = all;
            Gauge::all(&snapshot).get(&Gauge::EndedChildren).copied()
        };
        assert_eq!([children(Some(5), 3, 2), children(Some(0), 0, 0)], [Some(3), Some(0)]);
        assert_eq!(children(Some(640), 32, 32), Some(320), "those that are listed stand for all");
        assert_eq!(children(None, 3, 2), None);
    }

    #[test]
    fn without_kinds_all_are_one() {
        let unknown = snapshot(12, 0, 0);
        assert_eq!(Gauge::all(&unknown), BTreeMap::from([(Gauge::OpenFiles, 12)]));
        assert!(Gauge::all(&Snapshot::default()).is_empty());
    }

    #[test]
    fn published_numbers_keep_their_names_and_are_no_less_than_none() {
        let mut snapshot = Snapshot::default();
        let published = [("devices", 7), ("balance", -1)];
        snapshot.capture.gauges =
            published.map(|(name, value)| Published { name: name.to_owned(), value }).to_vec();
        assert_eq!(Gauge::all(&snapshot), BTreeMap::from([(Gauge::Published("devices".to_owned()), 7)]));
        assert_eq!(Gauge::Published("a\u{1b}".to_owned()).to_string(), "gauge a\\u{1b}");
        assert_eq!(Gauge::Descriptors(DescriptorKind::Socket).to_string(), "sockets");
    }
}
