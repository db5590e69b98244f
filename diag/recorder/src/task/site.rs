//! Spawn sites: each place in the code that spawns futures of one type gets a number, for ever.
//!
//! The look-up is on the spawn path, so it is a fixed open-addressed table over the addresses of
//! two statics, the caller's `Location` and what is told of the future's type: one multiplication and
//! mostly one probe. The compiler may have several copies of either static; the capture merges such twins
//! by content. Whoever is first to put a site into the table has given it its number: without a lock, which a
//! child could inherit from a thread that it does not have.

use std::any::type_name;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::core_layout::{Column, Table, column};
use crate::dropped::Dropped;

/// Number of a spawn site in this process, 20 bits; 0 stands for all sites beyond [`MAX_SITES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SiteId(pub(crate) u32);

/// Sites that are told apart. Half the table, so that probes stay short.
pub(crate) const MAX_SITES: usize = 1 << 14;
const TABLE: usize = MAX_SITES * 2;

/// What is spawned there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A task of a runtime.
    Task,
    /// A task of a `LocalSet` or `LocalRuntime`.
    Local,
    /// A closure on a blocking thread.
    Blocking,
    /// A future inside of a task.
    Future,
}

impl Kind {
    /// True if the runtime has it among its live tasks.
    #[inline]
    pub(crate) fn is_counted_by_tokio(self) -> bool {
        self == Kind::Task
    }
}

/// What is told of the type of a future, or of a closure.
#[derive(Debug)]
pub(crate) struct Code {
    type_name: fn() -> &'static str,
    /// Its size.
    pub(crate) bytes: usize,
}

impl Code {
    /// That of type `F`: a constant, so that a spawn passes one address.
    #[inline]
    pub(crate) fn of<F>() -> &'static Self {
        const { &Code { type_name: type_name::<F>, bytes: size_of::<F>() } }
    }

    /// Its `type_name`.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.type_name)()
    }
}

/// What a spawn site is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// The caller of `spawn`.
    pub(crate) location: &'static Location<'static>,
    pub(crate) code: &'static Code,
    pub(crate) kind: Kind,
}

impl Site {
    /// True for the very same statics: enough on the hot path, not for people.
    #[inline]
    fn same_statics(&self, other: &Site) -> bool {
        ptr::eq(self.location, other.location) && ptr::eq(self.code, other.code) && self.kind == other.kind
    }

    #[inline]
    fn hash(&self) -> usize {
        let location = ptr::from_ref(self.location) as u64;
        let code = ptr::from_ref(self.code) as u64;
        // Fibonacci hashing: the high bits of the product depend on all bits of both addresses.
        let mixed = (location ^ code.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (64 - TABLE.trailing_zeros())) as usize
    }
}

/// Id and description in one allocation, published through one pointer.
struct Entry {
    id: SiteId,
    site: Site,
    told: Told,
}

/// The same in words that a reader of cores understands.
struct Told {
    file: *const u8,
    file_len: usize,
    line: u32,
    column: u32,
    type_name: *const u8,
    type_len: usize,
    bytes: usize,
    /// By the order of [`Kind`].
    kind: u32,
}

impl Told {
    fn of(site: &Site) -> Self {
        let (location, type_name) = (site.location, site.code.type_name());
        Told {
            file: location.file().as_ptr(),
            file_len: location.file().len(),
            line: location.line(),
            column: location.column(),
            type_name: type_name.as_ptr(),
            type_len: type_name.len(),
            bytes: site.code.bytes,
            kind: site.kind as u32,
        }
    }
}

/// What a reader of cores is told of a site.
pub(crate) const COLUMNS: [Column; 9] = [
    column!(Entry, "id", id),
    column!(Entry, "file", told.file),
    column!(Entry, "file_len", told.file_len),
    column!(Entry, "line", told.line),
    column!(Entry, "column", told.column),
    column!(Entry, "type_name", told.type_name),
    column!(Entry, "type_len", told.type_len),
    column!(Entry, "bytes", told.bytes),
    column!(Entry, "kind", told.kind),
];
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

/// Where the addresses of the sites lie.
pub(crate) const fn places() -> Table {
    Table::at(
        "site_places",
        size_of::<AtomicPtr<Entry>>(),
        &[],
        (&raw const ENTRIES).cast_mut().cast(),
        TABLE,
    )
}

static ENTRIES: [AtomicPtr<Entry>; TABLE] = [const { AtomicPtr::new(std::ptr::null_mut()) }; TABLE];
/// Numbers given so far.
static NUMBERS: AtomicU32 = AtomicU32::new(0);
static OVERFLOWED: Dropped =
    Dropped::new("spawns_without_own_site", "a spawn shares a site with others, as 16,383 are told apart");

