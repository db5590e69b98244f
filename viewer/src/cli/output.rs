//! Where and how a command prints: the format, the colour, and readers that go away.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use diag_diff::Report;
use diag_diff::report::log::SpanContext;
use diag_diff::report::{json, lines, markdown, text};

use super::exit::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One document
    Json,
    /// One record a line, with the ids of the span in TRACEPARENT
    Jsonl,
    /// For tickets
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

/// The choices of the command line, as far as printing goes.
pub(crate) struct Output {
    pub(crate) format: Format,
    coloured: bool,
    /// The span of whoever runs this, as build pipelines hand it on.
    pub(crate) span: Option<SpanContext>,
}

impl Output {
    pub(crate) fn new(format: Format, colour: Colour) -> Self {
        let coloured = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && io::stdout().is_terminal()
            }
        };
        let span = std::env::var("TRACEPARENT").ok().and_then(|parent| SpanContext::parse(&parent));
        Output { format, coloured, span }
    }

    /// Prints a judged diff in the chosen format.
    pub(crate) fn report(&self, report: &Report) -> Result<(), Failure> {
        print(&match self.format {
            Format::Text if self.coloured => text::render_coloured(report),
            Format::Text => text::render(report),
            Format::Json => json::render(report),
            Format::Jsonl => lines::render(report, self.span.as_ref()),
            Format::Markdown => markdown::render(report),
        })
    }
}

/// Prints to standard output. A reader that has seen enough and closed the pipe is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// The same for what need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Unreadable(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says something beside the output, on standard error.
#[expect(clippy::print_stderr, reason = "this is where notes reach people")]
pub(crate) fn note(text: &str) {
    eprintln!("diag: {text}");
}
