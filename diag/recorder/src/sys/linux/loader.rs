//! What the dynamic loader tells of the executable and the shared libraries of this process.
//!
//! The loader has a lock of its own, which is not ours to take over in a child: call these
//! [`undisturbed`](crate::fork::undisturbed).

use std::ffi::{CStr, CString, c_int, c_void};
use std::mem::offset_of;
use std::ops::Range;

/// A module while the loader tells of it, in which nothing is unloaded.
pub(crate) struct Module<'a> {
    info: &'a libc::dl_phdr_info,
    headers: &'a [libc::Elf64_Phdr],
}

/// What a part of a module is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Mapped code or data.
    Segment,
    /// Notes, the build id among them.
    Notes,
    /// The index of the unwind tables.
    UnwindIndex,
}

/// A part of a module, at addresses of its file.
pub(crate) struct Part<'a> {
    /// As it is mapped.
    pub(crate) memory: Range<u64>,
    /// What of that the file has.
    pub(crate) file: Range<u64>,
    module: &'a Module<'a>,
}

impl Module<'_> {
    /// What is to be added to addresses of the file.
    pub(crate) fn base(&self) -> u64 {
        self.info.dlpi_addr
    }

    /// The loader's name of the module.
    pub(crate) fn name(&self) -> String {
        if self.info.dlpi_name.is_null() {
            return String::new();
        }
        // SAFETY: not null, and the loader keeps the C string while it calls us.
        unsafe { CStr::from_ptr(self.info.dlpi_name) }.to_string_lossy().into_owned()
    }

    /// Its parts of this kind.
    pub(crate) fn parts(&self, kind: Kind) -> impl Iterator<Item = Part<'_>> {
        let kind = match kind {
            Kind::Segment => libc::PT_LOAD,
            Kind::Notes => libc::PT_NOTE,
            Kind::UnwindIndex => libc::PT_GNU_EH_FRAME,
        };
        let of_kind = self.headers.iter().filter(move |header| header.p_type == kind);
        of_kind.map(|header| {
            let from = |bytes| header.p_vaddr..header.p_vaddr + bytes;
            Part { memory: from(header.p_memsz), file: from(header.p_filesz), module: self }
        })
    }
}

impl Part<'_> {
    /// Its bytes in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        let start = self.module.base().wrapping_add(self.memory.start);
        // SAFETY: the loader has mapped the segment, and unloads nothing while it calls us.
        unsafe { bytes_at(start, self.memory.end - self.memory.start) }
    }
}

/// # Safety
/// The bytes must be mapped for reading and neither change nor go while the result is in use.
pub(crate) unsafe fn bytes_at<'a>(address: u64, len: u64) -> &'a [u8] {
    // SAFETY: by the promise of the caller.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address as usize), len as usize) }
}

/// Shows each module that is loaded now, the executable first.
pub(crate) fn each_module<F: FnMut(&Module<'_>)>(mut see: F) {
    // SAFETY: the callback gets the pointer that is passed here, to a function that outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit::<F>), (&raw mut see).cast()) };
}

/// # Safety
/// `see` must point to the function to call, `info` to what the loader describes a module with.
unsafe extern "C" fn visit<F: FnMut(&Module<'_>)>(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    see: *mut c_void,
) -> c_int {
    // SAFETY: both by the promise of the caller.
    let (info, see) = unsafe { (&*info, &mut *see.cast::<F>()) };
    if !info.dlpi_phdr.is_null() {
        // SAFETY: the loader keeps the program headers of a loaded module mapped and tells their number.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        see(&Module { info, headers });
    }
    0
}

/// How often a module was loaded or unloaded since start: if the number is the same as before, so are the
/// modules. `None` if the loader does not count.
pub(crate) fn changes() -> Option<u64> {
    let mut changes = None;
    // SAFETY: the callback gets the pointer that is passed here, to a value that outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(count_changes), (&raw mut changes).cast()) };
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

/// Counts one more use of a loaded library, for ever; false if no library of this name is loaded.
pub(crate) fn keep_loaded(path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
    // SAFETY: a C string; with NOLOAD nothing is loaded and no initializer runs.
    !unsafe { libc::dlopen(path.as_ptr(), flags) }.is_null()
}
