//! A slice as an SVG document, drawn by inferno.
//!
//! The document carries inferno's script for zoom and search, so it is a resource of its own: the
//! browser runs it without an origin and without the network (see [`CONTENT_SECURITY_POLICY`]).

use std::io;

use inferno::flamegraph::color::{BackgroundColor, BasicPalette, Color, Palette};
use inferno::flamegraph::{Direction, Options, from_lines};

use super::slice::Slice;

/// Its own script and style, and nothing else: no request, no cookie, no access to our pages.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; sandbox allow-scripts; frame-ancestors 'self'";

/// Which of the two looks of a page the picture is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Theme {
    #[default]
    Light,
    Dark,
}

/// Draws the slice; fails only if inferno refuses a line.
pub(crate) fn draw(slice: &Slice<'_>, theme: Theme) -> io::Result<Vec<u8>> {
    let lines = slice.folded();
    let mut svg = Vec::new();
    from_lines(&mut options(theme), lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}

fn options(theme: Theme) -> Options<'static> {
    let (paper, ink) = match theme {
        Theme::Light => ((255, 255, 255), (29, 39, 51)),
        Theme::Dark => ((22, 27, 34), (222, 228, 235)),
    };
    let colour = |(r, g, b)| Color { r, g, b };
    let mut options = Options::default();
    options.title = String::new();
    options.count_name = "bytes".to_owned();
    options.name_type = String::new();
    options.colors = Palette::Basic(BasicPalette::Orange);
    options.bgcolors = Some(BackgroundColor::Flat(colour(paper)));
    options.uicolor = colour(ink);
    options.deterministic = true;
    // Frames were chosen already: inferno is not to drop any.
    options.min_width = 0.0;
    options.direction = Direction::Inverted;
    options.frame_height = 18;
    options
}
