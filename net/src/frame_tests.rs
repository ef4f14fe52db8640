//! Framing against hostile lengths, truncation and odd write sizes.

use super::*;

fn reader(bytes: &[u8], max: usize) -> FrameReader<&[u8]> {
    FrameReader::new(bytes, max, Arc::default(), None)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("runtime")
        .block_on(future)
}

fn framed(frame_kind: u8, payload: &[u8]) -> Vec<u8> {
    [&header(frame_kind, payload.len())[..], payload].concat()
}

#[test]
fn reader_small_and_large_frames_arrive_whole() {
    let large: Vec<u8> = (0..3 * FIRST_GROWTH + 17).map(|i| i as u8).collect();
    let sizes = [0, 1, SMALL_FRAME, SMALL_FRAME + 1, large.len(), 5];
    let mut wire = Vec::new();
    for size in sizes {
        wire.extend(framed(kind::CONTROL, &large[..size]));
    }
    run(async {
        let mut reader = reader(&wire, large.len());
        for size in sizes {
            assert_eq!(reader.header().await.expect("header"), (kind::CONTROL, size));
            assert_eq!(reader.payload(size).await.expect("payload"), large[..size]);
        }
        assert!(matches!(reader.header().await, Err(LinkError::Closed)));
    });
}

#[test]
fn reader_length_over_limit_is_refused_before_the_payload() {
    let wire = framed(kind::CONTROL, &[0; 11]);
    let outcome = run(async { reader(&wire, 10).header().await });
    assert!(matches!(outcome, Err(LinkError::Fault(FaultKind::FrameTooLong))));
    let outcome = run(async { reader(&[0xff; 5], 10).header().await });
    assert!(matches!(outcome, Err(LinkError::Fault(FaultKind::FrameTooLong))));
}

#[test]
fn reader_zero_length_is_malformed() {
    let outcome = run(async { reader(&[0; 5], 10).header().await });
    assert!(matches!(outcome, Err(LinkError::Fault(FaultKind::Malformed))));
}

#[test]
fn reader_claimed_length_without_bytes_ends_closed() {
    // A claim of 1 GiB with 10 bytes behind it.
    let wire = [&header(kind::REQUEST, 1 << 30)[..], &[1; 10]].concat();
    let outcome = run(async {
        let mut reader = reader(&wire, 1 << 30);
        let (_, len) = reader.header().await.expect("within the limit");
        reader.payload(len).await
    });
    assert!(matches!(outcome, Err(LinkError::Closed)));
}

#[test]
fn reader_discard_skips_exactly_the_payload() {
    let wire = [framed(kind::RESPONSE, &vec![7; 100_000]), framed(kind::CONTROL, b"x")].concat();
    run(async {
        let mut reader = reader(&wire, 200_000);
        let (_, len) = reader.header().await.expect("header");
        reader.discard(len).await.expect("discard");
        assert_eq!(reader.header().await.expect("header"), (kind::CONTROL, 1));
    });
}

/// Takes at most seven bytes a write.
#[derive(Default)]
struct Sip(Vec<u8>);

impl AsyncWrite for Sip {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        let taken = &buf[..buf.len().min(7)];
        self.0.extend_from_slice(taken);
        std::task::Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn writer_partial_writes_keep_order_and_bytes() {
    let long: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
    let empty: &[u8] = &[];
    let mut parts: Vec<&[u8]> = vec![empty, b"head", empty, &long];
    parts.extend((0..40).map(|i| &long[i..2 * i]));
    let traffic = Arc::new(Traffic::default());
    let mut writer =
        FrameWriter::new(Sip::default(), Arc::clone(&traffic), None, Duration::from_secs(5));
    run(writer.write(&parts)).expect("written");
    assert_eq!(writer.io.0, parts.concat());
    let sent = traffic.bytes_out.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(sent as usize, parts.concat().len());
}
