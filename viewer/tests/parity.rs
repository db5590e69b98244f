//! Every number on every page is in the page's JSON twin, and what commands print is what the twins say.
//!
//! A page says numbers in words: `391 KiB`, `2.3 s`, `2,271`. Each value of the twin is put into the same words by the unit that
//! its key ends in, so that a number without a value of that unit is found, whoever wrote it.

mod page;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use diag_analysis::human;
use diag_viewer::{Access, Source, router};
use page::{Number, attributes, link, numbers, text, walk};
use serde_json::Value;
use site::{Folder, Viewer, leaking};

/// What a twin says, in words.
#[derive(Default)]
struct Said(BTreeSet<Number>);

impl Said {
    fn of(document: &Value) -> Self {
        let mut said = Said::default();
        said.add("", document);
        said
    }

    fn words(&mut self, text: &str) {
        self.0.extend(numbers(text).into_iter().map(|(_, number)| number));
    }

    /// A value under the unit of its key, or of the object that it is in.
    fn add(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                // How all tasks changed is said in percent, and is two values of the document.
                let tasks = |moment: &str| fields.get(moment)?.get("tracked_tasks")?.as_f64();
                if let (Some(before), Some(after)) = (tasks("before"), tasks("after")) {
                    self.words(&format!("{:.1} % {:.2}x", (after / before - 1.0) * 100.0, after / before));
                }
                for (name, value) in fields {
                    let key = if unit(name).is_empty() && name != "p" { key } else { name };
                    self.add(key, value);
                }
            }
            Value::Array(values) => {
                self.words(&human::count(values.len() as u64));
                values.iter().for_each(|value| self.add(key, value));
            }
            Value::String(text) => self.words(text),
            Value::Number(number) if key == "p" => {
                // Put as `< 0.001` where it is less.
                self.words(&format!("{:.3} 0.001", number.as_f64().unwrap_or(0.0)));
            }
            Value::Number(number) => self.number(unit(key), number.as_f64().unwrap_or(0.0)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// What each frame of a picture is of all that is shown, and of the whole.
    fn shares(&mut self, document: &Value) {
        let totals = document["nodes"]["total"].as_array().or(document["total"].as_array());
        let totals: Vec<f64> = totals.into_iter().flatten().filter_map(Value::as_f64).collect();
        self.words("0.0 %");
        for all in [totals.first().copied(), document["whole"].as_f64()].into_iter().flatten() {
            totals.iter().for_each(|total| self.words(&format!("{:.1} %", total / all.max(1.0) * 100.0)));
        }
        if document["unit"] == "bytes" {
            for column in ["total", "self", "low", "high", "before", "after", "growth", "width"] {
                let values = document["nodes"][column].as_array().into_iter().flatten();
                values.filter_map(Value::as_f64).for_each(|value| self.number("_bytes", value));
            }
        }
    }

    fn number(&mut self, unit: &str, value: f64) {
        let whole = value.abs() as u64;
        match unit {
            "_bytes" => self.words(&human::bytes(whole)),
            "_ns" => self.words(&human::duration(whole)),
            "_percent" => self.words(&format!("{value:.1} % {value:.0} %")),
            "_per_s" => self.words(&format!("{value:.1} {:.1}", value * 3_600.0)),
            _ => {
                self.words(&human::count(whole));
                if value.fract() != 0.0 {
                    self.words(&format!("{value:.1} {value:.3} {value:.0e} {value:.1} %"));
                }
            }
        }
    }
}

fn unit(key: &str) -> &'static str {
    ["_bytes", "_ns", "_percent", "_per_s"]
        .into_iter()
        .find(|unit| key.ends_with(unit) || key == &unit[1..])
        .unwrap_or("")
}

/// Without the numbers beside axes, which name places of a picture, and without how long ago a moment is, which the reader's clock
/// says.
fn without_axes(html: &str) -> String {
    let mut html = html.to_owned();
    for (open, close) in
        [("<p class=\"axis\">", "</p>"), ("<p class=\"scale\">", "</p>"), ("<time ", "</time>")]
    {
        while let Some((before, rest)) = html.split_once(open) {
            html = format!("{before}{}", rest.split_once(close).map_or("", |(_, after)| after));
        }
    }
    html
}

/// The numbers that templates say themselves: `99 of 100 tasks`, `Next 100`.
fn constants() -> BTreeSet<Number> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut constants = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("templates") {
        let template = std::fs::read_to_string(file.expect("a file").path()).expect("a template");
        let mut plain = template;
        for (open, close) in [("{{", "}}"), ("{%", "%}")] {
            while let Some((before, rest)) = plain.split_once(open) {
                plain = format!("{before}\u{1}{}", rest.split_once(close).map_or("", |(_, after)| after));
            }
        }
        // What stands beside a value is no number of its own.
        constants.extend(numbers(&text(&plain)).into_iter().map(|(_, number)| number));
    }
    constants
}

/// A page that can be compared: its text without what is of no page, and what its twin says.
struct Compared {
    text: String,
    said: Said,
}

impl Compared {
    /// None of a page that has no twin.
    async fn of(viewer: &Viewer, path: &str, html: &str) -> Option<Self> {
        let twin = link(html, "JSON")?;
        let mut said = Said::of(&viewer.json(&twin).await);
        // The picture has a document of its own.
        let query = path.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
        for picture in attributes(html, "data-json") {
            let document = viewer.json(&format!("{picture}{query}")).await;
            said.add("", &document);
            said.shares(&document);
        }
        let main = html.split_once("<main").unwrap_or_else(|| panic!("{path} has no main")).1;
        Some(Compared { text: text(&without_axes(main)), said })
    }

