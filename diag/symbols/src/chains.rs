//! Which function an address lies in, and which functions are inlined there, from one pass over the entries of a unit.

use gimli::{AttributeValue, EntriesRaw, Error, RangeListsOffset, UnitOffset, UnitRef};

use crate::debug_info::Bytes;
use crate::lines::Place;
use crate::probe::Probe;

/// The functions at one address.
#[derive(Clone, Default)]
pub(crate) struct Chain {
    /// The one that was compiled; none if the unit does not know it.
    pub(crate) function: Option<UnitOffset>,
    /// Those that are inlined into it and into each other, the outermost first.
    pub(crate) inlined: Vec<Inlined>,
}

/// A call whose function stands in its place.
#[derive(Clone)]
pub(crate) struct Inlined {
    pub(crate) entry: UnitOffset,
    /// Where it is called.
    pub(crate) call: Place,
}

/// The functions at each of these addresses, which ascend: as far as the entries are in order.
pub(crate) fn of(unit: UnitRef<'_, Bytes<'_>>, probes: &[Probe]) -> Vec<Chain> {
    let mut chains = vec![Chain::default(); probes.len()];
    let _ = walk(unit, probes, &mut chains);
    chains
}

/// An entry of which children are being read.
struct Open {
    depth: isize,
    /// How many calls are inlined into each other up to here.
    level: usize,
    /// The addresses in it, ascending.
    members: Vec<usize>,
}

fn walk(unit: UnitRef<'_, Bytes<'_>>, probes: &[Probe], chains: &mut [Chain]) -> Result<(), Error> {
    let mut open: Vec<Open> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let (entry, depth) = (entries.next_offset(), entries.next_depth());
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        while open.last().is_some_and(|open| open.depth >= depth) {
            open.pop();
        }
        match (abbreviation.tag(), open.last()) {
            (gimli::DW_TAG_subprogram, _) => {
                let code = Code::read(unit, &mut entries, abbreviation.attributes())?;
                let mut members = code.members(unit, probes)?;
                // Where equal code was folded, several functions lie at one address.
                members.retain(|&member| chains[member].function.is_none());
                members.iter().for_each(|&member| chains[member].function = Some(entry));
                open.push(Open { depth, level: 0, members });
            }
            (gimli::DW_TAG_inlined_subroutine, Some(parent)) if !parent.members.is_empty() => {
                let code = Code::read(unit, &mut entries, abbreviation.attributes())?;
                let mut members = code.members(unit, probes)?;
                let level = parent.level;
                members.retain(|member| {
                    parent.members.binary_search(member).is_ok() && chains[*member].inlined.len() == level
                });
                let inlined = Inlined { entry, call: code.call };
                members.iter().for_each(|&member| chains[member].inlined.push(inlined.clone()));
                open.push(Open { depth, level: level + 1, members });
            }
            _ => entries.skip_attributes(abbreviation.attributes())?,
        }
    }
    Ok(())
}

/// Where the code of an entry lies, and where it is called.
#[derive(Default)]
struct Code {
    low: Option<u64>,
    high: Option<u64>,
    len: Option<u64>,
    ranges: Option<RangeListsOffset>,
    call: Place,
}

impl Code {
    fn read<'a>(
        unit: UnitRef<'_, Bytes<'a>>,
        entries: &mut EntriesRaw<'_, Bytes<'a>>,
        attributes: &[gimli::AttributeSpecification],
    ) -> Result<Self, Error> {
        let mut code = Code::default();
        for attribute in attributes {
            let attribute = entries.read_attribute(*attribute)?;
            let value = attribute.value();
            match attribute.name() {
                gimli::DW_AT_low_pc => code.low = unit.attr_address(value)?,
                gimli::DW_AT_high_pc => match value {
                    AttributeValue::Udata(len) => code.len = Some(len),
                    value => code.high = unit.attr_address(value)?,
                },
                gimli::DW_AT_ranges => code.ranges = unit.attr_ranges_offset(value)?,
                // Before version 5 the number 0 is no file.
                gimli::DW_AT_call_file => match value {
                    AttributeValue::FileIndex(file) if file > 0 || unit.header.version() >= 5 => {
                        code.call.file = Some(file);
                    }
                    _ => {}
                },
                gimli::DW_AT_call_line => {
                    let line = attribute.udata_value().and_then(|line| u32::try_from(line).ok());
                    code.call.line = line.filter(|&line| line > 0);
                }
                _ => {}
            }
        }
        Ok(code)
    }

    /// Which of the addresses lie in it, ascending.
    fn members(&self, unit: UnitRef<'_, Bytes<'_>>, probes: &[Probe]) -> Result<Vec<usize>, Error> {
        let mut members = Vec::new();
        if let Some(ranges) = self.ranges {
            let mut ranges = unit.ranges(ranges)?;
            while let Some(range) = ranges.next()? {
                members.extend(Probe::within(probes, range.begin..range.end));
            }
        } else if let Some(low) = self.low {
            // What the linker threw away begins at the end of all addresses.
            let high = self.high.or_else(|| low.checked_add(self.len?)).unwrap_or(low);
            members.extend(Probe::within(probes, low..high));
        }
        members.sort_unstable();
        members.dedup();
        Ok(members)
    }
}
