//! The published schema is the one that the code has, and every document that a test keeps is of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use diag_analysis::Analysis;
use diag_diff::report::json;
use diag_diff::{Policy, Series, judge_series};
use diag_test_support::golden::assert_golden;
use serde_json::{Value, from_str};

#[test]
fn the_published_schema_is_that_of_the_code() {
    assert_golden(path("report.schema.json"), &json::schema::schema());
}

#[test]
fn documents_are_of_the_schema() {
    let schema: Value = from_str(&json::schema::schema()).expect("JSON");
    let leak: Value = from_str(&read("../../testdata/diff/leak.json")).expect("JSON");
    assert_eq!(check(&schema, &schema, &leak, "leak"), Ok(()));
    let mut kinds = BTreeSet::new();
    for folder in std::fs::read_dir(path("../../testdata/series")).expect("it is there") {
        let folder = folder.expect("it can be listed").path();
        if !folder.is_dir() {
            continue;
        }
        let document: Value = from_str(&judged(&folder)).expect("JSON");
        assert_eq!(check(&schema, &schema, &document, &folder.display().to_string()), Ok(()));
        kinds_in(&document, &mut kinds);
    }
    assert!(kinds.len() > 30, "too few kinds of facts to prove much: {kinds:?}");
}

type Break = fn(&mut Value);

#[test]
fn what_is_not_of_the_schema_is_found() {
    let schema: Value = from_str(&json::schema::schema()).expect("JSON");
    let leak: Value = from_str(&read("../../testdata/diff/leak.json")).expect("JSON");
    let breaks: [(&str, Break); 5] = [
        ("a key is gone", |leak| drop(leak["findings"][0].as_object_mut().expect("one").remove("rule"))),
        ("a key is new", |leak| leak["findings"][0]["mood"] = Value::from("gloomy")),
        ("a type is another", |leak| leak["window_ns"] = Value::from("long")),
        ("a kind is unknown", |leak| leak["findings"][0]["risk"]["kind"] = Value::from("none_at_all")),
        ("a word is unknown", |leak| leak["outcome"] = Value::from("fine")),
    ];
    for (what, spoil) in breaks {
        let mut spoilt = leak.clone();
        spoil(&mut spoilt);
        assert!(check(&schema, &schema, &spoilt, "leak").is_err(), "{what}");
    }
}

/// A file of this package, or of `testdata`.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn judged(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).expect("it is there");
    let paths = files.map(|file| file.expect("it can be listed").path());
    let snapshots = paths.filter(|path| path.extension().is_some_and(|extension| extension == "diag"));
    let members = snapshots.map(|path| Analysis::new(diag_snapshot::file::read(&path).expect("whole").0));
    let series = Series::new(members.collect()).expect("one service");
    json::render(&judge_series(&series, &Policy::default()).expect("one service").expect("several"))
}

/// The part of JSON Schema that ours uses; a key that it does not name is an error here, though not to a reader.
fn check(root: &Value, shape: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = shape["$ref"].as_str() {
        let target = root.pointer(&reference[1..]).ok_or(format!("no {reference}"))?;
        return check(root, target, value, at);
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(shapes) = shape[choice].as_array() {
            let mut errors = shapes.iter().map(|shape| check(root, shape, value, at));
            let fits = errors.by_ref().any(|checked| checked.is_ok());
            return if fits { Ok(()) } else { Err(format!("{at}: fits none of {choice}: {value}")) };
        }
    }
    if !shape["const"].is_null() && shape["const"] != *value {
        return Err(format!("{at}: {value} is not {}", shape["const"]));
    }
    if shape["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return Err(format!("{at}: {value} is none of {}", shape["enum"]));
    }
    let is_right = match shape["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => true,
    };
    if !is_right {
        return Err(format!("{at}: {value} is no {}", shape["type"]));
    }
    for required in shape["required"].as_array().into_iter().flatten() {
        let key = required.as_str().expect("keys are strings");
        value.get(key).ok_or(format!("{at}: no {key}"))?;
    }
    if let (Some(properties), Some(fields)) = (shape["properties"].as_object(), value.as_object()) {
        for (key, field) in fields {
            let shape = properties.get(key).ok_or(format!("{at}: {key} is in no schema"))?;
            check(root, shape, field, &format!("{at}.{key}"))?;
        }
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        check(root, &shape["items"], item, &format!("{at}[{i}]"))?;
    }
    Ok(())
}

fn kinds_in(value: &Value, kinds: &mut BTreeSet<String>) {
    if let (Some(kind), Some(_)) = (value["kind"].as_str(), value["text"].as_str()) {
        kinds.insert(kind.to_owned());
    }
    let fields = value.as_object().into_iter().flat_map(|fields| fields.values());
    fields.chain(value.as_array().into_iter().flatten()).for_each(|value| kinds_in(value, kinds));
}
