//! What the threads of the process have used of the CPUs.

use crate::schema::table;
use crate::strings::StringIndex;
use crate::units::{Micros, Nanos};

table! {
    /// A thread of the process, and what it has used since it began.
    ///
    /// All threads are here, up to 4,096 of them, whatever they do; [`ThreadRow`](crate::ThreadRow) is of the few that
    /// are held up in a poll.
    ThreadCpuRow in thread_cpu, since 1.6 {
        /// Kernel's id of the thread, which another one may get once this has ended.
        tid: u32 as Delta;
        /// Its name.
        name: Option<StringIndex> as Plain;
        /// Began at, by the kernel's ticks (10 ms).
        started_us: Option<u64> as Delta of Option<Micros>;
        /// Time that it ran on a CPU.
        cpu_ns: Option<u64> as Plain of Option<Nanos>;
        /// Time that it was ready to run and waited for a CPU.
        wait_ns: Option<u64> as Plain of Option<Nanos>;
        /// Whether it is a thread of the recorder.
        is_recorder: bool as Plain;
    }
}
