//! The negative control: a guard makes a small leak of each kind at its start, and looks whether it is seen.
//!
//! A check that sees nothing is green for ever. So what is not seen is said, once a process for each reason, and fails
//! where somebody asks for that.

use super::tasks;
use crate::current::CurrentTask;
use crate::fork::Lock;
use crate::{messages, task};

/// What the guard of this root does not see, in sentences. On its thread, with the root current.
pub(super) fn blind_spots(root: CurrentTask) -> Vec<String> {
    [recorded(root), unrecorded(root)].into_iter().flatten().collect()
}

/// Says what is not seen, each thing once in a process: by stderr itself, as a harness shows what is printed of failed
/// tests only.
pub(super) fn say(blind_spot: &str) {
    static SAID: Lock<Vec<String>> = Lock::new(Vec::new());
    let mut said = SAID.lock();
    if !said.iter().any(|one| one == blind_spot) {
        said.push(blind_spot.to_owned());
        messages::note(&format_args!("leak guard: {blind_spot}"));
    }
}

fn recorded(root: CurrentTask) -> Option<String> {
    let probe = task::track(async {});
    let seen = tasks::left(root).len();
    drop(probe);
    let is_seen = seen == 1 && tasks::left(root).is_empty();
    let why =
        "no task is seen, as nothing is recorded: DIAG=off, or no memory for records; unset it for tests";
    (!is_seen).then(|| why.to_owned())
}

#[cfg(samples_heap)]
fn unrecorded(root: CurrentTask) -> Option<String> {
    use crate::census::{self, Origin};
    use crate::heap;

    #[repr(align(128))]
    struct Aligned([u8; 128]);

    let is_linked = heap::prepare_census();
    let probe = Box::new(Aligned([1; 128]));
    let address = std::hint::black_box(&*probe).0.as_ptr().addr();
    let mut is_seen = false;
    census::each(|pinned| {
        let block = pinned.block();
        is_seen |= block.address == address && block.origin == Origin::Recorded(root);
    });
    let why = match is_linked {
        Ok(true) if is_seen => return rules_that_miss(),
        Ok(true) => "the census is off: DIAG_CENSUS=off or DIAG=off",
        Ok(false) => {
            "diag::Alloc is not the allocator of this test: add `#[global_allocator] static ALLOC: diag::Alloc = \
             diag::Alloc::system();`"
        }
        Err(_) => "there is no address space for call stacks",
    };
    Some(format!("tasks and sockets of libraries are not seen, as {why}"))
}

/// What the census cannot tell with the tokio of this build.
#[cfg(samples_heap)]
fn rules_that_miss() -> Option<String> {
    let Some(rules) = crate::census::rules() else {
        return Some(
            "tasks and sockets of libraries are not seen, as the system refuses what they are learnt from"
                .into(),
        );
    };
    let missing = rules.missing();
    (!missing.is_empty()).then(|| format!("not all of libraries is seen: {}", missing.join("; ")))
}

#[cfg(not(samples_heap))]
fn unrecorded(_: CurrentTask) -> Option<String> {
    Some("tasks and sockets of libraries are not seen: on Linux on x86-64, with the feature heap, they would be".into())
}
