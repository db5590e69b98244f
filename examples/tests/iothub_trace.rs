//! The id of what a device does goes from the device to the tasks that the hub spawns for it, and by it they are found.

use std::time::Duration;

use diag_analysis::Analysis;
use diag_examples::iothub::protocol::{DeviceId, Frame, TraceId, read_frame};
use diag_examples::iothub::transport::{Transport, open};
use diag_examples::iothub::{Config, Hub, Times};
use diag_test_support::eventually::eventually;
use tokio::io::AsyncWriteExt;

/// Its readings go to an endpoint of the archive that is slow.
const DEVICE: DeviceId = DeviceId(2);
const TRACE: TraceId = TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readings_of_a_device_are_handed_over_in_the_name_of_its_trace() {
    let _diag = diag::Builder::new().service("iothub").agent(false).start();
    let (listener, connector) = open(Transport::Memory).await.expect("pipes need nothing");
    // The archive is waited for until long after the test.
    let fuses = Times { limit: Duration::from_secs(3600), ..Times::default() };
    let _hub = Hub::start(listener, Config { is_whole: true, fuses, ..Config::default() });

    let mut line = connector.connect().await.expect("the hub listens");
    line.write_all(&Frame::Hello(DEVICE).encode()).await.expect("it reads");
    assert_eq!(read_frame(&mut line).await, Ok(Frame::Welcome));
    for frame in [Frame::Trace(TRACE), Frame::Telemetry(vec![7; 100]), Frame::Bye] {
        line.write_all(&frame.encode()).await.expect("it reads");
    }

    let id = TRACE.to_string();
    assert_eq!(id, "4bf92f3577b34da6a3ce929d0e0e4736", "as the device's own log has it");
    eventually(Duration::from_secs(60), "a task has the trace", || {
        let analysis = Analysis::new(diag::snapshot().into_model());
        let Some(view) = analysis.request_view(&id, 10) else { return Err("none has") };
        assert_eq!((view.live, &view.trace_ids[..]), (1, &[id.clone()][..]));
        let task = &view.tasks[0];
        assert!(task.site.location.contains("src/iothub/archive.rs:"), "{task:?}");
        assert_eq!(analysis.request_view("4bf92f3577b34da6a3ce929d0e0e4737", 10), None);
        Ok(())
    });
}
