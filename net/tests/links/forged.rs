//! Someone who shows a member's public key without holding its secret (guarantee 1).

use std::sync::Arc;

use net::{Listen, TlsOptions, TlsTransport, Transport, TransportError};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::{default_provider, sign::any_eddsa_type};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use tokio::io::AsyncReadExt;

use crate::hostile::{AnyServer, victim};
use crate::support::*;

/// Shows the key of `shown`, signs with that of `signer`.
fn identity(shown: u16, signer: u16) -> Arc<CertifiedKey> {
    let shown = key(shown);
    let spki = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], shown.as_bytes()];
    let pkcs8 =
        [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &seed(signer)];
    let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.concat())).expect("a key");
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki.concat())], signer))
}

/// Dials member 1 as the holder of `identity`; the error, or none if it let us in.
async fn dial_as(at: std::net::SocketAddr, identity: Arc<CertifiedKey>) -> Option<std::io::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version of the provider")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer { raw_keys: true }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity)));
    let tcp = tokio::net::TcpStream::connect(at).await.expect("listening");
    let name = ServerName::try_from("member.invalid").expect("a name");
    let connecting = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let outcome = async {
        let mut stream = connecting.await?;
        // A server that let us in waits for our hello and then gives up in order.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await
    };
    patiently("the outcome", outcome).await.err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialer_that_shows_a_key_it_does_not_hold_is_refused() {
    let (victim, at) = victim(|config| {
        config.handshake_timeout = std::time::Duration::from_millis(700);
    });
    let error = dial_as(at, identity(0, 50)).await.expect("refused");
    assert!(error.to_string().contains("alert"), "{error}");
    eventually("a count", || victim.net.stranger_faults().handshake_failed == 1).await;
    // The same with the right secret passes the handshake and fails at the hello only.
    dial_as(at, identity(0, 0)).await;
    eventually("a count", || victim.faults(0).contains_key(&net::FaultKind::HelloTimeout)).await;
    assert_eq!(victim.net.stranger_faults().handshake_failed, 1);
}

/// Takes any raw key for a dialer.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Answers one handshake as the holder of `identity`.
fn answer_as(identity: Arc<CertifiedKey>) -> std::net::SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version of the provider")
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity)));
    let (socket, at) = listener();
    socket.set_nonblocking(true).expect("option");
    let socket = tokio::net::TcpListener::from_std(socket).expect("runtime");
    tokio::spawn(async move {
        let (tcp, _) = socket.accept().await.expect("a dialer");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        if let Ok(mut stream) = acceptor.accept(tcp).await {
            // Open until the dialer leaves.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acceptor_that_shows_a_key_it_does_not_hold_is_refused() {
    let options = TlsOptions::from(&config(0, listener().0));
    let zero =
        TlsTransport::start(&seed(0), Listen::Socket(listener().0), options, Default::default());
    let zero = zero.expect("started");
    let dial = async |at: std::net::SocketAddr| {
        let dialled = zero.dial(&key(1), &[at.to_string()]).await;
        dialled.map(|connection| connection.peer == key(1))
    };
    let forged = dial(answer_as(identity(1, 50))).await;
    let Err(TransportError::Handshake { reason, .. }) = forged else { panic!("{forged:?}") };
    assert!(reason.contains("BadSignature"), "{reason}");
    // The same with the right secret is the peer.
    assert!(dial(answer_as(identity(1, 1))).await.expect("the peer"));
}
