//! Files and lines of addresses, from one run of a unit's line program, and the paths of its files.

use gimli::{LineProgramHeader, UnitRef};

use crate::debug_info::Bytes;
use crate::probe::Probe;

/// A place in the source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Number of the file in the unit.
    pub(crate) file: Option<u64>,
    pub(crate) line: Option<u32>,
}

/// The files of a unit.
pub(crate) struct Files<'a>(Option<LineProgramHeader<Bytes<'a>>>);

/// The place of each of these addresses, which ascend, and the files: as far as the program is in order.
pub(crate) fn of<'a>(unit: UnitRef<'_, Bytes<'a>>, probes: &[Probe]) -> (Vec<Option<Place>>, Files<'a>) {
    let mut places = vec![None; probes.len()];
    let Some(program) = unit.line_program.clone() else { return (places, Files(None)) };
    let mut rows = program.rows();
    // What was said last, from which address on.
    let mut last: Option<(u64, Place)> = None;
    let mut is_first = true;
    // The linker sets what it has thrown away to the address 0, where no code is.
    let mut is_gone = false;
    while let Ok(Some((_, row))) = rows.next_row() {
        if is_first {
            is_gone = row.address() == 0;
        }
        if let Some((from, place)) = last.filter(|_| !is_gone) {
            let here = &mut places[Probe::within(probes, from..row.address())];
            here.iter_mut().for_each(|known| *known = known.or(Some(place)));
        }
        is_first = row.end_sequence();
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        let place = Place { file: Some(row.file_index()), line };
        last = (!row.end_sequence()).then_some((row.address(), place));
    }
    (places, Files(Some(rows.header().clone())))
}

impl<'a> Files<'a> {
    /// The path of a file: as the compiler was told it, below the folder that it ran in.
    pub(crate) fn path(&self, unit: UnitRef<'_, Bytes<'a>>, file: Option<u64>) -> Option<String> {
        let header = self.0.as_ref()?;
        let file = header.file(file?)?;
        let text = |bytes: Bytes<'_>| String::from_utf8_lossy(bytes.slice()).into_owned();
        let mut path = unit.comp_dir.map_or_else(String::new, text);
        // The folder with the number 0 is that of the unit.
        if file.directory_index() != 0
            && let Some(folder) = file.directory(header)
        {
            push(&mut path, &text(unit.attr_string(folder).ok()?));
        }
        push(&mut path, &text(unit.attr_string(file.path_name()).ok()?));
        Some(path)
    }
}

fn push(path: &mut String, part: &str) {
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(part);
}
