//! What the operating system tells and does, in one place: the rest of the recorder asks here, and names no system.
//!
//! Every function is there on every system. What a system does not tell is `None`; what it does not do, as it only
//! spares something, is left. Which parts need stacks, and where these are taken, says `build.rs` of this package by
//! the cfgs `takes_stacks`, `samples_heap` and `profiles_cpu`.

mod clock;
mod descriptors;
mod exit;
mod forks;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(not(target_os = "linux"), path = "other.rs")]
mod here;
mod pages;
#[cfg_attr(not(takes_stacks), allow(dead_code, unused_imports, reason = "stacks need all of it"))]
pub(crate) mod procfs;
mod soft_limit;
mod threads;

pub(crate) use clock::{cpu_times_ns, precise_ns};
#[cfg(feature = "agent")]
pub(crate) use descriptors::{bound_send_buffer, is_out_of_descriptors, wait_until_readable};
pub(crate) use descriptors::{
    close, is_readable_within, largest_file_bytes, most_descriptors, open_descriptors,
};
pub(crate) use exit::{at_exit, exit_at_once};
pub(crate) use forks::at_fork;
#[cfg(test)]
pub(crate) use forks::{forked, forked_bare};
#[cfg(any(samples_heap, all(test, takes_stacks)))]
pub(crate) use here::errno;
#[cfg(samples_heap)]
pub(crate) use here::sockets::{SocketFacts, socket_facts, socket_state};
#[cfg(profiles_cpu)]
pub(crate) use here::{CpuTimer, process_cpu_ns};
pub(crate) use here::{
    Limits, chained, coarse_ns, coarse_step_ns, glibc_stats, in_cores, is_child_of_thread, lower_priority,
    name_thread, page_bytes, thread_has_child, thread_id, uptime_ns, wipe_on_fork,
};
#[cfg(takes_stacks)]
pub(crate) use here::{loader, own_memory, page_is_readable, signals};
pub(crate) use pages::{Access, InCores, allow, discard, map, unmap};
pub(crate) use threads::{USUAL_STACK_BYTES, run_on_thread, start_thread};

/// What a processor fetches from memory at once: a line, on most of them two.
pub(crate) const FETCHED_BYTES: usize =
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) { 128 } else { 64 };
