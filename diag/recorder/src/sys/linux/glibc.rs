//! What glibc says of its `malloc`.

use crate::allocator::AllocatorStats;

/// `struct mallinfo2` of glibc, whose ten fields are all `size_t`.
#[repr(C)]
struct Mallinfo2([usize; 10]);

/// What `mallinfo2` says; `None` if there is no such function.
pub(crate) fn glibc_stats() -> Option<AllocatorStats> {
    // SAFETY: looks a name up in what is loaded; the name is a C string.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mallinfo2".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: only glibc has a function of this name, and its manual gives it this type.
    let mallinfo2: extern "C" fn() -> Mallinfo2 = unsafe { std::mem::transmute(symbol) };
    // In this order: arena, ordblks, smblks, hblks, hblkhd (blocks that were mapped one by one), usmblks,
    // fsmblks, uordblks (blocks of the arenas), fordblks (free chunks), keepcost.
    let Mallinfo2([_, _, _, _, mapped_bytes, _, _, used_bytes, free_bytes, _]) = mallinfo2();
    Some(AllocatorStats {
        name: "glibc malloc".to_owned(),
        in_use_bytes: used_bytes.saturating_add(mapped_bytes) as u64,
        held_bytes: free_bytes as u64,
    })
}
