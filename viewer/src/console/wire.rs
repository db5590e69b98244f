//! The few shapes of tokio-console's protocol that all of its messages are made of.

use console_api::field::{Name, Value};
use console_api::{Attribute, Field, Id, Location, MetaId, Metadata, RegisterMetadata, metadata};
use prost_types::{Duration, Timestamp};

use console_api::register_metadata::NewMetadata;
use diag_analysis::human;

/// What its spans are about. The client knows a task, a resource or an operation by the target of its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Task = 1,
    Socket = 2,
    Channel = 3,
    Other = 4,
    Operation = 5,
}

impl Target {
    const ALL: [(Target, &'static str, &'static str); 5] = [
        (Target::Task, "runtime.spawn", "tokio::task"),
        (Target::Socket, "runtime.resource", "tokio::net"),
        (Target::Channel, "runtime.resource", "tokio::sync::mpsc"),
        (Target::Other, "runtime.resource", "diag"),
        (Target::Operation, "runtime.resource.async_op", "diag"),
    ];

    pub(super) fn id(self) -> Option<MetaId> {
        Some(MetaId { id: self as u64 })
    }

    /// All of them, which come before whatever names one.
    pub(super) fn register() -> RegisterMetadata {
        let new = |(target, name, path): &(Target, &str, &str)| NewMetadata {
            id: target.id(),
            metadata: Some(Metadata {
                name: (*name).to_owned(),
                target: (*path).to_owned(),
                kind: metadata::Kind::Span.into(),
                level: metadata::Level::Trace.into(),
                ..Metadata::default()
            }),
        };
        RegisterMetadata { metadata: Target::ALL.iter().map(new).collect() }
    }
}

pub(super) fn id(id: u64) -> Option<Id> {
    Some(Id { id })
}

/// A moment of a process that started at `start_unix_us`, so long after its start.
pub(super) fn timestamp(start_unix_us: u64, us: u64) -> Timestamp {
    let unix_us = start_unix_us.saturating_add(us);
    Timestamp { seconds: (unix_us / 1_000_000) as i64, nanos: (unix_us % 1_000_000) as i32 * 1_000 }
}

pub(super) fn duration(ns: u64) -> Duration {
    Duration { seconds: (ns / 1_000_000_000) as i64, nanos: (ns % 1_000_000_000) as i32 }
}

pub(super) fn text(name: &str, value: impl Into<String>) -> Field {
    field(name, Value::StrVal(value.into()))
}

pub(super) fn number(name: &str, value: u64) -> Field {
    field(name, Value::U64Val(value))
}

pub(super) fn flag(name: &str, value: bool) -> Field {
    field(name, Value::BoolVal(value))
}

fn field(name: &str, value: Value) -> Field {
    Field { name: Some(Name::StrName(name.to_owned())), value: Some(value), metadata_id: None }
}

/// A figure that changes, with its unit if it has one.
pub(super) fn attribute(field: Field, unit: Option<&str>) -> Attribute {
    Attribute { field: Some(field), unit: unit.map(str::to_owned) }
}

/// A place in the code, safe to print; what is 0 is not known.
pub(super) fn location(file: &str, line: u32, column: u32) -> Option<Location> {
    let known = |number: u32| (number > 0).then_some(number);
    let file = Some(human::name(file)).filter(|file| !file.is_empty())?;
    Some(Location { file: Some(file), module_path: None, line: known(line), column: known(column) })
}
