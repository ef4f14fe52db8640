//! Decoders of this crate for the fuzz targets, under the feature `fuzz`.

use crate::Class;
use crate::frame::{FrameReader, HEADER};
use crate::hello::Hello;
use crate::status::Traffic;
use std::sync::Arc;
use types::Slot;

/// Largest payload in the stream of [`frames`], bytes.
const FRAME_MAX: usize = 1 << 16;

/// Decodes the payload of a hello and encodes it again.
pub fn hello(payload: &[u8]) -> Option<Vec<u8>> {
    let hello = Hello::decode(payload).ok()?;
    Some(hello.encode()[HEADER..].to_vec())
}

/// The payload of a sound hello.
pub fn some_hello() -> Vec<u8> {
    let (from, to, group) = (Slot(0), Slot(1), [7; 32]);
    let hello = Hello { class: Class::Control, from, to, group, in_flight: 4, frame_max: 1 << 16 };
    hello.encode()[HEADER..].to_vec()
}

/// Reads frames until the stream ends or breaks a rule; how many, and how long their payloads were.
pub fn frames(stream: &[u8]) -> (usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without drivers");
    runtime.block_on(async {
        let mut reader = FrameReader::new(stream, FRAME_MAX, Arc::new(Traffic::default()), None);
        let (mut count, mut bytes) = (0, 0);
        while let Ok((_, len)) = reader.header().await {
            let Ok(payload) = reader.payload(len).await else { break };
            count += 1;
            bytes += payload.len();
        }
        (count, bytes)
    })
}
