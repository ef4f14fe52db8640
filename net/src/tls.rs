//! TLS 1.3 with raw ed25519 public keys (RFC 7250) on both sides.
//!
//! Guarantees: only TLS 1.3; only ed25519; the certificate field is exactly the 44 bytes of the
//! key's SubjectPublicKeyInfo (RFC 8410), compared byte by byte, with nothing after it; no
//! tickets, no resumption, no 0-RTT, no certificate compression, no server name sent.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring as ring_provider};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

use crate::error::NetError;

/// DER before the 32 bytes of an ed25519 public key (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER before the 32 bytes of an ed25519 seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The key inside an ed25519 SubjectPublicKeyInfo, if it is exactly that.
pub(crate) fn key_of_spki(der: &[u8]) -> Option<[u8; 32]> {
    der.strip_prefix(&SPKI_PREFIX)?.try_into().ok()
}

/// The keys that may connect to us; the roster may change while we listen.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(RwLock<BTreeSet<[u8; 32]>>);

impl KnownKeys {
    pub(crate) fn replace(&self, keys: BTreeSet<[u8; 32]>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn contains(&self, key: &[u8; 32]) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

/// Our own key, ready for handshakes.
pub(crate) struct TlsIdentity {
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    public: [u8; 32],
}

impl TlsIdentity {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Result<Self, NetError> {
        let mut pkcs8 = Zeroizing::new([0u8; 48]);
        pkcs8[..16].copy_from_slice(&PKCS8_PREFIX);
        pkcs8[16..].copy_from_slice(seed);
        let signer = ring_provider::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..]))
            .map_err(|error| NetError::Key(error.to_string()))?;
        let spki =
            signer.public_key().ok_or_else(|| NetError::Key("it has no public key".to_owned()))?;
        let public = key_of_spki(spki.as_ref())
            .ok_or_else(|| NetError::Key("it is not an ed25519 key".to_owned()))?;
        let certificate = CertificateDer::from(spki.to_vec());
        let key = Arc::new(CertifiedKey::new(vec![certificate], signer));
        Ok(Self { provider: Arc::new(provider()), key, public })
    }

    /// Our own public key.
    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// For one dial: accepts exactly the holder of `expected`.
    pub(crate) fn client_config(&self, expected: [u8; 32]) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(Accept::Exactly(expected)))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&self.key),
            )));
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.enable_sni = false;
        config.cert_compressors = Vec::new();
        config.cert_decompressors = Vec::new();
        Ok(config)
    }

    /// For listening: accepts the holders of `known`.
    pub(crate) fn server_config(&self, known: Arc<KnownKeys>) -> Result<ServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.verifier(Accept::AnyOf(known)))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(
                &self.key,
            ))));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.cert_compressors = Vec::new();
        config.cert_decompressors = Vec::new();
        Ok(config)
    }

    fn verifier(&self, accept: Accept) -> Arc<KeyVerifier> {
        Arc::new(KeyVerifier {
            accept,
            algorithms: self.provider.signature_verification_algorithms,
        })
    }
}

/// The ring provider with the cheapest cipher first: AES-128 is as safe here as AES-256 and
/// takes a third less time.
fn provider() -> CryptoProvider {
    let mut provider = ring_provider::default_provider();
    provider.cipher_suites = vec![
        ring_provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring_provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring_provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    provider
}

#[derive(Debug)]
enum Accept {
    Exactly([u8; 32]),
    AnyOf(Arc<KnownKeys>),
}

/// Compares raw public keys instead of building certificate chains.
#[derive(Debug)]
struct KeyVerifier {
    accept: Accept,
    algorithms: WebPkiSupportedAlgorithms,
}

impl KeyVerifier {
    fn check_key(&self, spki: &[u8], rest: &[CertificateDer<'_>]) -> Result<(), Error> {
        let key = key_of_spki(spki).ok_or(CertificateError::BadEncoding)?;
        if !rest.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        let accepted = match &self.accept {
            Accept::Exactly(expected) => *expected == key,
            Accept::AnyOf(known) => known.contains(&key),
        };
        // This error is how the accept loop tells an unknown key from garbage.
        if accepted { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signature.scheme != SignatureScheme::ED25519 {
            return Err(CertificateError::BadSignature.into());
        }
        rustls::crypto::verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(certificate.as_ref()),
            signature,
            &self.algorithms,
        )
    }
}

fn no_tls12() -> Error {
    Error::General("TLS 1.2 is not spoken here".to_owned())
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_key(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for KeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_key(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
