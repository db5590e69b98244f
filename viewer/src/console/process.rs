//! Numbers that stay unique when a service dies and another process takes its place.

use std::collections::BTreeMap;

/// The recorder's ids are that wide.
const ID_BITS: u32 = 44;

/// A process among all that a client may have seen: it tells apart what has the same id in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProcessNumber(u32);

impl ProcessNumber {
    const MOST: u32 = (1 << (u64::BITS - ID_BITS)) - 1;

    /// The number that the client knows this one by: of a task or a resource of the process.
    pub(super) fn id(self, id: u64) -> u64 {
        (u64::from(self.0) << ID_BITS) | (id & ((1 << ID_BITS) - 1))
    }
}

/// The processes that answered so far.
///
/// A number follows from the process alone wherever it can, so that a client that comes back to another `diag console` knows
/// its tasks again.
#[derive(Debug, Default)]
pub(super) struct ProcessNumbers {
    taken: BTreeMap<u32, u64>,
}

impl ProcessNumbers {
    /// The number of the process with this [`instance`](diag_snapshot::Process::instance).
    pub(super) fn number(&mut self, instance: u64) -> ProcessNumber {
        let folded = (instance ^ (instance >> 20) ^ (instance >> 40)) as u32 & ProcessNumber::MOST;
        let mut number = folded.max(1);
        // There are a million, and a process a second would take days to use them up; then two of them may meet.
        for _ in 0..ProcessNumber::MOST {
            match self.taken.get(&number) {
                Some(other) if *other != instance => number = (number % ProcessNumber::MOST) + 1,
                _ => break,
            }
        }
        self.taken.insert(number, instance);
        ProcessNumber(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_number_and_shares_it_with_no_other() {
        let mut numbers = ProcessNumbers::default();
        // The last two fold to one number.
        let processes = [7, 8, u64::MAX, 0, 1, 1 | (3 << 20) | (3 << 40)];
        let first = processes.map(|instance| numbers.number(instance));
        let again = processes.map(|instance| numbers.number(instance));
        assert_eq!(first, again);
        let mut ids: Vec<u64> = first.iter().map(|number| number.id(1)).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), processes.len(), "{first:?}");
        // Another `diag console` says the same of a process that it has alone.
        assert_eq!(ProcessNumbers::default().number(u64::MAX), first[2]);
        assert_eq!(first[0].id(u64::MAX) >> ID_BITS, first[0].id(0) >> ID_BITS);
    }
}
