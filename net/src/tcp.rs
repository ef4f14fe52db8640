//! [`Transport`] over TCP and TLS 1.3.
//!
//! Guarantees: those of [`Transport`]. Nothing is handed up before the handshake is finished;
//! half-open connections are bounded in number, per source and in time.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ServerConfig};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use types::PublicKey;

use crate::config::{Listen, NetConfig, TLS_BUFFER};
use crate::error::NetError;
use crate::half_open::{HalfOpen, Place};
use crate::status::{StrangerCounters, StrangerFaults};
use crate::tls::{KnownKeys, TlsIdentity, key_of_spki};
use crate::transport::{Connection, Occupancy, Transport, TransportError, TransportFuture};

/// Finished handshakes that wait to be taken.
const READY_MAX: usize = 16;
/// Pause after the operating system refused to accept (no descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Times and limits of [`TlsTransport`]; see the fields of the same names in [`NetConfig`].
#[derive(Debug, Clone, Copy)]
pub struct TlsOptions {
    /// Time for one address to answer.
    pub connect_timeout: Duration,
    /// Time for the handshake.
    pub handshake_timeout: Duration,
    /// Idle time before TCP probes.
    pub tcp_keepalive: Duration,
    /// Time that bytes may stay unacknowledged.
    pub tcp_user_timeout: Duration,
    /// Unfinished handshakes in total.
    pub half_open_max: usize,
    /// Unfinished handshakes per source.
    pub half_open_per_source: usize,
}

impl From<&NetConfig> for TlsOptions {
    fn from(config: &NetConfig) -> Self {
        Self {
            connect_timeout: config.connect_timeout,
            handshake_timeout: config.handshake_timeout,
            tcp_keepalive: config.tcp_keepalive,
            tcp_user_timeout: config.tcp_user_timeout,
            half_open_max: config.half_open_max,
            half_open_per_source: config.half_open_per_source,
        }
    }
}

/// Links over TCP and TLS 1.3 with raw public keys.
pub struct TlsTransport {
    identity: TlsIdentity,
    options: TlsOptions,
    known: Arc<KnownKeys>,
    strangers: Arc<StrangerCounters>,
    local: SocketAddr,
    ready: Mutex<mpsc::Receiver<Connection>>,
    accepting: AbortHandle,
    accepted: Mutex<Option<JoinHandle<()>>>,
}

impl TlsTransport {
    /// Binds and starts to accept handshakes with the holders of `allowed` keys, until
    /// [`Transport::allow`] says otherwise. Must be called inside a tokio runtime.
    pub fn start(
        seed: &[u8; 32],
        listen: Listen,
        options: TlsOptions,
        allowed: BTreeSet<[u8; 32]>,
    ) -> Result<Self, NetError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| NetError::NoRuntime)?;
        let identity = TlsIdentity::from_seed(seed)?;
        let (listener, local) = bind(listen)?;
        let known = Arc::new(KnownKeys::default());
        // Before the first handshake: a peer that waits at the door would be refused, and try again
        // only after its redial time.
        known.replace(allowed);
        let server = identity
            .server_config(Arc::clone(&known))
            .map_err(|error| NetError::Key(error.to_string()))?;
        let strangers = Arc::new(StrangerCounters::default());
        let (ready_tx, ready_rx) = mpsc::channel(READY_MAX);
        let acceptor = Acceptor {
            server: Arc::new(server),
            options,
            half_open: HalfOpen::new(options.half_open_max, options.half_open_per_source),
            strangers: Arc::clone(&strangers),
            ready: ready_tx,
        };
        let task = runtime.spawn(Arc::new(acceptor).run(listener));
        let (accepting, accepted) = (task.abort_handle(), Mutex::new(Some(task)));
        let ready = Mutex::new(ready_rx);
        Ok(Self { identity, options, known, strangers, local, ready, accepting, accepted })
    }

    /// The public key of our own seed.
    pub fn public_key(&self) -> &[u8; 32] {
        self.identity.public()
    }

    async fn dial_any(
        &self,
        key: &PublicKey,
        addresses: &[String],
    ) -> Result<Connection, TransportError> {
        let mut last = TransportError::NoAddress;
        for address in addresses {
            let tcp = match timeout(self.options.connect_timeout, TcpStream::connect(address)).await
            {
                Ok(Ok(tcp)) => tcp,
                failed => {
                    let reason = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => "no answer in time".to_owned(),
                    };
                    last = TransportError::Unreachable { address: address.clone(), reason };
                    continue;
                }
            };
            match self.handshake(tcp, key, address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        key: &PublicKey,
        address: &str,
    ) -> Result<Connection, TransportError> {
        let failed = |reason: String| TransportError::Handshake { address: address.into(), reason };
        tune(&tcp, &self.options).map_err(|error| failed(error.to_string()))?;
        let config =
            self.identity.client_config(*key.as_bytes()).map_err(|e| failed(e.to_string()))?;
        // Never sent (no SNI) and never checked: the key is the name.
        let name = ServerName::try_from("member.invalid").map_err(|e| failed(e.to_string()))?;
        let connecting = TlsConnector::from(Arc::new(config))
            .connect_with(name, tcp, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
        match timeout(self.options.handshake_timeout, connecting).await {
            Ok(Ok(stream)) => Ok(Connection {
                stream: Box::new(stream),
                peer: *key,
                remote: address.to_owned(),
                occupancy: None,
            }),
            Ok(Err(error)) => Err(failed(describe(&error))),
            Err(_) => Err(failed("no answer in time".to_owned())),
        }
    }
}

impl Drop for TlsTransport {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Transport for TlsTransport {
    fn dial<'a>(
        &'a self,
        key: &'a PublicKey,
        addresses: &'a [String],
    ) -> TransportFuture<'a, Result<Connection, TransportError>> {
        Box::pin(self.dial_any(key, addresses))
    }

    fn accept(&self) -> TransportFuture<'_, Result<Connection, TransportError>> {
        Box::pin(async { self.ready.lock().await.recv().await.ok_or(TransportError::Closed) })
    }

    fn allow(&self, keys: BTreeSet<[u8; 32]>) {
        self.known.replace(keys);
    }

    fn close(&self) -> TransportFuture<'_, ()> {
        Box::pin(async {
            self.accepting.abort();
            if let Some(task) = self.accepted.lock().await.take() {
                // It ends with "cancelled": that is what was asked for.
                let _ = task.await;
            }
        })
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.local)
    }

    fn stranger_faults(&self) -> StrangerFaults {
        self.strangers.snapshot()
    }
}

