//! The JSON Schema of the document: `diag/diff/report.schema.json` is printed from here.
//!
//! All keys are always there, null if nothing is known. Later versions of a schema may add keys and kinds, so readers skip
//! those that they do not know.

use serde_json::{Map, Value, json};

use crate::report::SCHEMA;
use crate::rules::advice::Advice;
use crate::rules::evidence::Evidence;
use crate::rules::fact::{Fact, snake_case};
use crate::rules::holder::Holder;
use crate::rules::reason::Reason;
use crate::rules::remark::Remark;
use crate::rules::risk::Risk;
use crate::rules::wait::Wait;

/// Returns the schema of [`json::render`](super::render), indented, with a line end.
pub fn schema() -> String {
    let document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "What diag says of two or more snapshots of a service. Durations are nanoseconds (_ns), sizes bytes \
            (_bytes), moments RFC 3339.",
        "$ref": "#/$defs/report",
        "$defs": definitions(),
    });
    format!("{document:#}\n")
}

fn definitions() -> Value {
    let mut all = Map::new();
    let mut define = |name: &str, shape: Value| all.insert(name.to_owned(), shape);
    define("report", report());
    define("moment", moment());
    define("memory", memory());
    define("part", part());
    define("finding", finding());
    define("allowed", allowed());
    define("subject", object([("kind", text()), ("location", text()), ("name", or_null(text()))]));
    define("site", site());
    define("heap", heap());
    define("function", function());
    define("estimate", estimate());
    define("window", window());
    define("spread", object(["min", "p50", "max"].map(|key| (key, integer()))));
    define("change", change());
    define("evidence", said::<Evidence>());
    define("advice", said::<Advice>());
    define("risk", said::<Risk>());
    define("wait", said::<Wait>());
    define("holder", said::<Holder>());
    define("reason", said::<Reason>());
    define("remark", said::<Remark>());
    Value::Object(all)
}

fn report() -> Value {
    object([
        ("schema", json!({ "const": SCHEMA })),
        ("outcome", json!({ "enum": ["clean", "findings", "insufficient_data"] })),
        ("fails", json!({ "type": "boolean" })),
        ("fail_on", confidence()),
        ("reasons", list(of("reason"))),
        ("service", text()),
        ("same_process", json!({ "type": "boolean" })),
        ("window_ns", integer()),
        ("before", of("moment")),
        ("after", of("moment")),
        ("memory", list(of("part"))),
        ("findings", list(of("finding"))),
        ("allowed", list(of("allowed"))),
        ("notes", list(of("remark"))),
        ("sites", list(of("site"))),
        ("heap", or_null(of("heap"))),
    ])
}

fn moment() -> Value {
    object([
        ("taken", or_null(moment_in_time())),
        ("uptime_ns", integer()),
        ("pid", integer()),
        ("tracked_tasks", integer()),
        ("untracked_tasks", or_null(integer())),
        ("coverage_percent", or_null(number())),
        ("memory", or_null(of("memory"))),
    ])
}

fn memory() -> Value {
    object([
        ("rss_bytes", integer()),
        ("heap", or_null(of("estimate"))),
        ("held_free_bytes", or_null(integer())),
        ("stacks_bytes", or_null(integer())),
        ("files_bytes", or_null(integer())),
        ("diag_bytes", or_null(integer())),
        ("anonymous_bytes", or_null(integer())),
        ("swapped_bytes", or_null(integer())),
        ("mappings", or_null(integer())),
        ("unaccounted_bytes", integer()),
        ("limit_bytes", or_null(integer())),
        ("sentence", text()),
    ])
}

fn part() -> Value {
    let bytes = ["before_bytes", "after_bytes", "delta_bytes"].map(|key| (key, or_null(integer())));
    object([("part", text())].into_iter().chain(bytes))
}

