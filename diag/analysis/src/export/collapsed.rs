//! The live heap as collapsed stacks: a line for each call stack, `main;shop::cart::add 4096`, outermost function
//! first, with its live bytes.
//!
//! The format has no quoting. A `;` in a name becomes `,`, and a character that would end a line is escaped.

use std::collections::BTreeMap;
use std::io;

use super::{Exporter, Needs, live};
use crate::Analysis;

/// See the module.
pub(super) struct Format;

impl Exporter for Format {
    fn name(&self) -> &'static str {
        "collapsed"
    }

    fn extension(&self) -> &'static str {
        "folded"
    }

    fn content_type(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn about(&self) -> &'static str {
        "live heap bytes by call stack, a line each, for inferno-flamegraph and flamegraph.pl"
    }

    fn needs(&self) -> Needs {
        Needs::Heap
    }

    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()> {
        for (line, bytes) in lines(analysis) {
            writeln!(out, "{line} {}", bytes.round() as u64)?;
        }
        Ok(())
    }
}

/// Live bytes by what stands in a line before them.
fn lines(analysis: &Analysis) -> BTreeMap<String, f64> {
    let mut lines: BTreeMap<_, f64> = BTreeMap::new();
    for (stack, bytes) in live::stacks(analysis) {
        let names: Vec<String> = stack.iter().map(|place| frame(&place.function)).collect();
        *lines.entry(names.join(";")).or_default() += bytes;
    }
    lines
}

/// A name that can stand in a line.
fn frame(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            ';' => text.push(','),
            ' ' => text.push(' '),
            _ if char.is_control() || char.is_whitespace() => text.extend(char.escape_default()),
            _ => text.push(char),
        }
    }
    // An empty frame would be none.
    if text.trim().is_empty() { "(no name)".to_owned() } else { text }
}
