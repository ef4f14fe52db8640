//! What strangers and hostile members can do (guarantee 5): be counted, and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use net::{DownReason, FaultKind, Listen, TlsOptions, TlsTransport, Transport};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::Slot;

use crate::support::*;

/// Member 1, which waits to be dialled by member 0.
pub fn victim(change: impl FnOnce(&mut net::NetConfig)) -> (Member, SocketAddr) {
    let (socket, at) = listener();
    let mut config = config(1, socket);
    change(&mut config);
    (start(config, vec![peer(0, listener().1)]), at)
}

/// Reads until the other side closes.
fn read_to_end(mut stream: StdStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("option");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_with_garbage_is_counted_and_closed() {
    let (victim, at) = victim(|_| ());
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], &[0x16, 3, 1, 0xff, 0xff, 1]] {
        let mut stream = StdStream::connect(at).expect("listening");
        stream.write_all(garbage).expect("written");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        tokio::task::spawn_blocking(move || read_to_end(stream)).await.expect("closed");
    }
    eventually("three counts", || victim.net.stranger_faults().handshake_failed == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_that_says_nothing_is_timed_out_and_bounded() {
    let (victim, at) = victim(|config| {
        config.half_open_per_source = 4;
        config.handshake_timeout = Duration::from_millis(700);
    });
    let silent: Vec<_> = (0..10).map(|_| StdStream::connect(at).expect("backlog")).collect();
    eventually("refusals", || victim.net.stranger_faults().half_open_refused == 6).await;
    eventually("timeouts", || victim.net.stranger_faults().handshake_timeout == 4).await;
    for stream in silent {
        tokio::task::spawn_blocking(move || read_to_end(stream)).await.expect("closed");
    }
    // The places are free again: a real member gets in.
    let (zero_socket, _) = listener();
    let mut zero = start(config(0, zero_socket), vec![peer(1, at)]);
    zero.up(1).await;
}

/// Accepts any certificate or, if set, any raw key: the question is whether the server talks to
/// us at all.
#[derive(Debug)]
pub struct AnyServer {
    pub raw_keys: bool,
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw_keys
    }
}

