//! What was allocated and freed since start, by stack and by spawn site.

use super::site::SiteIndex;
use super::stack::StackIndex;
use crate::schema::table;
use crate::units::Bytes;

table! {
    /// What a call stack has allocated since start, and what of it was freed, by whomever: estimates from sampled
    /// blocks, exact if every block is recorded. A stack without any has no row.
    StackTotalsRow in stack_totals, since 1.2 {
        /// Who allocated; the innermost frame.
        stack: StackIndex as Delta;
        /// Blocks allocated.
        allocated_blocks: u64 as Plain;
        /// Bytes allocated, growth by reallocation included.
        allocated_bytes: u64 as Plain of Bytes;
        /// Of these blocks, freed.
        freed_blocks: u64 as Plain;
        /// Of these bytes, freed, shrinkage by reallocation included.
        freed_bytes: u64 as Plain of Bytes;
    }
}

table! {
    /// What the tasks of a spawn site have allocated since start, and what of it was freed, by whomever: estimates
    /// from sampled blocks, exact if every block is recorded. A site without any has no row.
    SiteTotalsRow in site_totals, since 1.2 {
        /// Where the tasks were spawned.
        site: SiteIndex as Delta;
        /// Blocks allocated.
        allocated_blocks: u64 as Plain;
        /// Bytes allocated, growth by reallocation included.
        allocated_bytes: u64 as Plain of Bytes;
        /// Of these blocks, freed.
        freed_blocks: u64 as Plain;
        /// Of these bytes, freed, shrinkage by reallocation included.
        freed_bytes: u64 as Plain of Bytes;
    }
}
