//! What devices and the hub say to each other: small binary frames over any stream of bytes.
//!
//! A frame is the length of its payload (four bytes, big-endian), its kind (one byte), and the payload. Only
//! `Hello` is answered, so that a quiet device costs no traffic from the hub.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::truth::Place;

/// The longest payload; a longer one is an error before a byte of it is read.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

const HEADER_BYTES: usize = 5;

/// The number that a device is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub u64);

/// The number of what a device does, from its own log to the tasks that the hub spawns for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    /// 32 hexadecimal digits, as collectors of traces have them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where the payloads of frames are allocated.
pub(super) static PAYLOAD_PLACE: Place = Place::new();

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Device to hub, the first on every line: who is calling.
    Hello(DeviceId),
    /// Hub to device: the session is open, or found again.
    Welcome,
    /// Device to hub: still here.
    Heartbeat,
    /// Device to hub: readings to keep.
    Telemetry(Vec<u8>),
    /// Device to hub: a clean end.
    Bye,
    /// Device to hub: what follows is of this trace.
    Trace(TraceId),
}

impl Frame {
    /// The bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Frame::Hello(id) => (1, &id.0.to_be_bytes()[..]),
            Frame::Welcome => (2, &[][..]),
            Frame::Heartbeat => (3, &[][..]),
            Frame::Telemetry(readings) => (4, &readings[..]),
            Frame::Bye => (5, &[][..]),
            Frame::Trace(id) => (6, &id.0.to_be_bytes()[..]),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn decode(kind: u8, payload: Vec<u8>) -> Result<Frame, FrameError> {
        let wrong_length = FrameError::WrongLength { kind, bytes: payload.len() };
        match kind {
            1 => payload
                .try_into()
                .map(|id| Frame::Hello(DeviceId(u64::from_be_bytes(id))))
                .or(Err(wrong_length)),
            4 => Ok(Frame::Telemetry(payload)),
            2 | 3 | 5 if !payload.is_empty() => Err(wrong_length),
            2 => Ok(Frame::Welcome),
            3 => Ok(Frame::Heartbeat),
            5 => Ok(Frame::Bye),
            6 => payload
                .try_into()
                .map(|id| Frame::Trace(TraceId(u128::from_be_bytes(id))))
                .or(Err(wrong_length)),
            _ => Err(FrameError::UnknownKind(kind)),
        }
    }
}

/// Reads the next frame.
///
/// # Errors
/// [`FrameError::LineLost`] when the stream ends or breaks, even in the middle of a frame; the others when the
/// other side does not speak this protocol.
pub async fn read_frame(line: &mut (impl AsyncRead + Unpin)) -> Result<Frame, FrameError> {
    let mut header = [0; HEADER_BYTES];
    line.read_exact(&mut header).await.or(Err(FrameError::LineLost))?;
    let [a, b, c, d, kind] = header;
    let bytes = u32::from_be_bytes([a, b, c, d]) as usize;
    if bytes > MAX_PAYLOAD_BYTES {
        return Err(FrameError::TooLong { bytes });
    }
    let mut payload = PAYLOAD_PLACE.note(vec![0; bytes]);
    line.read_exact(&mut payload).await.or(Err(FrameError::LineLost))?;
    Frame::decode(kind, payload)
}

/// Writes one frame.
///
/// # Errors
/// [`FrameError::LineLost`] when the other side is gone.
pub async fn write_frame(line: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> Result<(), FrameError> {
    line.write_all(&frame.encode()).await.or(Err(FrameError::LineLost))
}

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The stream ended or broke.
    LineLost,
    /// The header announces more than [`MAX_PAYLOAD_BYTES`].
    TooLong {
        /// Announced length.
        bytes: usize,
    },
    /// No such kind of frame.
    UnknownKind(u8),
    /// The payload has not the length that this kind must have.
    WrongLength {
        /// Kind of the frame.
        kind: u8,
        /// Length of its payload.
        bytes: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::LineLost => write!(f, "the line was lost"),
            FrameError::TooLong { bytes } => {
                write!(f, "a frame of {bytes} bytes is announced, {MAX_PAYLOAD_BYTES} are allowed")
            }
            FrameError::UnknownKind(kind) => write!(f, "no frame has the kind {kind}"),
            FrameError::WrongLength { kind, bytes } => {
                write!(f, "a frame of kind {kind} cannot have a payload of {bytes} bytes")
            }
        }
    }
}

impl std::error::Error for FrameError {}
