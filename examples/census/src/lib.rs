//! What the programs of this package share: the allocator below diag's, instructions counted by valgrind, and CPU time.

mod cpu_time;
mod instructions;

pub use cpu_time::{cpu_ns, least_cpu_ns};
pub use instructions::{Switch, per_operation};

/// The allocator below diag's.
#[cfg(feature = "mimalloc")]
pub type Inner = mimalloc::MiMalloc;
/// The allocator below diag's.
#[cfg(all(feature = "jemalloc", not(feature = "mimalloc")))]
pub type Inner = tikv_jemallocator::Jemalloc;
/// The allocator below diag's.
#[cfg(not(any(feature = "mimalloc", feature = "jemalloc")))]
pub type Inner = std::alloc::System;

/// Its value.
#[cfg(feature = "mimalloc")]
pub const INNER: Inner = mimalloc::MiMalloc;
/// Its value.
#[cfg(all(feature = "jemalloc", not(feature = "mimalloc")))]
pub const INNER: Inner = tikv_jemallocator::Jemalloc;
/// Its value.
#[cfg(not(any(feature = "mimalloc", feature = "jemalloc")))]
pub const INNER: Inner = std::alloc::System;

/// Its name.
pub const INNER_NAME: &str = if cfg!(feature = "mimalloc") {
    "mimalloc"
} else if cfg!(feature = "jemalloc") {
    "jemalloc"
} else {
    "system"
};
