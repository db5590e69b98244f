//! Mistakes to make: each stands alone, and shows without the others.

/// A mistake that the hub makes if it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Tasks of devices that lost their line wait for ever, for want of a grace time.
    GhostDevices,
    /// The session map keeps the readings of departed devices for ever, for want of a sweeper.
    MapNoTtl,
    /// Nobody takes the command channel of a departed device away, and its listener waits on.
    ListenerNotClosed,
    /// The journal that each device's task has as a task-local forgets nothing.
    BigTaskLocal,
    /// Buffers go back to a pool that hands none out.
    BufferPoolHoard,
    /// The alarm of a device owns the device's calibration, and so is never out of date.
    ClosureCapturesState,
    /// The sensor is read again for each tick that was missed.
    TickBurst,
    /// Each readings that an open fuse turns away make it stay open for longer.
    FuseStuckOpen,
    /// What the archive did not take spawns two more tries, and each of these does so in its turn.
    RetrySpawns,
    /// Some readings are packed by a call that blocks the thread.
    BlockingHandler,
    /// The model of a device is a slice of the packet that it came in.
    SliceRetainsPacket,
}

impl Fault {
    /// Its name on the command line.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Mistakes that are made together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Faults {
    /// True if this one is among them.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & bit(fault) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        let all = <Fault as clap::ValueEnum>::value_variants().iter().copied();
        all.filter(move |&fault| self.has(fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Faults(faults.into_iter().fold(0, |all, fault| all | bit(fault)))
    }
}

fn bit(fault: Fault) -> u16 {
    1 << fault as u16
}
