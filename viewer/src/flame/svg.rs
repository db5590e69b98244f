//! A slice as an SVG document, drawn by inferno.
//!
//! The document carries inferno's script for zoom and search, so it is a resource of its own: the
//! browser runs it without an origin and without the network (see [`CONTENT_SECURITY_POLICY`]).

use std::io;

use diag_analysis::heap_profile::Live;
use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{Direction, Options, from_lines};

use super::slice::Slice;
use super::tree::Tree;
use super::value::Value;

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

/// Functions of one crate have one colour: light ones, since inferno writes in black on both themes.
const CRATE_COLOURS: [Color; 8] = [
    rgb(0x9e, 0xc5, 0xd8),
    rgb(0xe3, 0xc1, 0x9a),
    rgb(0xb5, 0xcf, 0xa0),
    rgb(0xd3, 0xb6, 0xd6),
    rgb(0xe0, 0xb4, 0xae),
    rgb(0xa9, 0xcf, 0xc4),
    rgb(0xd8, 0xcf, 0x98),
    rgb(0xb4, 0xbc, 0xe0),
];
const FRAME_HEIGHT: usize = 18;

/// Draws the slice; fails only if inferno refuses a line.
pub(crate) fn draw(tree: &Tree, slice: &Slice<Live>, value: Value, theme: Theme) -> io::Result<Vec<u8>> {
    let lines = slice.folded(tree);
    let mut colours = PaletteMap::default();
    // The outermost frame, which inferno adds and calls `all`, has no name in the map.
    colours.insert("", CRATE_COLOURS[0]);
    for name in lines.iter().flat_map(|line| line.rsplit_once(' ').map_or("", |(path, _)| path).split(';')) {
        colours.insert(name.to_owned(), colour_of(name));
    }
    let mut options = options(theme);
    options.count_name = value.unit().to_owned();
    options.palette_map = Some(&mut colours);
    let mut svg = Vec::new();
    from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}

fn options<'a>(theme: Theme) -> Options<'a> {
    let (paper, ink) = match theme {
        Theme::Light => (rgb(0xff, 0xff, 0xff), rgb(0x1d, 0x27, 0x33)),
        Theme::Dark => (rgb(0x16, 0x1b, 0x22), rgb(0xde, 0xe4, 0xeb)),
    };
    let mut options = Options::default();
    options.title = String::new();
    options.name_type = String::new();
    options.bgcolors = Some(BackgroundColor::Flat(paper));
    options.uicolor = ink;
    // Frames were chosen already: inferno is not to drop any.
    options.min_width = 0.0;
    options.direction = Direction::Inverted;
    options.frame_height = FRAME_HEIGHT;
    options
}

/// By the crate in the name: `hub` of `<hub::Session as core::ops::Drop>::drop`.
fn colour_of(name: &str) -> Color {
    let path = name.trim_start_matches(['<', '&']);
    let of_crate = path.split("::").next().unwrap_or(path);
    let sum = of_crate.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    CRATE_COLOURS[sum % CRATE_COLOURS.len()]
}

const fn rgb(r: u8, g: u8, b: u8) -> Color {
    Color { r, g, b }
}
