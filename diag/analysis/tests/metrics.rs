//! The metrics of a snapshot, read by a strict reader of OpenMetrics 1.0.

use std::collections::{BTreeMap, BTreeSet};

use diag_analysis::Analysis;
use diag_analysis::metrics::{self, MAX_SITES, Syntax, Told};
use diag_snapshot::{Runtime, SiteIndex, SiteKind, SiteRow, Snapshot, TaskId, TaskRow, TaskState};
use diag_test_support::iothub;

const DOCUMENTED: &str = include_str!("../../docs/metrics.md");

type Labels = BTreeMap<String, String>;

/// A text that keeps all rules that we know of.
#[derive(Debug, Default)]
struct Exposition {
    samples: BTreeMap<(String, Labels), f64>,
    /// Names as the samples have them.
    names: BTreeSet<String>,
}

impl Exposition {
    #[track_caller]
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        *self.samples.get(&(name.to_owned(), labels)).unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }

    fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|((found, _), _)| found == name).map(|(_, value)| value).sum()
    }
}

/// Reads a text, or says what is wrong with it.
fn read(text: &str) -> Result<Exposition, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
    let mut exposition = Exposition::default();
    let (mut families, mut family) = (BTreeSet::new(), (String::new(), String::new()));
    for line in body.lines() {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = line.split_once(' ').ok_or_else(|| wrong("a type without a kind"))?;
            if !families.insert(name.to_owned()) || !["gauge", "counter"].contains(&kind) {
                return Err(wrong("a family twice, or of no kind"));
            }
            family = (name.to_owned(), kind.to_owned());
        } else if let Some(line) = line.strip_prefix("# UNIT ") {
            let unit = line.strip_prefix(&format!("{} ", family.0)).ok_or_else(|| wrong("a stray unit"))?;
            if !family.0.ends_with(&format!("_{unit}")) {
                return Err(wrong("a unit that the name does not end in"));
            }
        } else if let Some(line) = line.strip_prefix("# HELP ") {
            let help = line.strip_prefix(&format!("{} ", family.0)).ok_or_else(|| wrong("a stray help"))?;
            if help.contains(['\\', '"']) {
                return Err(wrong("a help to be escaped"));
            }
        } else {
            let (name, labels, value) = sample(line).ok_or_else(|| wrong("no sample"))?;
            let suffix = if family.1 == "counter" { "_total" } else { "" };
            if name != format!("{}{suffix}", family.0) {
                return Err(wrong("a sample in another's family"));
            }
            if family.1 == "counter" && value < 0.0 {
                return Err(wrong("a counter below zero"));
            }
            exposition.names.insert(name.clone());
            if exposition.samples.insert((name, labels), value).is_some() {
                return Err(wrong("a sample twice"));
            }
        }
    }
    Ok(exposition)
}

