//! The live heap as a sampled profile in speedscope's own JSON:
//! <https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources>.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::{Exporter, Needs, live};
use crate::Analysis;
use crate::source_location::SourceLocation;

/// See the module.
pub(super) struct Format;

impl Exporter for Format {
    fn name(&self) -> &'static str {
        "speedscope"
    }

    fn extension(&self) -> &'static str {
        "speedscope.json"
    }

    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn about(&self) -> &'static str {
        "live heap bytes by call stack with lines, for https://www.speedscope.app"
    }

    fn needs(&self) -> Needs {
        Needs::Heap
    }

    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()> {
        let name = format!("live heap of {}", analysis.snapshot().process.service);
        serde_json::to_writer(out, &File::new(analysis, &name)).map_err(io::Error::from)
    }
}

/// The field names are those of the format.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: &'a str,
    shared: Shared<'a>,
    profiles: [Profile<'a>; 1],
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    r#type: &'static str,
    name: &'a str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    /// Indices of frames, outermost first.
    samples: Vec<Vec<usize>>,
    /// Bytes of each sample.
    weights: Vec<u64>,
}

impl<'a> File<'a> {
    fn new(analysis: &'a Analysis, name: &'a str) -> Self {
        let (mut frames, mut known) = (Vec::new(), BTreeMap::new());
        let mut index_of = |place: &'a SourceLocation| {
            *known.entry(place).or_insert_with(|| {
                frames.push(Frame { name: &place.function, file: place.file.as_deref(), line: place.line });
                frames.len() - 1
            })
        };
        let (mut samples, mut weights) = (Vec::new(), Vec::new());
        for (stack, bytes) in live::stacks(analysis) {
            samples.push(stack.into_iter().map(&mut index_of).collect());
            weights.push(bytes.round() as u64);
        }
        let end_value = weights.iter().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        let (r#type, unit, start_value) = ("sampled", "bytes", 0);
        File {
            schema: "https://www.speedscope.app/file-format-schema.json",
            exporter: concat!("diag ", env!("CARGO_PKG_VERSION")),
            name,
            shared: Shared { frames },
            profiles: [Profile { r#type, name, unit, start_value, end_value, samples, weights }],
        }
    }
}
