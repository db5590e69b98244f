//! The live heap as allocations in the processed format of the Firefox Profiler, version 48, which newer ones read as well:
//! <https://github.com/firefox-devtools/profiler/blob/main/docs-developer/processed-profile-format.md>.
//!
//! Tables are columns of the same length, and rows refer to rows. There is no time in a snapshot of a heap, so there are no
//! samples: each stack is one allocation of as many bytes as live there, as the profiler has it of dhat.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Exporter, Needs, live};
use crate::Analysis;
use crate::source_location::SourceLocation;

/// See the module.
pub(super) struct Format;

impl Exporter for Format {
    fn name(&self) -> &'static str {
        "firefox"
    }

    fn extension(&self) -> &'static str {
        "firefox.json"
    }

    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn about(&self) -> &'static str {
        "live heap bytes by call stack with lines, for https://profiler.firefox.com"
    }

    fn needs(&self) -> Needs {
        Needs::Heap
    }

    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()> {
        serde_json::to_writer(out, &File::new(analysis)).map_err(io::Error::from)
    }
}

#[derive(Serialize)]
struct File {
    meta: Value,
    libs: [Value; 0],
    pages: [Value; 0],
    threads: [Value; 1],
}

impl File {
    fn new(analysis: &Analysis) -> Self {
        let mut tables = Tables::default();
        for (stack, bytes) in live::stacks(analysis) {
            tables.add(&stack, bytes.round() as u64);
        }
        let process = &analysis.snapshot().process;
        let started_ms = process.started_unix_us as f64 / 1e3;
        let meta = json!({
            "interval": 1, "startTime": started_ms, "processType": 0, "stackwalk": 1, "symbolicated": true,
            "product": process.service, "importedFrom": concat!("diag ", env!("CARGO_PKG_VERSION")),
            "abi": process.target, "misc": "", "oscpu": "", "platform": "", "toolkit": "", "appBuildID": "",
            "sourceURL": "", "physicalCPUs": 0, "logicalCPUs": 0, "version": 30, "preprocessedProfileVersion": 48,
            "extensions": { "id": [], "name": [], "baseURL": [], "length": 0 }, "markerSchema": [],
            "categories": [{ "name": "Other", "color": "grey", "subcategories": ["Other"] }],
        });
        File { meta, libs: [], pages: [], threads: [tables.thread(process.pid)] }
    }
}

/// Rows that are referred to, each once.
#[derive(Default)]
struct Tables<'a> {
    strings: Interned<&'a str>,
    functions: Interned<(&'a str, Option<&'a str>)>,
    frames: Interned<(usize, Option<u32>)>,
    /// The caller's stack, if there is one, and a frame.
    stacks: Interned<(Option<usize>, usize)>,
    /// The stack and the bytes of each allocation.
    allocations: (Vec<Option<usize>>, Vec<u64>),
}

/// Values in the order in which they came first, and the place of each.
struct Interned<K>(Vec<K>, BTreeMap<K, usize>);

impl<K> Default for Interned<K> {
    fn default() -> Self {
        Interned(Vec::new(), BTreeMap::new())
    }
}

impl<K: Copy + Ord> Interned<K> {
    fn place(&mut self, key: K) -> usize {
        *self.1.entry(key).or_insert_with(|| {
            self.0.push(key);
            self.0.len() - 1
        })
    }
}

impl<'a> Tables<'a> {
    /// Adds a stack, outermost function first.
    fn add(&mut self, stack: &[&'a SourceLocation], bytes: u64) {
        let mut caller = None;
        for location in stack {
            let function = self.functions.place((&location.function, location.file.as_deref()));
            let frame = self.frames.place((function, location.line));
            caller = Some(self.stacks.place((caller, frame)));
        }
        self.allocations.0.push(caller);
        self.allocations.1.push(bytes);
    }

    fn thread(mut self, pid: u32) -> Value {
        let functions = std::mem::take(&mut self.functions.0);
        let names: Vec<usize> = functions.iter().map(|(name, _)| self.strings.place(name)).collect();
        let files: Vec<Option<usize>> =
            functions.iter().map(|(_, file)| file.map(|file| self.strings.place(file))).collect();
        let (frames, stacks) = (&self.frames.0, &self.stacks.0);
        let (of_stack, bytes) = self.allocations;
        json!({
            "name": "live heap", "isMainThread": true, "processType": "default", "pid": pid.to_string(), "tid": pid,
            "processStartupTime": 0, "processShutdownTime": null, "registerTime": 0, "unregisterTime": null,
            "pausedRanges": [],
            "stringArray": self.strings.0,
            "funcTable": {
                "length": functions.len(), "name": names, "fileName": files,
                "isJS": same(&functions, false), "relevantForJS": same(&functions, false),
                "resource": same(&functions, -1), "lineNumber": none(&functions), "columnNumber": none(&functions),
            },
            "frameTable": {
                "length": frames.len(),
                "func": frames.iter().map(|(function, _)| function).collect::<Vec<_>>(),
                "line": frames.iter().map(|(_, line)| line).collect::<Vec<_>>(),
                "address": same(frames, -1), "inlineDepth": same(frames, 0), "category": same(frames, 0),
                "subcategory": same(frames, 0), "nativeSymbol": none(frames), "innerWindowID": none(frames),
                "implementation": none(frames), "column": none(frames),
            },
            "stackTable": {
                "length": stacks.len(),
                "prefix": stacks.iter().map(|(caller, _)| caller).collect::<Vec<_>>(),
                "frame": stacks.iter().map(|(_, frame)| frame).collect::<Vec<_>>(),
                "category": same(stacks, 0), "subcategory": same(stacks, 0),
            },
            "nativeAllocations": {
                "length": bytes.len(), "time": same(&bytes, 0), "weight": bytes, "weightType": "bytes",
                "stack": of_stack,
            },
            "samples": { "length": 0, "weightType": "samples", "weight": null, "eventDelay": [], "stack": [], "time": [] },
            "markers": { "length": 0, "data": [], "name": [], "startTime": [], "endTime": [], "phase": [], "category": [] },
            "resourceTable": { "length": 0, "lib": [], "name": [], "host": [], "type": [] },
            "nativeSymbols": { "length": 0, "libIndex": [], "address": [], "name": [], "functionSize": [] },
        })
    }
}

/// A column that says the same in each row.
fn same<R, V: Clone>(rows: &[R], value: V) -> Vec<V> {
    vec![value; rows.len()]
}

/// A column of which nothing is known.
fn none<R>(rows: &[R]) -> Vec<Option<u32>> {
    same(rows, None)
}