/// The number of `site`, given at its first spawn.
#[inline]
pub(crate) fn id_of(site: &Site) -> SiteId {
    let mut i = site.hash();
    loop {
        // Acquire: pairs with the Release in `register`.
        let entry = ENTRIES[i].load(Ordering::Acquire);
        // SAFETY: entries are published whole by `register` and never freed.
        match unsafe { entry.as_ref() } {
            Some(entry) if entry.site.same_statics(site) => return entry.id,
            Some(_) => i = (i + 1) % TABLE,
            None => return register(*site),
        }
    }
}

/// Adds `site`, unless another thread was faster.
#[cold]
fn register(site: Site) -> SiteId {
    let Some(id) = next_number() else {
        OVERFLOWED.count();
        return SiteId(0);
    };
    let new = Box::into_raw(Box::new(Entry { id, site, told: Told::of(&site) }));
    let mut i = site.hash();
    loop {
        // Release: pairs with the Acquire of whoever finds the entry; Acquire: of whoever was faster.
        let place = ENTRIES[i].compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: as in `id_of`.
        match place.map_err(|faster| unsafe { &*faster }) {
            Ok(_) => return id,
            Err(faster) if faster.site.same_statics(&site) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
                give_back(id);
                return faster.id;
            }
            Err(_) => i = (i + 1) % TABLE,
        }
    }
}

/// A number that no site has; none if all are given.
fn next_number() -> Option<SiteId> {
    let next = |given: u32| (given as usize + 1 < MAX_SITES).then_some(given + 1);
    let given = NUMBERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    given.ok().map(|given| SiteId(given + 1))
}

/// Nobody got this number: it is the next one's, or if others were given meanwhile, nobody's.
fn give_back(id: SiteId) {
    let _ = NUMBERS.compare_exchange(id.0, id.0 - 1, Ordering::Relaxed, Ordering::Relaxed);
}

/// All sites so far with their numbers, in that order. A number may be missing.
pub(crate) fn all() -> Vec<(SiteId, Site)> {
    // SAFETY: as in `id_of`.
    let entries = ENTRIES.iter().filter_map(|entry| unsafe { entry.load(Ordering::Acquire).as_ref() });
    let mut sites: Vec<(SiteId, Site)> = entries.map(|entry| (entry.id, entry.site)).collect();
    sites.sort_unstable_by_key(|(id, _)| id.0);
    sites
}

/// Spawns that had to share site 0 because the table was full.
pub(crate) fn overflowed() -> u64 {
    OVERFLOWED.times()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn here<F>(_: F) -> Site {
        Site { location: Location::caller(), code: Code::of::<F>(), kind: Kind::Task }
    }

    #[test]
    fn equal_sites_share_a_number_and_others_do_not() {
        let twice: Vec<Site> = (0..2).map(|_| here(async {})).collect();
        let other = here(async {});
        assert_eq!(id_of(&twice[0]), id_of(&twice[1]));
        assert_ne!(id_of(&twice[0]), id_of(&other));
        assert_ne!(id_of(&other), SiteId(0));
        assert!(all().iter().any(|(id, site)| *id == id_of(&other) && site.same_statics(&other)));
    }

    #[test]
    fn threads_agree_on_the_number_of_a_site() {
        let sites: Vec<Site> = sites_that_collide();
        let numbers = || sites.iter().map(id_of).collect::<Vec<_>>();
        let found: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(numbers)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(found.iter().all(|numbers| *numbers == found[0]), "{found:?}");
        let mut numbers = found[0].clone();
        numbers.sort_unstable_by_key(|id| id.0);
        numbers.dedup();
        assert_eq!(numbers.len(), sites.len(), "each has its own");
    }

    /// Sites of which each begins its search in the table where another one does: of more than it has places some do.
    fn sites_that_collide() -> Vec<Site> {
        let site = here(async {});
        let of_size = |bytes| &*Box::leak(Box::new(Code { type_name: site.code.type_name, bytes }));
        let mut sites: Vec<Site> = (0..40_000).map(|n| Site { code: of_size(n), ..site }).collect();
        sites.sort_by_key(Site::hash);
        let colliding = sites.chunk_by(|a, b| a.hash() == b.hash()).filter(|sites| sites.len() > 1);
        colliding.take(100).flatten().copied().collect()
    }

    #[test]
    fn one_line_tells_types_apart() {
        #[track_caller]
        fn helper<F>(f: F) -> SiteId {
            id_of(&here(f))
        }
        assert_ne!(helper(async {}), helper(async {}));
    }

    #[test]
    fn a_type_is_told_by_name_and_size() {
        let code = Code::of::<[u64; 3]>();
        assert_eq!((code.type_name(), code.bytes), ("[u64; 3]", 24));
    }
}
