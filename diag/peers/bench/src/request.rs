//! What the driver asks of a peer: the arguments of its process, written and read in one place.

/// Runtimes under which task peers are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// One thread, judged by its own CPU time. This is the one that decides.
    CurrentThread,
    /// Two workers, judged by the CPU time of the process, which includes a peer's own threads.
    MultiThread,
}

/// What tasks do while they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Spawn an empty task and await its handle.
    Spawn,
    /// A task that wakes itself and is polled again.
    Poll,
    /// Two tasks that send a number to and fro over two channels of capacity 1.
    RoundTrip,
}

/// What is done with memory while allocators are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// 64 bytes allocated and freed.
    Pair,
    /// One step of a block that grows from 64 bytes to 1 KiB by doubling.
    Realloc,
    /// 4 KiB allocated, touched and freed.
    Block4KiB,
    /// 64 KiB allocated, each page touched, freed.
    Block64KiB,
    /// 1 MiB allocated, each page touched, freed.
    Block1MiB,
    /// One step of a block that grows to 1 MiB by 4 KiB, each page touched.
    Grow4KiB,
}

/// The allocator that does the work below the measured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// The system's `malloc`.
    System,
    /// mimalloc.
    Mimalloc,
    /// jemalloc.
    Jemalloc,
}

/// What a service does while it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// A request is a task, and a message to another one and back.
    Orders,
    /// A word of a text is put into an index.
    Churn,
    /// A request to an axum server, over a socket.
    Axum,
}

/// A request to a task peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskRequest {
    /// Print nanoseconds of each workload under its name.
    Time(Flavor),
    /// Run so many operations on one thread and print nothing: for callgrind.
    Count(Workload, u64),
    /// Park tasks whose future has so many words of state, and print `bytes` of each.
    Park(usize),
}

/// A request to a heap peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeapRequest {
    /// Print nanoseconds of each operation of each subject as `subject.operation`.
    Time(Inner),
    /// Run so many operations of this subject and print nothing: for callgrind.
    Count(String, Inner, Op, u64),
}

/// A request to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceRequest {
    /// Print the CPU time of one operation in nanoseconds, once for each line of standard input.
    Time(Load),
    /// Do so many operations on one thread and print nothing: for callgrind.
    Count(Load, u64),
}

/// Task sizes that [`TaskRequest::Park`] knows: 0 to 504 bytes in words.
pub const PARK_SIZES: usize = 64;

macro_rules! names {
    ($type:ident: $($variant:ident = $name:literal),+) => {
        impl $type {
            /// All of them, in the order of the tables.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// The name in arguments, figures and JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name),+
                }
            }

            fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

names!(Flavor: CurrentThread = "current_thread", MultiThread = "multi_thread");
names!(Workload: Spawn = "spawn", Poll = "poll", RoundTrip = "round_trip");
names!(Load: Orders = "orders", Churn = "churn", Axum = "axum");
names!(Inner: System = "system", Mimalloc = "mimalloc", Jemalloc = "jemalloc");
names!(Op: Pair = "pair", Realloc = "realloc", Block4KiB = "4k", Block64KiB = "64k", Block1MiB = "1m",
    Grow4KiB = "grow");

impl TaskRequest {
    /// The arguments of a peer's process.
    pub fn to_args(self) -> Vec<String> {
        match self {
            TaskRequest::Time(flavor) => words(["time", flavor.name()]),
            TaskRequest::Count(workload, count) => words(["count", workload.name(), &count.to_string()]),
            TaskRequest::Park(words_of_state) => words(["park", &words_of_state.to_string()]),
        }
    }

    /// The request in a process's arguments, if it is one.
    pub fn from_args(args: &[String]) -> Option<Self> {
        match strs(args)[..] {
            ["time", flavor] => Some(TaskRequest::Time(Flavor::named(flavor)?)),
            ["count", workload, count] => {
                Some(TaskRequest::Count(Workload::named(workload)?, count.parse().ok()?))
            }
            ["park", words_of_state] => {
                words_of_state.parse().ok().filter(|&words| words < PARK_SIZES).map(TaskRequest::Park)
            }
            _ => None,
        }
    }
}

impl HeapRequest {
    /// The arguments of a peer's process.
    pub fn to_args(&self) -> Vec<String> {
        match self {
            HeapRequest::Time(inner) => words(["time", inner.name()]),
            HeapRequest::Count(subject, inner, op, count) => {
                words(["count", subject, inner.name(), op.name(), &count.to_string()])
            }
        }
    }

    /// The request in a process's arguments, if it is one.
    pub fn from_args(args: &[String]) -> Option<Self> {
        match strs(args)[..] {
            ["time", inner] => Some(HeapRequest::Time(Inner::named(inner)?)),
            ["count", subject, inner, op, count] => Some(HeapRequest::Count(
                subject.to_owned(),
                Inner::named(inner)?,
                Op::named(op)?,
                count.parse().ok()?,
            )),
            _ => None,
        }
    }
}

impl ServiceRequest {
    /// The arguments of a service's process.
    pub fn to_args(self) -> Vec<String> {
        match self {
            ServiceRequest::Time(load) => words(["time", load.name()]),
            ServiceRequest::Count(load, count) => words(["count", load.name(), &count.to_string()]),
        }
    }

    /// The request in a process's arguments, if it is one.
    pub fn from_args(args: &[String]) -> Option<Self> {
        match strs(args)[..] {
            ["time", load] => Some(ServiceRequest::Time(Load::named(load)?)),
            ["count", load, count] => Some(ServiceRequest::Count(Load::named(load)?, count.parse().ok()?)),
            _ => None,
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_way_through_arguments() {
        let mut requests = vec![TaskRequest::Park(0), TaskRequest::Park(PARK_SIZES - 1)];
        requests.extend(Flavor::ALL.iter().map(|&flavor| TaskRequest::Time(flavor)));
        requests.extend(Workload::ALL.iter().map(|&workload| TaskRequest::Count(workload, 12)));
        for request in requests {
            assert_eq!(TaskRequest::from_args(&request.to_args()), Some(request));
        }
        for &op in Op::ALL {
            let request = HeapRequest::Count("diag".to_owned(), Inner::Mimalloc, op, 7);
            assert_eq!(HeapRequest::from_args(&request.to_args()), Some(request));
        }
        for &load in Load::ALL {
            for request in [ServiceRequest::Time(load), ServiceRequest::Count(load, 7)] {
                assert_eq!(ServiceRequest::from_args(&request.to_args()), Some(request));
            }
        }
    }

    #[test]
    fn other_arguments_are_no_request() {
        for args in [&["time"][..], &["time", "fast"], &["park", "64"], &["count", "spawn", "-1"], &[]] {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            assert_eq!(TaskRequest::from_args(&args), None, "{args:?}");
        }
    }
}
