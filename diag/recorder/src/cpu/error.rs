//! Why no profile can be taken now.

use std::fmt;

/// See the module.
#[derive(Debug)]
pub(crate) enum CpuError {
    /// Another one is being taken.
    Busy,
    /// The service uses the signal or the timer itself.
    Taken,
    /// The system refuses it.
    Refused(std::io::Error),
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CpuError::Busy => f.write_str("another profile is being taken: ask again when it has ended"),
            CpuError::Taken => {
                f.write_str("the service uses SIGPROF itself: profile it by the means that it has")
            }
            CpuError::Refused(error) => write!(f, "the system allows no profile ({error})"),
        }
    }
}
