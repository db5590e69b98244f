//! The executable and the shared libraries of this process, as the dynamic loader knows them.
//!
//! Not called from the hook: it allocates, and the loader has a lock.

use std::ffi::{CStr, CString, c_int, c_void};
use std::mem::offset_of;
use std::ops::Range;

use super::module::LoadedModule;
use crate::fork;
use crate::sys::procfs::EXECUTABLE;

/// The unwind tables of a module, in memory that stays.
pub(super) struct UnwindTables {
    /// Addresses of `.eh_frame_hdr` in the file, and its bytes.
    pub(super) index: (Range<u64>, &'static [u8]),
    /// The same of `.eh_frame`.
    pub(super) frames: (Range<u64>, &'static [u8]),
}

impl LoadedModule {
    /// The tables, after making sure that the module is never unloaded: a walk may read them at any
    /// time. `None` if it has none or is gone already.
    pub(super) fn pinned_tables(&self) -> Option<UnwindTables> {
        if !(self.is_executable || keep_loaded(&self.path)) {
            return None;
        }
        let bytes = |file: &Range<u64>| {
            // SAFETY: the range lies in a segment of the module, which the loader maps read-only and,
            // as was just made sure, for ever.
            unsafe { bytes_at(self.base.wrapping_add(file.start), file.end - file.start) }
        };
        let (index, frames) = (self.index.clone()?, self.frames.clone()?);
        Some(UnwindTables { index: (index.clone(), bytes(&index)), frames: (frames.clone(), bytes(&frames)) })
    }
}

/// Where the functions of a module begin: the index of its unwind tables, sorted by address.
pub(super) struct Functions {
    memory: Range<u64>,
    /// Where the index lies, which its entries count from.
    at: u64,
    entries: &'static [[u8; Functions::ENTRY]],
}

impl Functions {
    /// A start and the place of its table, 32 bits each.
    const ENTRY: usize = 8;

    /// Those of this module; `None` if it has no index, or one of another form than every linker writes.
    pub(super) fn of(module: &LoadedModule) -> Option<Self> {
        let (file, bytes) = module.pinned_tables()?.index;
        // Version 1; the address of the tables; their number in 32 bits; entries relative to the index.
        let [1, 0x1B, 0x03, 0x3B, _, _, _, _, a, b, c, d, entries @ ..] = bytes else { return None };
        let count = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let entries = entries.as_chunks().0.get(..count)?;
        Some(Functions { memory: module.memory.clone(), at: module.base.wrapping_add(file.start), entries })
    }

    /// Where the function begins that `ip` lies in; `None` outside of the module.
    pub(super) fn start_of(&self, ip: u64) -> Option<u64> {
        let start = |[a, b, c, d, ..]: &[u8; Functions::ENTRY]| {
            self.at.wrapping_add_signed(i32::from_le_bytes([*a, *b, *c, *d]).into())
        };
        let after = self.entries.partition_point(|entry| start(entry) <= ip);
        self.memory.contains(&ip).then(|| self.entries.get(after.checked_sub(1)?).map(start))?
    }
}

/// All modules that are loaded now.
pub(crate) fn loaded() -> Vec<LoadedModule> {
    let mut modules: Vec<LoadedModule> = Vec::new();
    // SAFETY: the callback gets the pointer that is passed here, to a vector that outlives the call.
    fork::undisturbed(|| unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut modules).cast()) });
    modules
}

/// How often a module was loaded or unloaded since start: if the number is the same as before, so are the
/// modules. `None` if the loader does not count.
pub(super) fn changes() -> Option<u64> {
    let mut changes = None;
    // SAFETY: the callback gets the pointer that is passed here, to a value that outlives the call.
    fork::undisturbed(|| unsafe { libc::dl_iterate_phdr(Some(count_changes), (&raw mut changes).cast()) });
    changes
}

/// # Safety
/// `changes` must point to the value to set, `info` to `size` bytes of what the loader describes a
/// module with.
unsafe extern "C" fn count_changes(
    info: *mut libc::dl_phdr_info,
    size: usize,
    changes: *mut c_void,
) -> c_int {
    if size >= offset_of!(libc::dl_phdr_info, dlpi_subs) + size_of::<libc::c_ulonglong>() {
        // SAFETY: both by the promise of the caller; the fields lie within the size that was told.
        unsafe {
            let sum = (*info).dlpi_adds.wrapping_add((*info).dlpi_subs);
            *changes.cast::<Option<u64>>() = Some(sum);
        }
    }
    // The counters are the process's and the same for each module: one is enough.
    1
}

