//! The figures in Prometheus' own text format, for readers that know no OpenMetrics; see [`metrics`].

use std::io;

use super::{Exporter, Needs};
use crate::Analysis;
use crate::metrics::{self, Syntax, Told};

/// See the module.
pub(super) struct Format;

impl Exporter for Format {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn extension(&self) -> &'static str {
        "prom"
    }

    fn content_type(&self) -> &'static str {
        Syntax::Prometheus.content_type()
    }

    fn about(&self) -> &'static str {
        "the same figures in Prometheus' text format 0.0.4, also for node_exporter's textfile collector"
    }

    fn needs(&self) -> Needs {
        Needs::Figures
    }

    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(metrics::text(analysis, Syntax::Prometheus, &mut Told::default()).as_bytes())
    }
}