    /// The numbers that nothing in the twin accounts for, with some of the text around.
    fn unaccounted(&self, constants: &BTreeSet<Number>) -> Vec<String> {
        let found = numbers(&self.text).into_iter();
        found
            .filter(|(_, number)| !self.said.0.contains(number) && !constants.contains(number))
            .map(|(at, number)| {
                let around = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                let (before, after) = (around(&self.text[..at.start]), around(&self.text[at.start..]));
                let before = before[before.len().saturating_sub(4)..].join(" ");
                format!("{number:?}: {before} >{}", after[..after.len().min(5)].join(" "))
            })
            .collect()
    }
}

async fn check(viewer: &Viewer) -> BTreeMap<String, Compared> {
    let constants = constants();
    let mut compared = BTreeMap::new();
    let mut without = Vec::new();
    for (path, html) in walk(viewer, 2).await {
        match Compared::of(viewer, &path, &html).await {
            Some(page) => {
                compared.insert(path, page);
            }
            None => without.push(path),
        }
    }
    assert_eq!(without, ["/help"], "every page but this has a twin");
    let wrong: Vec<String> = (compared.iter())
        .flat_map(|(path, page)| {
            page.unaccounted(&constants).into_iter().map(move |line| format!("{path}: {line}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} numbers of no twin:\n{}", wrong.len(), wrong.join("\n"));
    compared
}

fn recorded(series: &str) -> Viewer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/series").join(series);
    Viewer(router(Source::folder(folder), Access::default()))
}

#[tokio::test]
async fn every_number_of_a_leaking_service_is_in_the_twins() {
    let folder = Folder::new("parity");
    let service = leaking();
    for (name, now) in [("a.diag", 15.0), ("b.diag", 30.0)] {
        folder.write(name, &service.at(now));
    }
    let pages = check(&folder.viewer()).await;
    assert!(pages.len() > 20, "{:?}", pages.keys());
}

#[tokio::test]
async fn every_number_of_recorded_services_is_in_the_twins() {
    for series in ["futurelock", "seen_set", "blocking_pool"] {
        let pages = check(&recorded(series)).await;
        assert!(pages.len() > 20, "{series}: {:?}", pages.keys());
    }
}

#[tokio::test]
async fn a_number_that_is_wrong_is_found() {
    let viewer = recorded("futurelock");
    let constants = constants();
    let (mut planted, mut found) = (0, 0);
    for (path, html) in walk(&viewer, 1).await {
        let Some(page) = Compared::of(&viewer, &path, &html).await else { continue };
        for (_, number) in numbers(&page.text) {
            // One more or one less in the last digit; what is small may well be another number of the page.
            if number.digits.len() < 3 || number.digits.contains('e') {
                continue;
            }
            let mut wrong = number.clone();
            let last = wrong.digits.pop();
            wrong.digits.push(if last == Some('9') {
                '8'
            } else {
                last.map_or('0', |last| char::from(last as u8 + 1))
            });
            planted += 1;
            found += u32::from(!page.said.0.contains(&wrong) && !constants.contains(&wrong));
        }
    }
    assert!(planted > 300 && f64::from(found) > 0.8 * f64::from(planted), "{found} of {planted} were found");
}

/// What the program prints in a folder.
fn diag(folder: &Path, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    let output = command.current_dir(folder).args(args).env_remove("DIAG_TOKEN").output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

#[tokio::test]
async fn commands_print_what_the_twins_say() {
    let folder = Folder::new("parity-commands");
    let service = leaking();
    let [a, b] = [("a.diag", 15.0), ("b.diag", 30.0)].map(|(name, now)| folder.write(name, &service.at(now)));
    let viewer = folder.viewer();
    let overview = viewer.json("/api/v1").await;
    assert_eq!(
        overview["services"][0]["compared"]["judged"]["report"],
        diag(&folder, &["check", ".", "--format", "json"])
    );
    let pair = viewer.json(&format!("/api/v1/d/{a}..{b}")).await;
    assert_eq!(pair, diag(&folder, &["diff", "a.diag", "b.diag", "--format", "json"]));
    let finding = &pair["findings"][0];
    let id = finding["id"].as_str().expect("an id");
    assert_eq!(&viewer.json(&format!("/api/v1/d/{a}..{b}/v/{id}")).await["finding"], finding);
    let shown = diag(&folder, &["show", "b.diag", "--format", "json"]);
    let heap = &viewer.json(&format!("/api/v1/s/{b}/heap")).await["heap"];
    let tasks = viewer.json(&format!("/api/v1/s/{b}/tasks")).await;
    // A page may list more rows than the command, and begins with the same.
    for key in ["live", "live_blocks", "samples", "of_no_task", "of_ended_tasks", "since_start", "kinds"] {
        assert_eq!(heap[key], shown["heap"][key], "{key}");
    }
    for key in ["functions", "task_sites"] {
        let (page, command) =
            (heap[key].as_array().expect("rows"), shown["heap"][key].as_array().expect("rows"));
        assert!(!command.is_empty() && page.starts_with(command), "{key}");
    }
    assert_eq!(tasks["snapshot"]["tracked_tasks"], shown["tracked_tasks"]);
}
