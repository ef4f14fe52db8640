//! What happens by the clock: withdrawals delivered, leases renewed, possession checked, lost chunks placed
//! again, expired chunks dropped, interrupted stores finished or given up.

use crate::objects::Objects;
use crate::rsm::Rsm;
use crate::storer::StorerService;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Between two rounds, unless something was removed.
const ROUND: Duration = Duration::from_secs(30);
/// Before the first round: links come up first.
const FIRST: Duration = Duration::from_secs(3);

/// Runs until `stopped`.
pub async fn run(
    objects: Arc<Objects>,
    storer: Arc<StorerService>,
    rsm: Rsm,
    mut stopped: watch::Receiver<bool>,
) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = sleep(pause) => {}
            () = objects.until_removed() => {}
        }
        pause = ROUND.min(objects.check_mean());
        // A failure of the store of promises ends the daemon elsewhere; here it ends the round.
        if let Err(error) = round(&objects, &storer, &rsm).await {
            tracing::error!(%error, "upkeep stops until the next round");
        }
    }
}

async fn round(
    objects: &Objects,
    storer: &StorerService,
    rsm: &Rsm,
) -> Result<(), crate::NodeError> {
    objects.deliver_withdrawals().await?;
    objects.renew().await?;
    objects.check_possession().await?;
    if objects.mend().await? > 0 {
        // The former storer may be the only one that can take the chunk again.
        objects.deliver_withdrawals().await?;
    }
    objects.finish_interrupted().await?;
    objects.expire().await?;
    storer.expire(rsm.tau()).await
}
