//! Why the sampler is not there.

use std::fmt;

/// Why the sampler could not be turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnableError {
    /// The system gave no address space for the tables; heap samples are missing, nothing else.
    NoAddressSpace,
    /// The sampler works on Linux on x86-64 only; elsewhere [`Alloc`](super::Alloc) hands all through.
    Unsupported,
}

impl fmt::Display for EnableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnableError::NoAddressSpace => f.write_str(
                "the heap sampler got no address space for its tables: of what a limit leaves, diag takes a \
                 sixteenth at most, and the sampler needs 7 MiB of it; raise the limit (`ulimit -v`) or set \
                 DIAG_HEAP=off",
            ),
            EnableError::Unsupported => f.write_str(
                "the heap sampler works on Linux on x86-64 only; set DIAG_HEAP=off on this platform",
            ),
        }
    }
}

impl std::error::Error for EnableError {}
