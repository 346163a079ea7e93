//! Errors in certificates and keys.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;

use super::contents::{Contents, Label};
use super::der::Kind;
use super::provider;

/// The error when a [`Tls`](crate::net::Tls) cannot be built. Its text is one line that names the
/// file.
///
/// ```
/// use std::path::Path;
///
/// use httpool::Tls;
///
/// let error = Tls::builder()
///     .certificate_files("/no/such.pem", "/no/such.key")
///     .build()
///     .expect_err("there are no such files");
/// assert_eq!(error.file(), Some(Path::new("/no/such.pem")));
/// ```
#[derive(Debug)]
pub struct TlsError {
    file: Option<PathBuf>,
    reason: Reason,
}

#[derive(Debug)]
pub(crate) enum Reason {
    Unreadable(io::Error),
    MalformedCertificate(pem::Error),
    MalformedKey(pem::Error),
    /// The file has other contents.
    NoCertificate(Contents),
    NoKey(Contents),
    /// The certificate belongs to another key.
    WrongKey {
        certificate: Option<PathBuf>,
    },
    /// The key belongs to a certificate after the first one.
    WrongOrder,
    /// Keys of this kind are not supported.
    UnsupportedKey(String),
    Version1,
    Rejected(rustls::Error),
    /// The configuration as a whole is invalid.
    Configuration(rustls::Error),
    /// No certificate was configured.
    NoCertificates,
}

impl TlsError {
    pub(crate) fn new(file: Option<&Path>, reason: Reason) -> Self {
        Self {
            file: file.map(Path::to_owned),
            reason,
        }
    }

    /// An error that belongs to no single file.
    pub(crate) fn of_configuration(error: rustls::Error) -> Self {
        Self::new(None, Reason::Configuration(error))
    }

    /// Returns the file that caused the error, or `None` if the data came from memory.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Each text names the problem and a command that helps.
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        let file = file_argument(self.file());
        match &self.reason {
            Reason::Unreadable(error) => error.fmt(f),
            // The text of pem::Error is for programmers.
            Reason::MalformedCertificate(_) => write!(
                f,
                "the file is not well-formed PEM (openssl x509 -in {file} -noout reads it if it is whole)"
            ),
            Reason::MalformedKey(_) => write!(
                f,
                "the file is not well-formed PEM (openssl pkey -in {file} -noout reads it if it is whole)"
            ),
            Reason::NoCertificate(found) => no_certificate(*found, &file, f),
            Reason::NoKey(found) => no_key(*found, &file, f),
            Reason::WrongKey { certificate } => write!(
                f,
                "the key does not belong to the certificate (openssl pkey -in {file} -pubout and \
                 openssl x509 -in {} -noout -pubkey print the same for a pair)",
                file_argument(certificate.as_deref())
            ),
            Reason::WrongOrder => f.write_str(
                "the certificate of the key is not the first in the file; put it before those of its authorities",
            ),
            Reason::UnsupportedKey(kind) => write!(
                f,
                "this is {kind}; supported are {} (openssl genpkey -algorithm EC -pkeyopt \
                 ec_paramgen_curve:P-256 creates a key, which needs a certificate of its own)",
                provider::KEYS
            ),
            Reason::Version1 => f.write_str(
                "the certificate is X.509 version 1; version 3 is required (openssl req -x509 \
                 creates one, openssl x509 -req with -extfile signs one)",
            ),
            Reason::Rejected(_) => write!(
                f,
                "the certificate is damaged or has an extension that is not supported \
                 (openssl x509 -in {file} -noout -text shows it)"
            ),
            Reason::Configuration(error) => error.fmt(f),
            Reason::NoCertificates => f.write_str("no certificate is configured"),
        }
    }
}

/// A file name for use in a command.
fn file_argument(file: Option<&Path>) -> String {
    file.map_or_else(|| "FILE".into(), |file| file.display().to_string())
}

fn no_certificate(found: Contents, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match found {
        Contents::Der(Kind::Certificate) => write!(
            f,
            "the certificate is DER; PEM is required (openssl x509 -inform der -in {file} -out \
             cert.pem converts it)"
        ),
        Contents::Der(Kind::Pkcs12) => pkcs12(file, f),
        Contents::Der(Kind::Key | Kind::EncryptedKey)
        | Contents::Pem(Label::Key | Label::EncryptedKey | Label::OpenSshKey) => f.write_str(
            "the file contains a private key instead of a certificate; are certificate and key swapped?",
        ),
        Contents::Pem(Label::Request) => f.write_str(
            "the file contains a certificate request instead of a certificate; an authority signs it \
             (openssl req -x509 creates a certificate that is signed by its own key)",
        ),
        Contents::Pem(Label::Trusted) => write!(
            f,
            "the certificate is a TRUSTED CERTIFICATE of OpenSSL; CERTIFICATE is required (openssl x509 \
             -in {file} -out cert.pem converts it)"
        ),
        Contents::Pem(Label::Pkcs7) => write!(
            f,
            "the certificates are PKCS #7; PEM is required (openssl pkcs7 -print_certs -in {file} \
             -out cert.pem converts them)"
        ),
        _ => f.write_str("the file contains no certificate"),
    }
}

fn no_key(found: Contents, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match found {
        Contents::Der(Kind::Key) => write!(
            f,
            "the private key is DER; PEM is required (openssl pkey -inform der -in {file} -out \
             key.pem converts it)"
        ),
        Contents::Der(Kind::Pkcs12) => pkcs12(file, f),
        Contents::Der(Kind::Certificate) | Contents::Pem(Label::Certificate) => f.write_str(
            "the file contains a certificate instead of a private key; are certificate and key swapped?",
        ),
        Contents::Der(Kind::EncryptedKey) | Contents::Pem(Label::EncryptedKey) => write!(
            f,
            "the private key is encrypted, which is not supported (openssl pkey -in {file} -out key.pem \
             decrypts it)"
        ),
        Contents::Pem(Label::OpenSshKey) => write!(
            f,
            "the private key has the OpenSSH format (ssh-keygen -p -m PKCS8 -f {file} converts \
             it in place)"
        ),
        Contents::Pem(Label::PublicKey) => {
            f.write_str("the file contains a public key instead of a private key")
        }
        _ => f.write_str("the file contains no private key"),
    }
}

fn pkcs12(file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "the file is PKCS #12; PEM is required (openssl pkcs12 -in {file} -nodes -out both.pem converts it, \
         and both.pem serves as certificate and key)"
    )
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Unreadable(error) => Some(error),
            Reason::MalformedCertificate(error) | Reason::MalformedKey(error) => Some(error),
            Reason::Rejected(error) | Reason::Configuration(error) => Some(error),
            _ => None,
        }
    }
}
