//! A one-shot, many-reader signal that says why something ends; the first reason wins.

use tokio::sync::watch;

use crate::error::DownReason;

pub(crate) struct Closer(watch::Sender<Option<DownReason>>);

impl Closer {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Asks for the end; later reasons are ignored.
    pub(crate) fn close(&self, reason: DownReason) {
        self.0.send_if_modified(|state| {
            let first = state.is_none();
            if first {
                *state = Some(reason);
            }
            first
        });
    }

    /// The reason, if the end was asked for.
    pub(crate) fn reason(&self) -> Option<DownReason> {
        self.0.borrow().clone()
    }

    /// Waits for the end to be asked for.
    pub(crate) async fn closed(&self) -> DownReason {
        let mut reader = self.0.subscribe();
        match reader.wait_for(Option::is_some).await {
            Ok(state) => state.clone().unwrap_or(DownReason::Shutdown),
            Err(_) => DownReason::Shutdown,
        }
    }
}
