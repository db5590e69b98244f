//! Which model each of the last devices was, by the first bytes of its readings.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::fault::{Fault, Faults};
use super::protocol::DeviceId;

/// So many devices are remembered.
const REMEMBERED: usize = 8192;
/// A model has so many bytes.
const MODEL: usize = 16;

/// The models of the last devices.
pub(super) struct Models {
    faults: Faults,
    last: Mutex<VecDeque<(DeviceId, Bytes)>>,
}

impl Models {
    pub(super) fn new(faults: Faults) -> Self {
        Models { faults, last: Mutex::new(VecDeque::with_capacity(REMEMBERED)) }
    }

    fn last(&self) -> MutexGuard<'_, VecDeque<(DeviceId, Bytes)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the model of a device by a packet of its.
    pub(super) fn note(&self, id: DeviceId, packet: Vec<u8>) {
        let model = ..packet.len().min(MODEL);
        let model = if self.faults.has(Fault::SliceRetainsPacket) {
            // Fault `slice-retains-packet`: it saves a copy, and keeps the packet.
            Bytes::from(packet).slice(model)
        } else {
            Bytes::copy_from_slice(&packet[model])
        };
        let mut last = self.last();
        if last.back().is_some_and(|(known, _)| *known == id) {
            return;
        }
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((id, model));
    }

    /// How many devices are remembered.
    pub(super) fn len(&self) -> u64 {
        self.last().len() as u64
    }
}
