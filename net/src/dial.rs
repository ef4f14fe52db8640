//! The dialer's side: connect, say hello, run the link, wait, again (section 4.3).
//!
//! Guarantees: one attempt at a time per peer and class; the waiting time doubles up to the cap
//! and falls back after a finished hello; a burst of quick attempts comes first (`backoff.rs`). A changed address is tried at once; an answer on the
//! other class cuts the waiting down to the first step.

use std::sync::Arc;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::hello::{self, Hello, HelloError};
use crate::link;
use crate::net::Shared;
use crate::peer::{Class, PeerState};
use crate::transport::{Stream, TransportError};

pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<PeerState>, class: Class) {
    let (first, max) = (shared.config.redial_first, shared.config.redial_max);
    let mut backoff = Backoff::new(first, max, now());
    while peer.end.reason().is_none() {
        let attempt = tokio::select! {
            attempt = connect(&shared, &peer, class) => attempt,
            _ = peer.end.closed() => return,
        };
        match attempt {
            Ok((stream, theirs)) => {
                backoff.reset(now());
                link::run(&shared, &peer, class, stream, &theirs).await;
            }
            Err(DialError::Hello(error)) => link::hello_failed(&peer, Some(class), &error),
            Err(DialError::Transport(error)) => {
                let new = peer.lane(class).note_error(error.to_string());
                // A peer that stays away is worth one line, not one per attempt.
                if new {
                    tracing::info!(peer = %peer.slot, %class, %error, "cannot dial");
                }
            }
        }
        if !pause(&peer, class, &mut backoff).await {
            return;
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Waits until the next attempt is due; false if there shall be none.
async fn pause(peer: &PeerState, class: Class, backoff: &mut Backoff) -> bool {
    let lane = peer.lane(class);
    let mut due = Instant::now() + backoff.next();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due) => return true,
            () = lane.wake.notified() => {
                backoff.reset(now());
                return true;
            }
            () = lane.hint.notified() => {
                backoff.reset(now());
                due = due.min(Instant::now() + backoff.next());
            }
            _ = peer.end.closed() => return false,
        }
    }
}

enum DialError {
    Transport(TransportError),
    Hello(HelloError),
}

async fn connect(
    shared: &Shared,
    peer: &PeerState,
    class: Class,
) -> Result<(Box<dyn Stream>, Hello), DialError> {
    let addresses = peer.addresses();
    let dialled = shared.transport.dial(&peer.key, &addresses).await;
    let mut connection = dialled.map_err(DialError::Transport)?;
    // The transport promises this; a transport that breaks the promise must not get further.
    if connection.peer != peer.key {
        let address = connection.remote;
        let reason = "the transport returned another peer".to_owned();
        return Err(DialError::Transport(TransportError::Handshake { address, reason }));
    }
    let ours = shared.hello(peer.slot, class);
    let limit = shared.config.handshake_timeout;
    let theirs =
        hello::offer(&mut *connection.stream, &ours, limit).await.map_err(DialError::Hello)?;
    Ok((connection.stream, theirs))
}