/// # Safety
/// `modules` must point to the vector to fill, `info` to what the loader describes a module with.
unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, modules: *mut c_void) -> c_int {
    // SAFETY: both by the promise of the caller.
    let (info, modules) = unsafe { (&*info, &mut *modules.cast::<Vec<LoadedModule>>()) };
    modules.extend(describe(info, modules.is_empty()));
    0
}

/// The executable is the first that the loader tells of, whatever the C library calls it.
fn describe(info: &libc::dl_phdr_info, is_executable: bool) -> Option<LoadedModule> {
    if info.dlpi_phdr.is_null() {
        return None;
    }
    // SAFETY: the loader keeps the program headers of a loaded module mapped and tells their number.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let base = info.dlpi_addr;
    let of_kind = |kind| headers.iter().filter(move |header| header.p_type == kind);
    let in_memory = |header: &libc::Elf64_Phdr| {
        // SAFETY: the loader has mapped the segment, and unloads nothing while it calls us.
        unsafe { bytes_at(base.wrapping_add(header.p_vaddr), header.p_memsz) }
    };
    let index = of_kind(libc::PT_GNU_EH_FRAME).next();
    let frames = index.and_then(|index| {
        let start = frames_address(in_memory(index), index.p_vaddr)?;
        let segments =
            of_kind(libc::PT_LOAD).map(|segment| segment.p_vaddr..segment.p_vaddr + segment.p_filesz);
        segments.into_iter().find(|segment| segment.contains(&start)).map(|segment| start..segment.end)
    });
    Some(LoadedModule {
        is_executable,
        path: if is_executable { executable_path() } else { loader_name(info) },
        build_id: of_kind(libc::PT_NOTE).find_map(|notes| build_id(in_memory(notes))),
        base,
        memory: base.wrapping_add(of_kind(libc::PT_LOAD).map(|segment| segment.p_vaddr).min()?)
            ..base
                .wrapping_add(of_kind(libc::PT_LOAD).map(|segment| segment.p_vaddr + segment.p_memsz).max()?),
        index: index.map(|index| index.p_vaddr..index.p_vaddr + index.p_memsz),
        frames,
    })
}

/// # Safety
/// The bytes must be mapped for reading and neither change nor go while the result is in use.
unsafe fn bytes_at<'a>(address: u64, len: u64) -> &'a [u8] {
    // SAFETY: by the promise of the caller.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address as usize), len as usize) }
}

/// The loader's name of the module.
fn loader_name(info: &libc::dl_phdr_info) -> String {
    if info.dlpi_name.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the loader keeps the C string while it calls us.
    unsafe { CStr::from_ptr(info.dlpi_name) }.to_string_lossy().into_owned()
}

fn executable_path() -> String {
    let exe = std::fs::read_link(EXECUTABLE);
    exe.map_or_else(|_| EXECUTABLE.to_owned(), |exe| exe.to_string_lossy().into_owned())
}

/// Counts one more use of a loaded library, for ever; false if no library of this name is loaded.
fn keep_loaded(path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
    // SAFETY: a C string; with NOLOAD nothing is loaded and no initializer runs.
    !fork::undisturbed(|| unsafe { libc::dlopen(path.as_ptr(), flags) }).is_null()
}

/// Where `.eh_frame` lies, from the header of its index (Linux Standard Base 10.6.2): version 1, then
/// three encodings, then the address. Every linker writes it as 32 bits relative to the field.
fn frames_address(index: &[u8], index_at: u64) -> Option<u64> {
    const RELATIVE_I32: u8 = 0x1B;
    match index {
        [1, RELATIVE_I32, _, _, a, b, c, d, ..] => {
            let distance = i32::from_le_bytes([*a, *b, *c, *d]);
            Some(index_at.wrapping_add(4).wrapping_add_signed(distance.into()))
        }
        _ => None,
    }
}

/// The description of the note "GNU" number 3, if it is the first or a later note here.
fn build_id(mut notes: &[u8]) -> Option<String> {
    loop {
        let word = |at: usize| Some(u32::from_le_bytes(notes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (name_len, len, kind) = (word(0)?, word(4)?, word(8)?);
        let start = 12 + name_len.next_multiple_of(4);
        let description = notes.get(start..start.checked_add(len)?)?;
        if kind == 3 && notes.get(12..12 + name_len)? == b"GNU\0" {
            return Some(diag_symbols::hex(description));
        }
        notes = notes.get(start + len.next_multiple_of(4)..)?;
    }
}