/// `name{label="value",..} number`
fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let name_ends = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, mut rest) = line.split_at(name_ends);
    let mut labels = Labels::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, value) = inside.split_once("=\"")?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if label.is_empty() || !label.chars().all(is_name) {
                return None;
            }
            let mut text = String::new();
            let mut chars = value.char_indices();
            let end = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\n') => return None,
                    (_, '\\') => text.push(match chars.next()?.1 {
                        'n' => '\n',
                        c @ ('"' | '\\') => c,
                        _ => return None,
                    }),
                    (_, c) => text.push(c),
                }
            };
            labels.insert(label.to_owned(), text).is_none().then_some(())?;
            match value[end + 1..].strip_prefix(',') {
                Some(next) => inside = next,
                None => {
                    rest = value[end + 1..].strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    let is_number = value.chars().all(|c| c.is_ascii_digit() || ".-+e".contains(c));
    Some((name.to_owned(), labels, value.parse().ok().filter(|_| is_number)?))
}

#[track_caller]
fn metrics_of(snapshot: &Snapshot) -> Exposition {
    let text = metrics::text(&snapshot.clone().into(), Syntax::OpenMetrics, &mut Told::default());
    read(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"))
}

#[test]
fn the_reader_is_strict() {
    let fine = "# TYPE a_b counter\na_b_total{x=\"q\\\"\\\\\\n\",y=\"\"} 1\na_b_total 2.5\n# EOF\n";
    let read_back = read(fine).expect("all is well");
    assert_eq!(read_back.get("a_b_total", &[("x", "q\"\\\n"), ("y", "")]), 1.0);
    for (bad, why) in [
        ("# TYPE a gauge\na 1\n", "does not end"),
        ("# TYPE a gauge\n# TYPE a gauge\n# EOF\n", "twice"),
        ("# TYPE a gauge\na 1\na 2\n# EOF\n", "a sample twice"),
        ("# TYPE a counter\na 1\n# EOF\n", "another's family"),
        ("# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n", "no sample"),
        ("# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n", "no sample"),
        ("# TYPE a gauge\na{x=\"1\"}1\n# EOF\n", "no sample"),
        ("# TYPE a gauge\na inf\n# EOF\n", "no sample"),
        ("# TYPE a gauge\n# UNIT a bytes\n# EOF\n", "a unit"),
    ] {
        let wrong = read(bad).expect_err(bad);
        assert!(wrong.contains(why), "{wrong}");
    }
}

#[test]
fn the_figures_are_those_of_the_snapshot() {
    let snapshot = iothub::service(2_000, 1_000);
    let (metrics, heap) = (metrics_of(&snapshot), snapshot.heap.as_ref().expect("a heap"));
    assert_eq!(metrics.sum("diag_tasks"), 2_000.0);
    assert_eq!(metrics.sum("diag_tasks_by_state"), 2_000.0);
    let (ended, spawned): (u64, u64) = snapshot
        .sites
        .iter()
        .fold((0, 0), |(ended, spawned), site| (ended + site.ended(), spawned + site.spawned));
    assert_eq!(metrics.sum("diag_tasks_ended_total"), ended as f64);
    assert_eq!(metrics.sum("diag_tasks_spawned_total"), spawned as f64);
    assert_eq!(metrics.get("diag_heap_live_bytes", &[]), heap.live_bytes().round());
    let of_tasks: f64 = heap.samples.iter().filter(|s| s.task_site.is_some()).map(|s| s.weight_bytes()).sum();
    assert!((metrics.sum("diag_heap_task_site_live_bytes") - of_tasks).abs() < 10.0);
    let rss = Analysis::new(snapshot.clone()).memory().expect("a size").rss_bytes;
    assert_eq!(metrics.sum("diag_resident_bytes"), rss as f64);
    let site = SiteIndex(0);
    let labels = [("site", &*snapshot.site_location(site)), ("name", snapshot.site_name(site))];
    let live = snapshot.tasks.iter().filter(|task| task.site == site).count();
    assert_eq!(metrics.get("diag_tasks", &labels), live as f64);
}

#[test]
fn of_a_librarys_tasks_nothing_is_said_that_nobody_has_seen() {
    let mut snapshot = Snapshot::default();
    let no_name = snapshot.strings.intern("");
    snapshot.sites.push(SiteRow {
        file: no_name,
        type_name: no_name,
        kind: Some(SiteKind::Library),
        spawned: 9,
        freed: Some(8),
        ..SiteRow::default()
    });
    snapshot.tasks.push(TaskRow { id: TaskId(1), state: TaskState::Idle, ..TaskRow::default() });
    let metrics = metrics_of(&snapshot);
    let site = [("site", "(spawned without diag)"), ("name", "(type not known)")];
    assert_eq!(metrics.get("diag_tasks", &site), 1.0);
    assert_eq!(metrics.get("diag_tasks_ended_total", &[site[0], site[1], ("outcome", "freed")]), 8.0);
    for name in ["diag_task_polls_total", "diag_task_busy_seconds_total"] {
        assert!(metrics.samples.keys().all(|(known, _)| known != name), "{name}: {metrics:#?}");
    }
}

#[test]
fn every_name_is_documented_and_every_documented_name_is_there() {
    let mut snapshot = iothub::service(20, 20);
    snapshot.capture.runtimes =
        vec![Runtime { name: "main".to_owned(), workers: 2, alive_tasks: Some(20), ..Runtime::default() }];
    let rows = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> =
        rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect();
    assert_eq!(metrics_of(&snapshot).names, documented);
}

#[test]
fn names_are_escaped_and_sites_alike_are_one() {
    let mut snapshot = Snapshot::default();
    let file = snapshot.strings.intern("src/\"odd\"\\\n.rs");
    for end in ["a", "b"] {
        let name = snapshot.strings.intern(&("x".repeat(300) + end));
        snapshot.sites.push(SiteRow {
            spawned: 3,
            file,
            line: 1,
            column: 2,
            type_name: name,
            ..SiteRow::default()
        });
    }
    let metrics = metrics_of(&snapshot);
    let labels = [("site", "src/\"odd\"\\\n.rs:1:2"), ("name", &*"x".repeat(200))];
    assert_eq!(metrics.get("diag_tasks_spawned_total", &labels), 6.0);
}

#[test]
fn sites_beyond_the_limit_are_one() {
    let mut snapshot = Snapshot::default();
    let file = snapshot.strings.intern("src/lib.rs");
    let sites = MAX_SITES as u32 + 100;
    for line in 0..sites {
        snapshot.sites.push(SiteRow {
            spawned: 1,
            file,
            line,
            column: 1,
            type_name: file,
            ..SiteRow::default()
        });
        snapshot.tasks.push(TaskRow {
            id: TaskId(u64::from(line) + 1),
            site: SiteIndex(line),
            ..TaskRow::default()
        });
    }
    let metrics = metrics_of(&snapshot);
    let rows = metrics.samples.keys().filter(|(name, _)| name == "diag_tasks").count();
    assert_eq!(rows, MAX_SITES + 1);
    assert_eq!(metrics.get("diag_tasks", &[("site", "(other)"), ("name", "(other)")]), 100.0);
    assert_eq!(metrics.sum("diag_tasks_spawned_total"), f64::from(sites));
}

#[test]
fn counters_never_go_down() {
    let mut snapshot = Snapshot::default();
    let file = snapshot.strings.intern("src/lib.rs");
    let mut told = Told::default();
    let mut spawned = |spawned| {
        snapshot.sites =
            [SiteRow { spawned, file, line: 1, column: 1, type_name: file, ..SiteRow::default() }]
                .into_iter()
                .collect();
        read(&metrics::text(&snapshot.clone().into(), Syntax::OpenMetrics, &mut told))
            .expect("valid")
            .sum("diag_tasks_spawned_total")
    };
    assert_eq!([spawned(10), spawned(8), spawned(12)], [10.0, 10.0, 12.0]);
}

#[test]
fn the_older_syntax_has_the_same_samples_in_families_that_are_called_as_these() {
    let snapshot = iothub::service(200, 100);
    let text = |syntax| metrics::text(&snapshot.clone().into(), syntax, &mut Told::default());
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (new, old) = (text(Syntax::OpenMetrics), text(Syntax::Prometheus));
    assert_eq!(samples(&old), samples(&new));
    assert!(!old.contains("# EOF") && !old.contains("# UNIT"), "{old}");
    let mut family = "";
    for line in old.lines() {
        if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = line.split_once(' ').expect("a kind");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            family = name;
        } else if let Some(line) = line.strip_prefix("# HELP ") {
            assert!(line.starts_with(&format!("{family} ")), "{line}");
        } else {
            assert_eq!(line.split(['{', ' ']).next(), Some(family), "{line}");
        }
    }
}

#[test]
fn a_snapshot_that_lies_still_makes_a_valid_text() {
    let mut snapshot = iothub::service(20, 20);
    let heap = snapshot.heap.as_mut().expect("a heap");
    let mut sample = heap.samples.get(19).expect("the last one");
    for (size_bytes, rate_bytes) in [(0, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        sample.birth += 1;
        let task_site = Some(SiteIndex(u32::MAX));
        heap.samples.push(diag_snapshot::SampleRow { size_bytes, rate_bytes, task_site, ..sample });
    }
    let mut site = snapshot.sites.get(0).expect("a site");
    (site.spawned, site.done, site.cancelled, site.polls, site.busy_ns) =
        (u64::MAX, u64::MAX, 1, u64::MAX, u64::MAX);
    site.line = u32::MAX;
    snapshot.sites.push(site);
    snapshot.tasks.push(TaskRow {
        id: TaskId(u64::MAX - 1),
        site: SiteIndex(u32::MAX),
        spawned_us: u64::MAX,
        ..TaskRow::default()
    });
    snapshot.capture.dropped.insert("odd \"\\\n".to_owned(), u64::MAX);
    metrics_of(&snapshot);
    metrics_of(&Snapshot::default());
}
