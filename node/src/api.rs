//! The local API: HTTP and JSON on a Unix socket that only the member's own user can open.
//!
//! | method and path | answer |
//! | --- | --- |
//! | `GET /v1/status` | [`Status`](crate::wire::Status) |
//! | `GET /v1/objects/{kind}` | list of [`ObjectEntry`](crate::wire::ObjectEntry) |
//! | `GET /v1/objects/{kind}/{id}?offset=&length=` | the bytes |
//! | `PUT /v1/objects/{kind}/{id}` | 201 when all storers promised; 200 if it was stored before |
//! | `DELETE /v1/objects/{kind}/{id}` | 204 |
//! | `POST /v1/witness` | [`Witnessed`](crate::wire::Witnessed) |
//! | `POST /v1/commands` | [`Witnessed`](crate::wire::Witnessed); the body is the command |
//! | `GET /v1/rsm` | [`RsmStats`](crate::wire::RsmStats) |
//! | `POST /v1/reforms` | what the authority signed, for the log |
//! | `GET /v1/proofs` | list of [`ProofEntry`](crate::wire::ProofEntry) |
//! | `GET /v1/proofs/{id}` | the proof's file |
//! | `POST /v1/shutdown` | 202 |
//!
//! Everything else is an [`ApiError`].

use crate::daemon::Daemon;
use crate::error::NodeError;
use crate::objects::ObjectError;

use crate::wire::{ApiError, ObjectEntry, Witnessed};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use replica::{Decided, SubmitError};
use serde::Deserialize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use types::limits::OBJECT_LEN_MAX;
use types::{Decode as _, Hash};

type App = State<Arc<Daemon>>;

/// How long a command may take to be decided; it takes milliseconds while enough members are up.
const DECISION_MAX: Duration = Duration::from_secs(60);

/// Binds the socket; one left behind by a killed daemon is replaced (the folder lock is held).
pub fn bind(path: &FilePath) -> Result<UnixListener, NodeError> {
    let io = |source| NodeError::Io { what: "listen on", path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
    Ok(listener)
}

/// Serves until the future given completes, then lets open requests finish.
pub async fn serve(
    listener: UnixListener,
    daemon: Arc<Daemon>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/objects/{kind}", get(list))
        .route("/v1/objects/{kind}/{id}", get(read).put(store).delete(remove))
        .route("/v1/witness", post(witness))
        .route("/v1/commands", post(submit))
        .route("/v1/reforms", post(reform))
        .route("/v1/rsm", get(rsm_stats))
        .route("/v1/proofs", get(proofs))
        .route("/v1/proofs/{id}", get(proof))
        .route("/v1/shutdown", post(shutdown))
        .fallback(|| async { bad_request("there is no such path in the local API") })
        .layer(DefaultBodyLimit::max(OBJECT_LEN_MAX))
        .with_state(daemon);
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

async fn status(State(daemon): App) -> Response {
    Json(daemon.status()).into_response()
}

async fn list(State(daemon): App, Path(kind): Path<String>) -> Response {
    let Some(kind) = pib::ObjectKind::from_name(&kind) else { return unknown_kind(&kind) };
    let entries = daemon.objects().list(kind);
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(id, size)| ObjectEntry { id: id.to_hex(), size: size.0 })
        .collect();
    Json(entries).into_response()
}

#[derive(Deserialize)]
struct Range {
    offset: Option<u64>,
    length: Option<u64>,
}

async fn read(
    State(daemon): App,
    Path((kind, id)): Path<(String, String)>,
    Query(range): Query<Range>,
) -> Response {
    let key = match object_key(&kind, &id) {
        Ok(key) => key,
        Err(response) => return *response,
    };
    let body = match daemon.objects().get(key).await {
        Ok(body) => body,
        Err(error) => return object_error(&error),
    };
    let offset = range.offset.unwrap_or(0);
    let end = range.length.map_or(Some(body.len() as u64), |length| offset.checked_add(length));
    match end {
        Some(end) if offset <= end && end <= body.len() as u64 => {
            body.slice(offset as usize..end as usize).into_response()
        }
        _ => bad_request(&format!("the range is not inside the object of {} bytes", body.len())),
    }
}

async fn store(
    State(daemon): App,
    Path((kind, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let key = match object_key(&kind, &id) {
        Ok(key) => key,
        Err(response) => return *response,
    };
    // Detached: a command that goes away in the middle leaves no half-driven store behind.
    let work = tokio::spawn(async move { daemon.objects().put(key, body).await });
    match work.await {
        Ok(Ok(true)) => StatusCode::CREATED.into_response(),
        Ok(Ok(false)) => StatusCode::OK.into_response(),
        Ok(Err(error)) => object_error(&error),
        Err(error) => internal(&error.to_string()),
    }
}

async fn remove(State(daemon): App, Path((kind, id)): Path<(String, String)>) -> Response {
    let key = match object_key(&kind, &id) {
        Ok(key) => key,
        Err(response) => return *response,
    };
    let work = tokio::spawn(async move { daemon.objects().remove(key).await });
    match work.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(error)) => object_error(&error),
        Err(error) => internal(&error.to_string()),
    }
}

async fn witness(State(daemon): App) -> Response {
    match daemon.objects().witness_command().await {
        Ok(command) => decided(&daemon, command).await,
        Err(error) => internal(&error.to_string()),
    }
}

async fn submit(State(daemon): App, command: Bytes) -> Response {
    decided(&daemon, command.to_vec()).await
}

async fn reform(State(daemon): App, reform: Bytes) -> Response {
    let Ok(reform) = types::Signed::<replica::Reform>::from_bytes(&reform) else {
        return bad_request("this is not what an authority signs");
    };
    match tokio::time::timeout(DECISION_MAX, daemon.rsm().reform(reform)).await {
        Ok(Ok(inst)) => Json(Witnessed { instance: inst.0 }).into_response(),
        Ok(Err(error @ SubmitError::Refused(_))) => bad_request(&error.to_string()),
        Ok(Err(error @ SubmitError::Stopping)) => stopping(&error),
        Err(_) => problem(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the group has not decided it yet; it stays queued while this daemon runs",
            "run `pib status` to see who is away and, later, who takes part",
        ),
    }
}

fn stopping(error: &SubmitError) -> Response {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        &error.to_string(),
        "start the daemon again",
    )
}

