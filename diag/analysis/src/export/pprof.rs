//! The heap for pprof and its relatives; see [`pprof`].

use std::io;

use super::{Exporter, Needs};
use crate::Analysis;
use crate::pprof;

/// See the module.
pub(super) struct Format;

impl Exporter for Format {
    fn name(&self) -> &'static str {
        "pprof"
    }

    fn extension(&self) -> &'static str {
        "pb.gz"
    }

    fn content_type(&self) -> &'static str {
        "application/octet-stream"
    }

    fn about(&self) -> &'static str {
        "the live heap and what was allocated since start, for `go tool pprof`"
    }

    fn needs(&self) -> Needs {
        Needs::Heap
    }

    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(&pprof::heap(analysis))
    }
}
