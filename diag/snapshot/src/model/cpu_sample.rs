//! Where code ran on a CPU, by call stack.

use super::stack::StackIndex;
use crate::schema::table;
use crate::units::Nanos;

table! {
    /// How often a call stack was seen on a CPU, and for how long it was there by that. The recorder takes such profiles on
    /// demand and writes them to no snapshot; who asked for one may add it, and an imported CPU profile has it.
    CpuSampleRow in cpu_samples, since 1.11 {
        /// Who ran; the innermost frame.
        stack: StackIndex as Delta;
        /// Samples.
        samples: u64 as Plain;
        /// The time that these stand for.
        cpu_ns: u64 as Plain of Nanos;
    }
}
