//! Names of functions in debug info: an inlined call, a copy or a definition refers to the entry that has the name, which
//! may be another unit's.

use std::rc::Rc;

use gimli::{
    AttributeValue, DW_AT_abstract_origin, DW_AT_linkage_name, DW_AT_name, DW_AT_specification,
    DebugInfoOffset, Dwarf, Unit, UnitOffset, UnitRef,
};

use crate::debug_info::Bytes;

/// From an entry to the one that has its name.
const MAX_STEPS: usize = 16;
/// Other units that stay parsed: link-time optimization inlines from few at a time, and each takes some KiB.
const KEPT: usize = 8;

/// Finds names.
pub(crate) struct Names<'d, 'a> {
    dwarf: &'d Dwarf<Bytes<'a>>,
    /// Where each unit begins, once it is asked.
    starts: Option<Vec<usize>>,
    /// Other units, that which was asked last at the end.
    kept: Vec<(usize, Rc<Unit<Bytes<'a>>>)>,
}

impl<'d, 'a> Names<'d, 'a> {
    pub(crate) fn new(dwarf: &'d Dwarf<Bytes<'a>>) -> Self {
        Names { dwarf, starts: None, kept: Vec::new() }
    }

    /// As the linker knows it, or else as the source has it; none if there is none, or damage.
    pub(crate) fn of(&mut self, unit: UnitRef<'_, Bytes<'a>>, entry: UnitOffset) -> Option<String> {
        let mut next = match step(unit, entry)? {
            Step::Name(name) => return Some(name),
            Step::Next(next) => next,
        };
        let mut other = None;
        for _ in 0..MAX_STEPS {
            let (in_other, entry) = match next {
                AttributeValue::UnitRef(entry) => (other.take(), entry),
                AttributeValue::DebugInfoRef(offset) => {
                    let (unit, entry) = self.find(offset)?;
                    (Some(unit), entry)
                }
                _ => return None,
            };
            let here = in_other.as_deref().map_or(unit, |other| UnitRef::new(self.dwarf, other));
            match step(here, entry)? {
                Step::Name(name) => return Some(name),
                Step::Next(further) => next = further,
            }
            other = in_other;
        }
        None
    }

    fn find(&mut self, offset: DebugInfoOffset) -> Option<(Rc<Unit<Bytes<'a>>>, UnitOffset)> {
        let starts = self.starts.get_or_insert_with(|| starts(self.dwarf));
        let start = *starts[..starts.partition_point(|&start| start <= offset.0)].last()?;
        let unit = match self.kept.iter().position(|(of, _)| *of == start) {
            Some(at) => self.kept.remove(at).1,
            None => Rc::new(self.dwarf.unit(self.dwarf.unit_header(DebugInfoOffset(start)).ok()?).ok()?),
        };
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push((start, Rc::clone(&unit)));
        let entry = offset.to_unit_offset(&unit.header)?;
        Some((unit, entry))
    }
}

fn starts(dwarf: &Dwarf<Bytes<'_>>) -> Vec<usize> {
    let mut units = dwarf.units();
    std::iter::from_fn(|| units.next().ok().flatten())
        .filter_map(|header| header.debug_info_offset())
        .map(|offset| offset.0)
        .collect()
}

enum Step<'a> {
    Name(String),
    Next(AttributeValue<Bytes<'a>>),
}

fn step<'a>(unit: UnitRef<'_, Bytes<'a>>, entry: UnitOffset) -> Option<Step<'a>> {
    let entry = unit.entry(entry).ok()?;
    if let Some(name) = entry.attr_value(DW_AT_linkage_name).or_else(|| entry.attr_value(DW_AT_name)) {
        let name = unit.attr_string(name).ok()?;
        return Some(Step::Name(String::from_utf8_lossy(name.slice()).into_owned()));
    }
    entry.attr_value(DW_AT_abstract_origin).or_else(|| entry.attr_value(DW_AT_specification)).map(Step::Next)
}

/// `<A, B>` of the name of a function, which has them in debug info.
pub(crate) fn type_parameters(unit: UnitRef<'_, Bytes<'_>>, mut entry: UnitOffset) -> Option<String> {
    /// From an inlined call to its function, and from that to its declaration.
    const MAX_STEPS: usize = 4;
    for _ in 0..MAX_STEPS {
        let here = unit.entry(entry).ok()?;
        if let Some(name) = here.attr_value(DW_AT_name) {
            let name = unit.attr_string(name).ok()?.to_string().ok()?;
            return name.find('<').map(|start| name[start..].to_owned());
        }
        let next = here.attr_value(DW_AT_abstract_origin).or_else(|| here.attr_value(DW_AT_specification));
        let Some(AttributeValue::UnitRef(next)) = next else { return None };
        entry = next;
    }
    None
}
