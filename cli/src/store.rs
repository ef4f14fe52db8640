//! The snapshot layer's object store on top of the daemon's local API.
//!
//! Guarantees: (1) `put` returns only after the daemon said that every storer promised its chunk;
//! (2) a daemon that restarts in the middle is waited for, and every request may be repeated:
//! objects are named by their content; (3) a cancelled operation ends within a second.
//! Bounds: as many requests at once as the snapshot layer has threads.

use bytes::Bytes;
use node::client::{Client, ClientError};
use snapshot::{CancelToken, ObjectId, ObjectKind, ObjectStore, StoreError};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long a daemon that went away in the middle is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);

/// See the module's documentation.
pub struct ApiStore {
    client: Client,
    runtime: Handle,
    cancel: CancelToken,
}

impl ApiStore {
    /// A store over a client; calls must come from outside the runtime's own threads.
    pub fn new(client: Client, runtime: Handle, cancel: CancelToken) -> Self {
        Self { client, runtime, cancel }
    }

    /// Too few sound chunks are no damage while their storers are away.
    async fn too_few_are_up(&self, error: &ClientError) -> Option<StoreError> {
        let ClientError::Api(api) = error else { return None };
        if api.kind != "corrupt" {
            return None;
        }
        let status = self.client.status().await.ok()?;
        let up = status.members.iter().filter(|member| member.up).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (up < status.needed).then(|| StoreError::NotEnoughMembers {
            reached: count(up),
            needed: count(status.needed),
        })
    }

    fn run<T, F>(&self, request: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        // From the first failure: an object may be on its way for long before the daemon restarts.
        let mut failing: Option<Instant> = None;
        self.runtime.block_on(async {
            loop {
                let answer = tokio::select! {
                    answer = request() => answer,
                    () = cancelled(&self.cancel) => return Err(StoreError::Cancelled),
                };
                let error = match answer {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                let since = failing.get_or_insert_with(Instant::now);
                if !may_pass(&error) || since.elapsed() > PATIENCE {
                    tracing::info!("the daemon says: {error}");
                    let away = self.too_few_are_up(&error).await;
                    return Err(away.unwrap_or_else(|| store_error(error)));
                }
                tracing::debug!("asking the daemon again: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        })
    }
}

async fn cancelled(token: &CancelToken) {
    while !token.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether the same request may succeed in a moment: the daemon restarts or has its hands full.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Protocol(_) => true,
        ClientError::Api(api) => matches!(api.kind.as_str(), "busy" | "stopping" | "starting"),
    }
}

fn store_error(error: ClientError) -> StoreError {
    let api = match error {
        ClientError::Api(api) => api,
        ClientError::Unreachable { .. } => return StoreError::DaemonUnreachable,
        ClientError::Protocol(text) => return StoreError::Other(text),
    };
    let count = |number: Option<usize>| {
        number.map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX))
    };
    match api.kind.as_str() {
        "not_found" => StoreError::NotFound,
        "full" => StoreError::Full,
        "not_enough_members" => {
            StoreError::NotEnoughMembers { reached: count(api.reached), needed: count(api.needed) }
        }
        "timeout" => StoreError::Timeout,
        "corrupt" => StoreError::Corrupt,
        "stopping" => StoreError::DaemonUnreachable,
        _ => StoreError::Other(api.message),
    }
}

impl ObjectStore for ApiStore {
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        let entries = self.run(|| self.client.list(kind.as_str()))?;
        entries.into_iter().map(|entry| Ok((entry.id.parse()?, entry.size))).collect()
    }

    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError> {
        let hex = id.to_hex();
        self.run(|| self.client.get(kind.as_str(), &hex, range))
    }

    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError> {
        let hex = id.to_hex();
        self.run(|| self.client.put(kind.as_str(), &hex, bytes.clone()))
    }

    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError> {
        let hex = id.to_hex();
        match self.run(|| self.client.remove(kind.as_str(), &hex)) {
            // The answer to an earlier attempt was lost: what was asked for is the case.
            Err(StoreError::NotFound) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::wire::ApiError;

    fn api(kind: &str) -> ClientError {
        ClientError::Api(ApiError {
            kind: kind.into(),
            message: "m".into(),
            hint: "h".into(),
            reached: Some(3),
            needed: Some(7),
        })
    }

    #[test]
    fn answers_of_the_daemon_become_the_store_errors_with_their_own_exit_codes() {
        assert_eq!(store_error(api("not_found")), StoreError::NotFound);
        assert_eq!(store_error(api("full")), StoreError::Full);
        let few = StoreError::NotEnoughMembers { reached: 3, needed: 7 };
        assert_eq!(store_error(api("not_enough_members")), few);
        assert_eq!(store_error(api("internal")), StoreError::Other("m".into()));
        assert!(may_pass(&api("busy")) && !may_pass(&api("full")));
    }

    #[test]
    fn store_without_daemon_gives_up_when_cancelled() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let cancel = CancelToken::new();
        let client = Client::new("/nonexistent/api.sock".into());
        let store = ApiStore::new(client, runtime.handle().clone(), cancel.clone());
        cancel.cancel();
        assert_eq!(store.list(ObjectKind::Pack), Err(StoreError::Cancelled));
    }
}
