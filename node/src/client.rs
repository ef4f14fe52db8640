//! The client of the local API: HTTP/1.1 over the daemon's Unix socket.

use crate::wire::{ApiError, ObjectEntry, ProofEntry, RsmStats, Status, Witnessed};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::net::UnixStream;

/// Connections kept open between requests.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no daemon answers at {socket}: {source}")]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon refused; the text says why and what to do.
    #[error("{}", .0.message)]
    Api(ApiError),
    /// The daemon went away or said something that is not of this API.
    #[error("the daemon's answer cannot be used: {0}")]
    Protocol(String),
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}

type Connection = SendRequest<Full<Bytes>>;

/// A client; cheap to clone, connections are shared.
#[derive(Clone)]
pub struct Client {
    socket: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Client {
    /// A client of the daemon that listens on `socket`; connects when first used.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, idle: Arc::default() }
    }

    /// The daemon's state.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.json(Method::GET, "/v1/status", Bytes::new()).await
    }

    /// All objects of a kind.
    pub async fn list(&self, kind: &str) -> Result<Vec<ObjectEntry>, ClientError> {
        self.json(Method::GET, &format!("/v1/objects/{kind}"), Bytes::new()).await
    }

    /// An object, or `(offset, length)` of it.
    pub async fn get(
        &self,
        kind: &str,
        id_hex: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, ClientError> {
        let mut path = format!("/v1/objects/{kind}/{id_hex}");
        if let Some((offset, length)) = range {
            path.push_str(&format!("?offset={offset}&length={length}"));
        }
        self.send(Method::GET, &path, Bytes::new()).await
    }

    /// Stores an object; returns when every storer has promised its chunk.
    pub async fn put(&self, kind: &str, id_hex: &str, body: Bytes) -> Result<(), ClientError> {
        self.send(Method::PUT, &format!("/v1/objects/{kind}/{id_hex}"), body).await.map(drop)
    }

    /// Removes an object.
    pub async fn remove(&self, kind: &str, id_hex: &str) -> Result<(), ClientError> {
        let path = format!("/v1/objects/{kind}/{id_hex}");
        self.send(Method::DELETE, &path, Bytes::new()).await.map(drop)
    }

    /// Puts the digest of this member's OwnList through the state machine.
    pub async fn witness(&self) -> Result<Witnessed, ClientError> {
        self.json(Method::POST, "/v1/witness", Bytes::new()).await
    }

    /// Puts an opaque command through the state machine; it is recorded and has no effect.
    pub async fn submit(&self, command: Bytes) -> Result<Witnessed, ClientError> {
        self.json(Method::POST, "/v1/commands", command).await
    }

    /// Brings what the group's authority signed into the log; returns when it was executed.
    pub async fn reform(&self, reform: Bytes) -> Result<Witnessed, ClientError> {
        self.json(Method::POST, "/v1/reforms", reform).await
    }

    /// Counters of the state machine.
    pub async fn rsm_stats(&self) -> Result<RsmStats, ClientError> {
        self.json(Method::GET, "/v1/rsm", Bytes::new()).await
    }

    /// Proofs of misbehavior that the daemon keeps.
    pub async fn proofs(&self) -> Result<Vec<ProofEntry>, ClientError> {
        self.json(Method::GET, "/v1/proofs", Bytes::new()).await
    }

    /// The file of a kept proof.
    pub async fn proof(&self, id_hex: &str) -> Result<Bytes, ClientError> {
        self.send(Method::GET, &format!("/v1/proofs/{id_hex}"), Bytes::new()).await
    }

    /// Asks the daemon to stop; it answers before it does.
    pub async fn shutdown(&self) -> Result<(), ClientError> {
        self.send(Method::POST, "/v1/shutdown", Bytes::new()).await.map(drop)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let mut connection = self.connection().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "pib")
            .body(Full::new(body))
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let answer = connection.send_request(request).await?;
        let success = answer.status().is_success();
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
        drop(idle);
        if success {
            return Ok(body);
        }
        match serde_json::from_slice(&body) {
            Ok(error) => Err(ClientError::Api(error)),
            Err(_) => Err(ClientError::Protocol(format!("HTTP status {status}"))),
        }
    }

    async fn connection(&self) -> Result<Connection, ClientError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
            let Some(mut connection) = idle else { break };
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (connection, driver) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(512 * 1024)
            .handshake(TokioIo::new(stream))
            .await?;
        // Ends by itself when the connection closes.
        tokio::spawn(driver);
        Ok(connection)
    }
}