async fn decided(daemon: &Daemon, command: Vec<u8>) -> Response {
    match tokio::time::timeout(DECISION_MAX, daemon.rsm().submit(command)).await {
        Ok(outcome) => committed(outcome),
        Err(_) => problem(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the group has not decided the command; it stays queued",
            "run `pib status` to see who is away; all objects that were stored are safe",
        ),
    }
}

fn committed(outcome: Result<Decided<()>, SubmitError>) -> Response {
    match outcome {
        Ok(decided) => Json(Witnessed { instance: decided.inst.0 }).into_response(),
        Err(error @ SubmitError::Stopping) => stopping(&error),
        Err(error @ SubmitError::Refused(_)) => problem(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            &error.to_string(),
            "send fewer commands at once, of at most the size that the group allows",
        ),
    }
}

async fn rsm_stats(State(daemon): App) -> Response {
    Json(crate::rsm::stats(daemon.rsm())).into_response()
}

async fn proofs(State(daemon): App) -> Response {
    match daemon.proofs() {
        Ok(proofs) => Json(proofs).into_response(),
        Err(error) => internal(&error.to_string()),
    }
}

async fn proof(State(daemon): App, Path(id): Path<String>) -> Response {
    let Some(id) = Hash::from_hex(&id) else {
        return bad_request("a proof's id is 64 hexadecimal characters");
    };
    match daemon.proof(id) {
        Ok(Some(bytes)) => bytes.into_response(),
        Ok(None) => problem(
            StatusCode::NOT_FOUND,
            "not_found",
            &format!("no proof {} is kept here", id.to_hex()),
            "see `pib pom list`",
        ),
        Err(error) => internal(&error.to_string()),
    }
}

async fn shutdown(State(daemon): App) -> Response {
    daemon.stop();
    StatusCode::ACCEPTED.into_response()
}

fn object_key(kind: &str, id: &str) -> Result<pib::ObjectKey, Box<Response>> {
    let kind = pib::ObjectKind::from_name(kind).ok_or_else(|| Box::new(unknown_kind(kind)))?;
    let id = Hash::from_hex(id)
        .ok_or_else(|| Box::new(bad_request("an object id is 64 hexadecimal characters")))?;
    Ok(pib::ObjectKey { kind, id })
}

fn unknown_kind(kind: &str) -> Response {
    bad_request(&format!(
        "{kind:?} is no kind of object; they are config, keys, snapshots, index and data"
    ))
}

fn bad_request(message: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, "bad_request", message, "see the API's documentation")
}

fn internal(message: &str) -> Response {
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        message,
        "look at the daemon's log; nothing that was acknowledged is lost",
    )
}

fn problem(status: StatusCode, kind: &str, message: &str, hint: &str) -> Response {
    let body = ApiError {
        kind: kind.into(),
        message: message.into(),
        hint: hint.into(),
        reached: None,
        needed: None,
    };
    (status, Json(body)).into_response()
}

fn object_error(error: &ObjectError) -> Response {
    let (status, kind) = match error {
        ObjectError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        ObjectError::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "full"),
        ObjectError::NotEnoughMembers { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "not_enough_members")
        }
        // Absence is no damage: enough may come back.
        ObjectError::Unreadable { got, away, needed, .. } if got + away >= *needed => {
            (StatusCode::SERVICE_UNAVAILABLE, "not_enough_members")
        }
        ObjectError::Unreadable { .. } => (StatusCode::BAD_GATEWAY, "corrupt"),
        ObjectError::Conflict(_) => (StatusCode::CONFLICT, "bad_request"),
        ObjectError::WrongName(_) => (StatusCode::BAD_REQUEST, "bad_request"),
        ObjectError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "bad_request"),
        ObjectError::Node(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    let (reached, needed) = match error {
        ObjectError::NotEnoughMembers { reached, needed, .. }
        | ObjectError::Unreadable { got: reached, needed, .. } => (Some(*reached), Some(*needed)),
        _ => (None, None),
    };
    let body = ApiError {
        kind: kind.into(),
        message: error.to_string(),
        hint: error.hint().into(),
        reached,
        needed,
    };
    (status, Json(body)).into_response()
}
