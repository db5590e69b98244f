//! An anonymized snapshot has every number and every finding, and no word of the service.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_analysis::anonymize::{Key, anonymize};
use diag_diff::report::json;
use diag_diff::{Policy, Series, judge_series};
use diag_snapshot::schema::Target;
use diag_snapshot::{Row, Snapshot, Table, TableVisitor, file};
use diag_test_support::iothub;
use serde_json::Value as Json;

fn series() -> Vec<(String, Vec<Snapshot>)> {
    let sorted = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let folders = sorted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/series"));
    let read = |folder: &PathBuf| {
        let files =
            sorted(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "diag"));
        let snapshots = files.map(|path| file::read(&path).expect("a snapshot").0).collect();
        (folder.file_name().expect("a name").to_string_lossy().into_owned(), snapshots)
    };
    folders.iter().map(read).collect()
}

fn anonymous(snapshot: &Snapshot) -> Snapshot {
    let key = Key::of_process(snapshot);
    anonymize(snapshot.clone(), &key)
}

/// The cells of all columns but those of names, and how many names there are.
fn cells(snapshot: &Snapshot) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    struct Cells(Vec<(&'static str, &'static str, Vec<u64>)>);

    impl TableVisitor for Cells {
        fn visit<R: Row>(&mut self, table: &Table<R>) {
            for (column, cells) in R::TABLE.columns.iter().zip(table.columns()) {
                let is_name = column.target == Some(Target::Strings);
                let cells = cells.iter().map(|&cell| if is_name { u64::from(cell > 0) } else { cell });
                // The first name of a pool is 0.
                let cells =
                    if is_name && !column.optional { vec![cells.len() as u64] } else { cells.collect() };
                self.0.push((R::TABLE.name, column.name, cells));
            }
        }
    }

    let mut cells = Cells(Vec::new());
    snapshot.visit_tables(&mut cells);
    cells.0
}

/// The numbers and the words of ours in a document, in an order that does not depend on the others.
fn shape(value: &Json) -> Json {
    const OURS: [&str; 7] = ["kind", "rule", "category", "confidence", "outcome", "fail_on", "schema"];
    match value {
        Json::Array(all) => {
            let element = |value: &Json| if value.is_string() { Json::Null } else { shape(value) };
            let mut all: Vec<Json> = all.iter().map(element).collect();
            all.sort_by_key(Json::to_string);
            Json::Array(all)
        }
        Json::Object(all) => {
            let field = |(key, value): (&String, &Json)| match value {
                Json::String(_) if !OURS.contains(&key.as_str()) => (key.clone(), Json::Null),
                _ => (key.clone(), shape(value)),
            };
            Json::Object(all.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

fn report(snapshots: &[Snapshot]) -> Json {
    let members = snapshots.iter().cloned().map(Analysis::new).collect();
    let series = Series::as_given(members).expect("one service");
    let report = judge_series(&series, &Policy::default()).expect("comparable").expect("several");
    serde_json::from_str(&json::render(&report)).expect("JSON")
}

#[test]
fn every_finding_and_every_number_of_it_stays() {
    let mut findings = 0;
    for (name, snapshots) in series() {
        let anonymous: Vec<Snapshot> = snapshots.iter().map(anonymous).collect();
        for (was, is) in snapshots.iter().zip(&anonymous) {
            assert_eq!(cells(was), cells(is), "{name}");
        }
        // One of each kind: healthy ones have none.
        if !["heartbeat", "ttl_cache", "spin_mpsc", "stopped_consumer"].contains(&name.as_str()) {
            continue;
        }
        let (was, is) = (report(&snapshots), report(&anonymous));
        findings += was["findings"].as_array().map_or(0, Vec::len);
        assert_eq!(shape(&was), shape(&is), "{name}\n{was:#}\n{is:#}");
    }
    assert!(findings >= 4, "{findings}");
}

/// What a service would not like to see elsewhere: its own words in names, paths, labels, and who and where it is.
fn secrets(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> = [
        "iothub",
        "edge-3",
        "8f3a5c",
        "/usr/local/bin",
        "zone",
        "devices-online",
        "state.db",
        "ota-helper",
        "iothub.slice",
    ]
    .map(str::to_owned)
    .into();
    secrets.extend(
        snapshot
            .labels
            .iter()
            .flat_map(|label| [label.key, label.value].map(|text| snapshot.strings.show(text).to_owned())),
    );
    let sites = snapshot.sites.iter();
    secrets.extend(sites.flat_map(|site| {
        let [file, name] = [site.file, site.type_name].map(|text| snapshot.strings.show(text));
        let words = file.split(['/', '.']).chain(name.split("::"));
        words.map(str::to_owned).collect::<Vec<_>>()
    }));
    secrets.extend(snapshot.tasks.name().iter().flatten().map(|name| snapshot.strings.show(name).to_owned()));
    secrets.extend(snapshot.groups.name().iter().map(|name| snapshot.strings.show(name).to_owned()));
    // What all have, and what is too short to be told from chance.
    const COMMON: [&str; 7] = ["main", "request_id", "trace_id", "tokio", "examples", "handle", "part"];
    secrets.retain(|secret| secret.len() >= 4 && !COMMON.contains(&secret.as_str()) && !secret.contains('{'));
    secrets
}

/// All text of a snapshot: what is packed in its bytes, which are searched as well.
fn texts(snapshot: &Snapshot) -> (Vec<u8>, String) {
    let bytes = diag_snapshot::write(snapshot);
    let (read, damages) = diag_snapshot::read(&bytes).expect("a snapshot");
    assert_eq!(damages, []);
    let heap = read.heap.as_ref().map(|heap| &heap.facts);
    let text = format!("{:?}\n{:?}\n{:?}\n{heap:?}", read.process, read.capture, read.strings);
    (bytes, text)
}

fn found<'a>(snapshot: &Snapshot, secrets: &'a BTreeSet<String>) -> Vec<&'a String> {
    let (bytes, text) = texts(snapshot);
    let in_bytes = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    secrets.iter().filter(|secret| text.contains(secret.as_str()) || in_bytes(secret)).collect()
}

#[test]
fn no_word_of_the_service_is_in_the_file() {
    let snapshot = iothub::service(400, 400);
    let secrets = secrets(&snapshot);
    assert!(secrets.len() > 20, "{secrets:?}");
    // The search finds what is there.
    assert_eq!(found(&snapshot, &secrets).len(), secrets.len(), "{secrets:?}");
    assert_eq!(found(&anonymous(&snapshot), &secrets), Vec::<&String>::new());
}

#[test]
fn snapshots_of_real_services_have_no_word_of_theirs_either() {
    for (name, snapshots) in series() {
        let Some(snapshot) = snapshots.last() else { continue };
        let own = snapshot.sites.iter().map(|site| snapshot.strings.show(site.type_name));
        let own = own.filter_map(|name| name.split("::").next());
        let mut secrets: BTreeSet<String> = own.map(str::to_owned).collect();
        secrets.extend(snapshot.process.host.clone().filter(|host| host.len() > 5));
        secrets.insert(snapshot.process.service.clone());
        secrets.retain(|word| {
            // The last one is also a module of tokio's.
            let of_all = ["tokio", "diag", "hyper", "axum", "core", "std", "alloc", "unbounded"];
            let is_of_all = of_all.contains(&word.as_str());
            word.len() > 3 && !is_of_all && !word.contains(['(', '<'])
        });
        assert!(!found(snapshot, &secrets).is_empty() || name.starts_with("unbounded"), "{name}");
        assert_eq!(found(&anonymous(snapshot), &secrets), Vec::<&String>::new(), "{name}");
    }
}