fn bind(listen: Listen) -> Result<(TcpListener, SocketAddr), NetError> {
    let (address, socket) = match listen {
        Listen::Address(address) => {
            let socket = std::net::TcpListener::bind(&address);
            (address, socket)
        }
        Listen::Socket(socket) => ("the socket handed over".to_owned(), Ok(socket)),
    };
    let open = |socket: std::net::TcpListener| {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    socket.and_then(open).map_err(|source: io::Error| NetError::Bind { address, source })
}

/// Small frames leave at once; a dead host is noticed.
fn tune(tcp: &TcpStream, options: &TlsOptions) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let keepalive =
        TcpKeepalive::new().with_time(options.tcp_keepalive).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(options.tcp_user_timeout))?;
    Ok(())
}

/// The TLS error inside an I/O error, if there is one.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}

fn is_unknown_key(error: &io::Error) -> bool {
    matches!(
        tls_error(error),
        Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    )
}

/// The error in words that help; the library's own are about certificates, which we have none of.
pub(crate) fn describe(error: &io::Error) -> String {
    if is_unknown_key(error) {
        return "who answers there does not hold the peer's key".to_owned();
    }
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the peer refused us ({alert:?}); it may not have our key on its list")
        }
        _ => error.to_string(),
    }
}

struct Acceptor {
    server: Arc<ServerConfig>,
    options: TlsOptions,
    half_open: Arc<HalfOpen>,
    strangers: Arc<StrangerCounters>,
    ready: mpsc::Sender<Connection>,
}

impl Acceptor {
    async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut failing = false;
        loop {
            let (tcp, remote) = match listener.accept().await {
                Ok(accepted) => {
                    failing = false;
                    accepted
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "cannot accept connections at the moment");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if self.ready.is_closed() {
                return;
            }
            let Some(place) = self.half_open.admit(remote.ip()) else {
                self.strangers.half_open_refused.fetch_add(1, Relaxed);
                continue;
            };
            tokio::spawn(Arc::clone(&self).handshake(tcp, remote, place));
        }
    }

    async fn handshake(self: Arc<Self>, tcp: TcpStream, remote: SocketAddr, place: Place) {
        if tune(&tcp, &self.options).is_err() {
            return;
        }
        let accepting = TlsAcceptor::from(Arc::clone(&self.server))
            .accept_with(tcp, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
        let stream = match timeout(self.options.handshake_timeout, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let unknown = is_unknown_key(&error);
                let strangers = &self.strangers;
                let counter =
                    if unknown { &strangers.unknown_key } else { &strangers.handshake_failed };
                counter.fetch_add(1, Relaxed);
                // Strangers choose how often this happens, hence no louder than debug.
                tracing::debug!(%remote, %error, unknown, "handshake refused");
                return;
            }
            Err(_) => {
                self.strangers.handshake_timeout.fetch_add(1, Relaxed);
                tracing::debug!(%remote, "handshake not finished in time");
                return;
            }
        };
        let key = match stream.get_ref().1.peer_certificates() {
            Some([spki]) => key_of_spki(spki).and_then(|key| PublicKey::from_bytes(&key).ok()),
            _ => None,
        };
        let Some(peer) = key else {
            self.strangers.handshake_failed.fetch_add(1, Relaxed);
            return;
        };
        let connection = Connection {
            stream: Box::new(stream),
            peer,
            remote: remote.to_string(),
            occupancy: Some(Occupancy::new(place)),
        };
        // An error means that the transport is gone, and the connection with it.
        let _ = self.ready.send(connection).await;
    }
}