/// A client without a key of its own, that speaks `version`.
async fn keyless_handshake(
    at: SocketAddr,
    version: &'static rustls::SupportedProtocolVersion,
) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version of the provider")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer { raw_keys: false }))
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(at).await.expect("listening");
    let name = ServerName::try_from("member.invalid").expect("a name");
    let connecting = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let outcome = async {
        let mut stream = connecting.await?;
        stream.read_u8().await
    };
    patiently("the refusal", outcome).await.expect_err("refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_with_tls12_is_refused() {
    let (victim, at) = victim(|_| ());
    let error = keyless_handshake(at, &rustls::version::TLS12).await;
    assert!(error.contains("ProtocolVersion"), "{error}");
    eventually("a count", || victim.net.stranger_faults().handshake_failed == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_with_certificates_instead_of_raw_keys_is_refused() {
    let (victim, at) = victim(|_| ());
    let error = keyless_handshake(at, &rustls::version::TLS13).await;
    assert!(error.contains("alert"), "{error}");
    eventually("a count", || victim.net.stranger_faults().handshake_failed == 1).await;
}

/// A hostile member 0: the right key, but bytes of our choice after the handshake.
async fn hostile(at: SocketAddr) -> net::Connection {
    let config = config(0, listener().0);
    let listen = Listen::Socket(listener().0);
    let transport =
        TlsTransport::start(&seed(0), listen, TlsOptions::from(&config), Default::default());
    let transport = transport.expect("started");
    let dialled = transport.dial(&key(1), &[at.to_string()]).await;
    dialled.expect("the key is on the list")
}

/// A correct hello of member 0 to member 1, as in the layout that `hello` documents.
fn hello(class: u8) -> Vec<u8> {
    let mut out = vec![50, 0, 0, 0, 1];
    out.extend(b"PIBL");
    out.extend(net::PROTOCOL_VERSION.to_le_bytes());
    out.push(class);
    out.extend(0u16.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(GROUP);
    out.extend(16u16.to_le_bytes());
    out.extend((1u32 << 20).to_le_bytes());
    out
}

const CONTROL: u8 = 0;
const BULK: u8 = 1;

/// Says a correct hello, then `bytes`; the victim must close the connection for `fault`.
async fn after_hello(class: u8, bytes: &[u8], fault: FaultKind) {
    let (mut victim, at) = victim(|_| ());
    let mut connection = hostile(at).await;
    connection.stream.write_all(&hello(class)).await.expect("written");
    let mut answer = vec![0; hello(class).len()];
    let hello_back = connection.stream.read_exact(&mut answer);
    patiently("the hello", hello_back).await.expect("hello answered");
    connection.stream.write_all(bytes).await.expect("written");
    connection.stream.flush().await.expect("written");
    assert_eq!(victim.down().await.2, DownReason::Fault(fault));
    assert_eq!(victim.faults(0), [(fault, 1)].into());
    let mut rest = Vec::new();
    let closed = connection.stream.read_to_end(&mut rest);
    patiently("the close", closed).await.expect("an orderly close");
    // The real member gets in afterwards.
    let mut zero = start(config(0, listener().0), vec![peer(1, at)]);
    zero.up(1).await;
}

/// A frame as the layout in `frame` documents it.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len() + 1).expect("short").to_le_bytes();
    [&len[..], &[kind], payload].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_with_huge_length_is_closed() {
    after_hello(CONTROL, &[0xff, 0xff, 0xff, 0xff, 3], FaultKind::FrameTooLong).await;
    after_hello(BULK, &[0xff, 0xff, 0xff, 0x7f, 4], FaultKind::FrameTooLong).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_with_unknown_kind_is_closed() {
    after_hello(CONTROL, &frame(99, b"?"), FaultKind::UnknownKind).await;
    after_hello(CONTROL, &frame(4, &[0; 9]), FaultKind::UnknownKind).await;
    after_hello(BULK, &frame(3, &[0; 9]), FaultKind::UnknownKind).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_with_malformed_frames_is_closed() {
    after_hello(CONTROL, &[0, 0, 0, 0, 0], FaultKind::Malformed).await;
    after_hello(BULK, &frame(4, &[0; 7]), FaultKind::Malformed).await;
    after_hello(BULK, &frame(6, &[0; 9]), FaultKind::Malformed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_with_responses_never_asked_for_is_closed() {
    after_hello(BULK, &frame(5, &[0; 20]), FaultKind::BadResponse).await;
    after_hello(BULK, &frame(6, &[0; 8]), FaultKind::BadResponse).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_with_one_id_for_two_requests_is_closed() {
    let request = frame(4, &[7; 20]);
    after_hello(BULK, &[&request[..], &request].concat(), FaultKind::DuplicateRequest).await;
}

/// Sends `first` instead of a hello; the victim must count `fault` and refuse.
async fn instead_of_hello(first: &[u8], fault: FaultKind) {
    let (victim, at) = victim(|config| config.handshake_timeout = Duration::from_millis(700));
    let mut connection = hostile(at).await;
    connection.stream.write_all(first).await.expect("written");
    connection.stream.flush().await.expect("written");
    eventually("a count", || victim.faults(0) == [(fault, 1)].into()).await;
    let mut rest = Vec::new();
    // How the connection ends does not matter, only that it does.
    let _ = patiently("the close", connection.stream.read_to_end(&mut rest)).await;
    assert!(!victim.net.peer_status()[0].control_up && !victim.net.peer_status()[0].bulk_up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_without_proper_hello_is_refused() {
    instead_of_hello(&frame(3, b"no hello"), FaultKind::BadHello).await;
    instead_of_hello(&[0xff; 64], FaultKind::BadHello).await;
    instead_of_hello(b"", FaultKind::HelloTimeout).await;
    let mut version = hello(CONTROL);
    version[9] = 0;
    instead_of_hello(&version, FaultKind::WrongVersion).await;
    let mut group = hello(CONTROL);
    group[20] ^= 1;
    instead_of_hello(&group, FaultKind::WrongGroup).await;
    instead_of_hello(&hello(7), FaultKind::BadHello).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_does_not_read_is_closed_after_the_stall_timeout() {
    let (mut victim, at) = victim(|config| config.stall_timeout = Duration::from_millis(300));
    let mut connection = hostile(at).await;
    connection.stream.write_all(&hello(CONTROL)).await.expect("written");
    connection.stream.flush().await.expect("written");
    let up = victim.event().await;
    assert!(matches!(up, net::NetEvent::PeerUp { slot: Slot(0), .. }), "{up:?}");
    let fill = async {
        // Until it is full, then until it is down; both are refusals here.
        while victim.net.peer_status()[0].control_up {
            let _ = victim.net.send(Slot(0), vec![0; 1 << 20]);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    patiently("the stall", fill).await;
    assert_eq!(victim.down().await.2, DownReason::Fault(FaultKind::Stalled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_with_more_requests_than_allowed_is_not_read_further() {
    let (mut victim, at) = victim(|config| config.bulk_in_flight_in = 3);
    let mut connection = hostile(at).await;
    let requests = (0..20u64).map(|id| frame(4, &id.to_le_bytes())).collect::<Vec<_>>().concat();
    connection.stream.write_all(&[hello(BULK), requests].concat()).await.expect("written");
    connection.stream.flush().await.expect("written");
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(victim.request().await);
    }
    for _ in 0..17 {
        let requests = victim.requests.as_mut().expect("not taken");
        let next = tokio::time::timeout(Duration::from_millis(20), requests.recv()).await;
        assert!(next.is_err(), "a request came while three are in work");
        held.remove(0).responder.respond(&b"done"[..]).expect("up");
        held.push(victim.request().await);
    }
    assert!(victim.faults(0).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_asks_and_cancels_cannot_fill_the_memory() {
    let (victim, at) = victim(|config| config.bulk_in_flight_in = 3);
    let mut connection = hostile(at).await;
    connection.stream.write_all(&hello(BULK)).await.expect("written");
    let flood = tokio::spawn(async move {
        for id in 0..1_000_000u64 {
            let request = frame(4, &[&id.to_le_bytes()[..], &[0; 10_000]].concat());
            let cancel = frame(7, &id.to_le_bytes());
            if connection.stream.write_all(&[request, cancel].concat()).await.is_err() {
                break;
            }
        }
    });
    // Nobody receives: what is read stops at twice the requests in flight, whatever is sent.
    let read = || victim.net.peer_status()[0].bytes_in;
    eventually("the first requests", || read() > 60_000).await;
    let mut before = 0;
    while before != read() {
        before = read();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(before < 200_000, "{before} bytes were read");
    assert!(!flood.is_finished());
    flood.abort();
}
