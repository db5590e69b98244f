//! Frames survive the wire, and nothing else does.

use diag_examples::iothub::protocol::{DeviceId, Frame, FrameError, MAX_PAYLOAD_BYTES, TraceId, read_frame};

#[tokio::test]
async fn every_frame_comes_back_as_it_was() {
    let frames = [
        Frame::Hello(DeviceId(0)),
        Frame::Hello(DeviceId(u64::MAX)),
        Frame::Welcome,
        Frame::Heartbeat,
        Frame::Telemetry(vec![]),
        Frame::Telemetry(vec![7; MAX_PAYLOAD_BYTES]),
        Frame::Bye,
        Frame::Trace(TraceId(1 << 77)),
    ];
    let wire: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    let mut rest = &wire[..];
    for frame in frames {
        assert_eq!(read_frame(&mut rest).await, Ok(frame));
    }
    assert_eq!(read_frame(&mut rest).await, Err(FrameError::LineLost));
}

#[tokio::test]
async fn a_frame_cut_anywhere_is_a_lost_line() {
    let wire = Frame::Hello(DeviceId(7)).encode();
    for end in 0..wire.len() {
        assert_eq!(read_frame(&mut &wire[..end]).await, Err(FrameError::LineLost), "cut at {end}");
    }
}

#[tokio::test]
async fn what_is_no_frame_is_named() {
    let too_long = (MAX_PAYLOAD_BYTES as u32 + 1).to_be_bytes();
    check(&[&too_long[..], &[4]].concat(), "a frame of 65537 bytes is announced, 65536 are allowed").await;
    check(&[0, 0, 0, 0, 9], "no frame has the kind 9").await;
    check(&[0, 0, 0, 1, 1, 7], "a frame of kind 1 cannot have a payload of 1 bytes").await;
    check(&[0, 0, 0, 1, 5, 7], "a frame of kind 5 cannot have a payload of 1 bytes").await;
}

async fn check(mut wire: &[u8], expected: &str) {
    let error = read_frame(&mut wire).await.expect_err("this is no frame");
    assert_eq!(error.to_string(), expected);
}