fn finding() -> Value {
    object([
        ("id", text()),
        ("rule", text()),
        ("category", json!({ "enum": ["leak", "stuck", "runaway", "fault", "retention"] })),
        ("confidence", confidence()),
        ("subject", of("subject")),
        ("since", or_null(moment_in_time())),
        ("count", or_null(integer())),
        ("rate_per_s", or_null(number())),
        ("bytes", or_null(of("estimate"))),
        ("cell_bytes", or_null(integer())),
        ("allocated", or_null(of("estimate"))),
        ("growth", or_null(of("estimate"))),
        ("evidence", list(of("evidence"))),
        ("counter_evidence", list(of("evidence"))),
        ("waiting_at", or_null(of("wait"))),
        ("held_by", or_null(of("holder"))),
        ("advice", of("advice")),
        ("risk", of("risk")),
    ])
}

fn allowed() -> Value {
    object([
        ("until", json!({ "type": "string", "format": "date" })),
        ("reason", text()),
        ("finding", of("finding")),
    ])
}

fn site() -> Value {
    let counts = ["live", "stale", "spawned", "done", "cancelled", "panicked", "never_polled", "freed"];
    let moves = ["new", "ended", "survived"].map(|key| (key, or_null(integer())));
    let times = [
        ("usual_lifetime_ns", or_null(integer())),
        ("age_ns", or_null(of("spread"))),
        ("idle_ns", or_null(of("spread"))),
    ];
    let names = [("location", text()), ("name", text()), ("kind", text())];
    object(names.into_iter().chain(counts.map(|key| (key, of("change")))).chain(moves).chain(times))
}

fn heap() -> Value {
    object([
        ("total", object(growth())),
        ("window", or_null(of("window"))),
        ("of_ended_tasks_before", of("estimate")),
        ("of_ended_tasks_after", of("estimate")),
        ("sites", list(of("function"))),
    ])
}

fn function() -> Value {
    let by_task_site = object([("location", text()), ("live_bytes", integer())]);
    let more = [
        ("name", text()),
        ("location", text()),
        ("kind", text()),
        ("window", or_null(of("window"))),
        ("p", number()),
        ("ended_tasks_bytes", integer()),
        ("by_task_site", list(by_task_site)),
        ("stack", list(text())),
    ];
    object(more.into_iter().chain(growth()))
}

fn growth() -> [(&'static str, Value); 5] {
    [
        ("before_bytes", integer()),
        ("after_bytes", integer()),
        ("growth", of("estimate")),
        ("new_samples", integer()),
        ("gone_samples", integer()),
    ]
}

fn estimate() -> Value {
    object(["estimate_bytes", "low_bytes", "high_bytes"].map(|key| (key, integer())))
}

fn window() -> Value {
    let keys = ["allocated_blocks", "allocated_bytes", "freed_blocks", "freed_bytes"];
    object(keys.map(|key| (key, integer())))
}

fn change() -> Value {
    object([
        ("before", integer()),
        ("after", integer()),
        ("delta", integer()),
        ("percent", or_null(number())),
    ])
}

/// What a fact can say: one shape for each of its kinds, and the sentence that people read.
fn said<F: Fact>() -> Value {
    let shapes = F::shapes().into_iter().map(|(name, values)| {
        let kind = [("kind".to_owned(), json!({ "const": snake_case(name) }))];
        object(kind.into_iter().chain(values).chain([("text".to_owned(), text())]))
    });
    json!({ "oneOf": shapes.collect::<Vec<Value>>() })
}

fn object<K: Into<String>>(fields: impl IntoIterator<Item = (K, Value)>) -> Value {
    let properties: Map<String, Value> = fields.into_iter().map(|(key, shape)| (key.into(), shape)).collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn of(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn list(shape: Value) -> Value {
    json!({ "type": "array", "items": shape })
}

fn or_null(shape: Value) -> Value {
    json!({ "anyOf": [shape, { "type": "null" }] })
}

fn confidence() -> Value {
    json!({ "enum": ["possible", "likely", "proven"] })
}

fn moment_in_time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn integer() -> Value {
    json!({ "type": "integer" })
}

fn number() -> Value {
    json!({ "type": "number" })
}
