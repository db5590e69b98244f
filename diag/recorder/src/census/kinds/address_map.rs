//! What lies at an address, as the kernel's list of mappings says.

use std::ops::Range;

use crate::sys::procfs::{self, Mapping};

/// What kind of memory an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Code,
    /// Of a file, and never written any more.
    Constant,
    Writable,
}

/// All mappings at one moment.
pub(super) struct AddressMap(Vec<(Range<u64>, Place)>);

impl AddressMap {
    /// As they are now; `None` where the kernel does not tell.
    pub(super) fn now() -> Option<Self> {
        let text = procfs::maps()?;
        Some(AddressMap(procfs::mappings(&text)?.iter().filter_map(place).collect()))
    }

    /// The ranges of this kind, ascending.
    pub(super) fn ranges(&self, kind: Place) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().filter(move |(_, place)| *place == kind).map(|(range, _)| range.clone())
    }

    /// Where an address lies; `None` outside of all of them.
    pub(super) fn place(&self, address: u64) -> Option<Place> {
        let at = self.0.partition_point(|(range, _)| range.end <= address);
        self.0.get(at).filter(|(range, _)| range.contains(&address)).map(|(_, place)| *place)
    }
}

fn place(mapping: &Mapping<'_>) -> Option<(Range<u64>, Place)> {
    let place = match mapping {
        Mapping { is_readable: false, .. } => return None,
        Mapping { is_executable: true, .. } => Place::Code,
        Mapping { is_writable: true, .. } => Place::Writable,
        Mapping { file: Some(_), .. } => Place::Constant,
        Mapping { .. } => return None,
    };
    Some((mapping.range.clone(), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    static CONSTANT: &str = "a text of the program";

    #[test]
    fn each_address_has_its_place() {
        let Some(map) = AddressMap::now() else { return };
        let function: fn() -> Option<AddressMap> = AddressMap::now;
        let on_heap = Box::new(1_u8);
        assert_eq!(map.place(function as usize as u64), Some(Place::Code));
        assert_eq!(map.place(CONSTANT.as_ptr().addr() as u64), Some(Place::Constant));
        assert_eq!(map.place(std::ptr::from_ref(&*on_heap).addr() as u64), Some(Place::Writable));
        assert_eq!([map.place(0), map.place(u64::MAX)], [None; 2]);
    }
}
