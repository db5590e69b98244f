//! The figures as OpenMetrics; see [`metrics`].

use std::io;

use super::{Exporter, Needs};
use crate::Analysis;
use crate::metrics::{self, Syntax, Told};

/// See the module.
pub(super) struct Format;

impl Exporter for Format {
    fn name(&self) -> &'static str {
        "openmetrics"
    }

    fn extension(&self) -> &'static str {
        "openmetrics.txt"
    }

    fn content_type(&self) -> &'static str {
        Syntax::OpenMetrics.content_type()
    }

    fn about(&self) -> &'static str {
        "figures by spawn site as OpenMetrics 1.0, for Prometheus and its relatives"
    }

    fn needs(&self) -> Needs {
        Needs::Figures
    }

    fn export(&self, analysis: &Analysis, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(metrics::text(analysis, Syntax::OpenMetrics, &mut Told::default()).as_bytes())
    }
}
