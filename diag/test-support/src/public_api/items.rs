//! From rustdoc's JSON to one line for each public item.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Result;

/// The public items of a crate, one a line, sorted.
pub(crate) fn list(documentation: &Value) -> Result<String> {
    let crate_ = Crate { index: &documentation["index"], paths: &documentation["paths"] };
    let root = crate_.item(&documentation["root"]).ok_or("rustdoc's JSON has no root")?;
    let mut lines = Lines(BTreeSet::new());
    crate_.module(root, name(root), &mut lines);
    if lines.0.is_empty() {
        return Err("no public item was found: rustdoc's JSON has another form".into());
    }
    Ok(lines.0.into_iter().map(|line| line + "\n").collect())
}

struct Lines(BTreeSet<String>);

impl Lines {
    fn add(&mut self, kind: &str, path: &str, item: &Value) {
        let hint = if is_non_exhaustive(item) { " #[non_exhaustive]" } else { "" };
        self.0.insert(format!("{path}  {kind}{hint}"));
    }
}

struct Crate<'a> {
    index: &'a Value,
    paths: &'a Value,
}

impl<'a> Crate<'a> {
    /// None if it is of another crate.
    fn item(&self, id: &Value) -> Option<&'a Value> {
        self.index.get(key(id))
    }

    fn items(&self, ids: &'a Value) -> impl Iterator<Item = &'a Value> {
        ids.as_array().into_iter().flatten().filter_map(|id| self.item(id))
    }

    fn module(&self, module: &'a Value, path: &str, lines: &mut Lines) {
        for item in self.items(&module["inner"]["module"]["items"]) {
            self.member(item, path, lines);
        }
    }

    /// What stands in a module.
    fn member(&self, item: &'a Value, path: &str, lines: &mut Lines) {
        let (kind, inner) = inner(item);
        if kind == "use" {
            return self.reexport(inner, path, lines);
        }
        self.named(item, &format!("{path}::{}", name(item)), lines);
    }

    fn reexport(&self, inner: &'a Value, path: &str, lines: &mut Lines) {
        let renamed = format!("{path}::{}", inner["name"].as_str().unwrap_or_default());
        match self.item(&inner["id"]) {
            Some(module) if inner["is_glob"] == true => self.module(module, path, lines),
            Some(item) => self.named(item, &renamed, lines),
            None => lines.add(&format!("use {}", self.origin(inner)), &renamed, &Value::Null),
        }
    }

    /// Full path of what is re-exported of another crate.
    fn origin(&self, inner: &Value) -> String {
        let path = self.paths.get(key(&inner["id"])).and_then(|summary| summary["path"].as_array());
        let parts = path.into_iter().flatten().filter_map(Value::as_str);
        let full = parts.collect::<Vec<_>>().join("::");
        if full.is_empty() { inner["source"].as_str().unwrap_or_default().to_owned() } else { full }
    }

    fn named(&self, item: &'a Value, path: &str, lines: &mut Lines) {
        let (kind, inner) = inner(item);
        lines.add(kind, path, item);
        match kind {
            "module" => self.module(item, path, lines),
            "struct" => {
                self.children(&inner["kind"]["plain"]["fields"], "field", path, lines);
                self.children(&inner["kind"]["tuple"], "field", path, lines);
                self.impls(inner, path, lines);
            }
            "enum" => {
                self.children(&inner["variants"], "variant", path, lines);
                self.impls(inner, path, lines);
            }
            "trait" => self.children(&inner["items"], "item", path, lines),
            _ => {}
        }
    }

    fn children(&self, ids: &'a Value, kind: &str, path: &str, lines: &mut Lines) {
        for item in self.items(ids) {
            lines.add(kind, &format!("{path}::{}", name(item)), item);
            let fields = &item["inner"]["variant"]["kind"]["struct"]["fields"];
            self.children(fields, "field", &format!("{path}::{}", name(item)), lines);
        }
    }

    /// What a type can do: its own functions, and the traits that it is of by what stands in the source.
    fn impls(&self, inner: &'a Value, path: &str, lines: &mut Lines) {
        for item in self.items(&inner["impls"]) {
            let block = &item["inner"]["impl"];
            let of = block["trait"]["path"].as_str();
            let is_given = block["is_synthetic"] == true || !block["blanket_impl"].is_null();
            match of {
                None => self.children(&block["items"], "function", path, lines),
                Some(_) if is_given => {}
                Some(of) => {
                    let short = of.rsplit("::").next().unwrap_or(of);
                    if short != "StructuralPartialEq" {
                        lines.add(&format!("impl {short}"), path, &Value::Null);
                    }
                }
            }
        }
    }
}

/// The kind of an item, and what is known of that kind.
fn inner(item: &Value) -> (&str, &Value) {
    let first = item["inner"].as_object().and_then(|inner| inner.iter().next());
    first.map_or(("", &Value::Null), |(kind, inner)| (kind.as_str(), inner))
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

/// Ids are numbers; they are keys as text.
fn key(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn is_non_exhaustive(item: &Value) -> bool {
    let attributes = item["attrs"].as_array();
    attributes.into_iter().flatten().any(|attribute| attribute.to_string().contains("non_exhaustive"))
}
