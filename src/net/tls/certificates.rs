//! Reads certificates and keys, and selects the certificate for a client.

use std::borrow::Cow;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::warn;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CertificateError, InconsistentKeys, RootCertStore, SignatureAlgorithm, SignatureScheme,
};

use super::contents::{Contents, Label};
use super::error::Reason;
use super::{der, provider};
use crate::fs::regular_file;
use crate::net::TlsError;

/// PEM text with certificates or keys.
#[derive(Clone)]
pub(crate) enum Pem {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// The certificates of a server, in the order of configuration.
#[derive(Debug)]
pub(crate) struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads certificate chains and their keys.
    pub(crate) fn read(pairs: &[(Pem, Pem)]) -> Result<Self, TlsError> {
        if pairs.is_empty() {
            return Err(TlsError::new(None, Reason::NoCertificates));
        }
        let read = pairs.iter().map(|(chain, key)| load(chain, key));
        read.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the first certificate that matches.
    fn find(&self, matches: impl Fn(&CertifiedKey) -> bool) -> Option<&Arc<CertifiedKey>> {
        self.0.iter().find(|certificate| matches(certificate))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_supported = |certified: &CertifiedKey| {
            let scheme = certified.key.choose_scheme(hello.signature_schemes());
            scheme.is_some()
        };
        let named = hello.server_name().filter(|_| self.0.len() > 1);
        let named = named.and_then(|name| ServerName::try_from(name).ok());
        let found = named
            .and_then(|name| {
                self.find(|certified| is_valid_for(certified, &name) && is_supported(certified))
            })
            .or_else(|| self.find(is_supported));
        found.cloned().or_else(|| self.without_scheme())
    }
}

impl Certificates {
    /// Returns the first certificate with a key that no client can use.
    ///
    /// Without a certificate, rustls sends the alert `access_denied`. If the key has no scheme in
    /// common with the client, rustls sends `handshake_failure`, as RFC 8446 section 4.2.3
    /// requires.
    fn without_scheme(&self) -> Option<Arc<CertifiedKey>> {
        let chain = self.0.first()?.cert.clone();
        Some(Arc::new(CertifiedKey::new(chain, Arc::new(NoScheme))))
    }
}

/// A key that supports no signature scheme and no cipher suite.
#[derive(Debug)]
struct NoScheme;

impl SigningKey for NoScheme {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        None
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Anonymous
    }
}

impl Pem {
    /// Reads all certificates in the text.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.text()?;
        let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        match found {
            Ok(found) if found.is_empty() => {
                Err(self.error(Reason::NoCertificate(Contents::of(&text))))
            }
            Ok(found) => Ok(found),
            Err(error) => Err(self.error(Reason::MalformedCertificate(error))),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let text = self.text()?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
            self.error(match (error, Contents::of(&text)) {
                // Traditional OpenSSL encryption adds headers that RFC 7468 does not allow.
                (pem::Error::NoItemsFound, found)
                | (_, found @ Contents::Pem(Label::EncryptedKey)) => Reason::NoKey(found),
                (error, _) => Reason::MalformedKey(error),
            })
        })
    }

    pub(crate) fn error(&self, reason: Reason) -> TlsError {
        TlsError::new(self.file(), reason)
    }

    fn text(&self) -> Result<Cow<'_, [u8]>, TlsError> {
        match self {
            Self::File(path) => {
                let mut text = Vec::new();
                regular_file::open(path)
                    .and_then(|mut file| file.read_to_end(&mut text))
                    .map_err(|error| self.error(Reason::Unreadable(error)))?;
                Ok(Cow::Owned(text))
            }
            Self::Memory(text) => Ok(Cow::Borrowed(text)),
        }
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory(_) => None,
        }
    }
}

/// Does not print keys.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Memory(_) => f.write_str("in memory"),
        }
    }
}

fn load(chain: &Pem, key: &Pem) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificates = chain.certificates()?;
    warn_if_not_valid_now(chain, &certificates[0]);
    let secret = key.key()?;
    let provider = provider::provider();
    let signing = (provider.key_provider).load_private_key(secret.clone_key());
    let signing = signing.map_err(|_| key.error(Reason::UnsupportedKey(der::describe(&secret))))?;
    let certified = CertifiedKey::new(certificates, signing);
    match certified.keys_match() {
        // A key that does not reveal its public key cannot be compared, so it is accepted.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(Arc::new(certified))
        }
        Err(rustls::Error::InconsistentKeys(_)) if belongs_to_later(&certified) => {
            Err(chain.error(Reason::WrongOrder))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            let certificate = chain.file().map(Path::to_owned);
            Err(key.error(Reason::WrongKey { certificate }))
        }
        Err(error) => Err(chain.error(rejected(&certified.cert[0], error))),
    }
}

/// Whether the key belongs to a certificate after the first certified.
fn belongs_to_later(certified: &CertifiedKey) -> bool {
    let others = certified.cert.iter().skip(1);
    others
        .map(|other| CertifiedKey::new(vec![other.clone()], Arc::clone(&certified.key)))
        .any(|other| other.keys_match().is_ok())
}

/// The reason why rustls rejects a certificate.
fn rejected(certificate: &CertificateDer<'_>, error: rustls::Error) -> Reason {
    match der::is_version_1(certificate) {
        true => Reason::Version1,
        false => Reason::Rejected(error),
    }
}

/// Whether the certificate is valid for this name.
fn is_valid_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = certified.cert.first().map(ParsedCertificate::try_from);
    matches!(certificate, Some(Ok(certificate)) if verify_server_name(&certificate, name).is_ok())
}

/// Warns if the certificate has expired or is not valid yet. rustls reports these errors before an
/// unknown issuer, so verifying against no roots reveals them.
fn warn_if_not_valid_now(chain: &Pem, certificate: &CertificateDer<'_>) {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return;
    };
    let verified = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::now(),
        provider::provider().signature_verification_algorithms.all,
    );
    let problem = match verified {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "has expired",
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => "is not valid yet",
        _ => return,
    };
    match chain.file() {
        Some(file) => warn!("the certificate in {} {problem}", file.display()),
        None => warn!("a certificate {problem}"),
    }
}
