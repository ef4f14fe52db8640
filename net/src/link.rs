//! The life of one connection after the hello: wait for its turn, tell that it is up, move
//! frames, tell that it is down.
//!
//! Guarantees: of one peer and class at most one connection runs; a newer one ends the older
//! first, so that events never interleave. `PeerUp` and `PeerDown` alternate, and their permits
//! are taken beforehand, so that a peer that reconnects all the time cannot fill the memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::bulk::{BulkLink, ID};
use crate::closer::Closer;
use crate::control::{self, ControlLink};
use crate::error::DownReason;
use crate::events::NetEvent;
use crate::frame::{FrameReader, FrameWriter};
use crate::hello::Hello;
use crate::lock;
use crate::net::Shared;
use crate::peer::{Class, PeerState};
use crate::transport::Stream;

/// Time to say good-bye in order.
const GOODBYE: Duration = Duration::from_millis(500);

/// Runs a connection until it ends. `theirs` is the peer's hello.
pub(crate) async fn run(
    shared: &Shared,
    peer: &PeerState,
    class: Class,
    stream: Box<dyn Stream>,
    theirs: &Hello,
) {
    let lane = peer.lane(class);
    let closer = Arc::new(Closer::new());
    lane.enter(&closer);
    let waited = tokio::select! {
        ready = wait_turn(peer, class) => ready,
        _ = closer.closed() => None,
        _ = peer.end.closed() => None,
    };
    if let Some((_turn, up_permit, down_permit)) = waited {
        let slot = peer.slot;
        lane.set_up(true);
        tracing::info!(peer = %slot, %class, "link up");
        let announce = || {
            // Nobody listens any more only while shutting down.
            let _ = shared.events.send((NetEvent::PeerUp { slot, class }, Some(up_permit)));
            // The peer answers on this connection: its other one is worth a try now.
            peer.hint(class);
        };
        let reason = match class {
            Class::Control => run_control(shared, peer, stream, theirs, &closer, announce).await,
            Class::Bulk => run_bulk(shared, peer, stream, theirs, &closer, announce).await,
        };
        if let DownReason::Fault(fault) = &reason {
            peer.fault(*fault, Some(class));
        }
        lane.set_up(false);
        lane.note_error(reason.to_string());
        tracing::info!(peer = %slot, %class, %reason, "link down");
        let down = NetEvent::PeerDown { slot, class, reason };
        let _ = shared.events.send((down, Some(down_permit)));
    }
    lane.leave(&closer);
}

type Ready = (
    tokio::sync::OwnedMutexGuard<()>,
    tokio::sync::OwnedSemaphorePermit,
    tokio::sync::OwnedSemaphorePermit,
);

/// Waits for the connection before to end and for room for the two link events.
async fn wait_turn(peer: &PeerState, class: Class) -> Option<Ready> {
    let turn = Arc::clone(&peer.lane(class).turn).lock_owned().await;
    let up = control::event_permit(&peer.budgets.control_in).await?;
    let down = control::event_permit(&peer.budgets.control_in).await?;
    Some((turn, up, down))
}

async fn run_control(
    shared: &Shared,
    peer: &PeerState,
    stream: Box<dyn Stream>,
    theirs: &Hello,
    closer: &Closer,
    announce: impl FnOnce(),
) -> DownReason {
    let config = &shared.config;
    let frame_max = config.control_frame_max.min(theirs.frame_max as usize);
    let link = Arc::new(ControlLink::new(
        config.control_queue_frames,
        config.control_queue_bytes,
        frame_max,
    ));
    let (read, write) = tokio::io::split(stream);
    let max = config.control_frame_max;
    let mut reader = FrameReader::new(read, max, Arc::clone(&peer.traffic), None);
    let mut writer = FrameWriter::new(write, Arc::clone(&peer.traffic), None, config.stall_timeout);
    *lock(&peer.control) = Some(Arc::clone(&link));
    announce();
    let reason = tokio::select! {
        error = control::read_loop(&mut reader, peer, &shared.events) => error.into(),
        error = link.write_loop(&mut writer) => error.into(),
        reason = ended(peer, closer) => reason,
    };
    *lock(&peer.control) = None;
    link.close();
    goodbye(&mut writer.io).await;
    reason
}

async fn run_bulk(
    shared: &Shared,
    peer: &PeerState,
    stream: Box<dyn Stream>,
    theirs: &Hello,
    closer: &Closer,
    announce: impl FnOnce(),
) -> DownReason {
    let config = &shared.config;
    let body_max = config.bulk_frame_max.min(theirs.frame_max as usize);
    let in_flight_out = config.bulk_in_flight_out.min(theirs.in_flight);
    let link = Arc::new(BulkLink::new(in_flight_out, config.bulk_in_flight_in, body_max));
    let (read, write) = tokio::io::split(stream);
    let max = config.bulk_frame_max + ID;
    let mut reader =
        FrameReader::new(read, max, Arc::clone(&peer.traffic), shared.download.clone());
    let mut writer = FrameWriter::new(
        write,
        Arc::clone(&peer.traffic),
        shared.upload.clone(),
        config.stall_timeout,
    );
    *lock(&peer.bulk) = Some(Arc::clone(&link));
    announce();
    let reason = tokio::select! {
        error = link.read_loop(&mut reader, peer, &shared.requests) => error.into(),
        error = link.write_loop(&mut writer) => error.into(),
        reason = ended(peer, closer) => reason,
    };
    *lock(&peer.bulk) = None;
    link.close();
    goodbye(&mut writer.io).await;
    reason
}

/// Someone asked for the end of this connection or of all of the peer's.
async fn ended(peer: &PeerState, closer: &Closer) -> DownReason {
    tokio::select! {
        reason = closer.closed() => reason,
        reason = peer.end.closed() => reason,
    }
}

/// Lets the other side see an orderly end rather than a broken connection.
async fn goodbye(io: &mut (impl tokio::io::AsyncWrite + Unpin)) {
    let _ = timeout(GOODBYE, io.shutdown()).await;
}

/// The error that a failed hello exchange leaves in words and in the counters.
pub(crate) fn hello_failed(
    peer: &PeerState,
    class: Option<Class>,
    error: &crate::hello::HelloError,
) {
    if let crate::hello::HelloError::Fault(fault) = error {
        peer.fault(*fault, class);
    }
    let lane = peer.lane(class.unwrap_or(Class::Control));
    if lane.note_error(error.to_string()) {
        tracing::warn!(peer = %peer.slot, %error, "hello failed");
    }
}
