//! tokio's own task id, the one in users' logs, kept as bits.
//!
//! tokio shows the number only by formatting it, far too slow for a poll. So the first poll keeps
//! the id's bits, and the capture turns them back into an id and prints that: whatever the bits mean
//! to tokio, the number is the one that it prints.

use tokio::task::Id;

// An id with padding or without its niche would not survive the round trip.
const _: () = assert!(size_of::<Id>() == 8 && size_of::<Option<Id>>() == 8);

/// The bits of the running task's id; 0 outside of a tokio task.
pub(crate) fn current_bits() -> u64 {
    // SAFETY: 8 bytes without padding, by the assertion above; `None` takes the one invalid value.
    unsafe { std::mem::transmute::<Option<Id>, u64>(tokio::task::try_id()) }
}

/// The bits of an id.
#[cfg(samples_heap)]
pub(crate) fn bits(id: Id) -> u64 {
    // SAFETY: as above.
    unsafe { std::mem::transmute::<Id, u64>(id) }
}

/// The number that tokio prints for an id with these bits.
///
/// # Safety
/// `bits` came from [`current_bits`] in this process.
pub(crate) unsafe fn number(bits: u64) -> Option<u64> {
    // SAFETY: the same bits as an `Option<Id>` had, the caller says.
    let id = unsafe { std::mem::transmute::<u64, Option<Id>>(bits) };
    id?.to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_number_is_the_one_that_tokio_prints() {
        let (bits, shown) =
            tokio::spawn(async { (current_bits(), tokio::task::id().to_string()) }).await.unwrap();
        // SAFETY: just read.
        assert_eq!(unsafe { number(bits) }, shown.parse().ok());
    }

    #[test]
    fn outside_of_a_task_there_is_none() {
        assert_eq!(current_bits(), 0);
        // SAFETY: just read.
        assert_eq!(unsafe { number(current_bits()) }, None);
    }
}
