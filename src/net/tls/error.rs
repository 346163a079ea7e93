//! What can be wrong with certificates and keys.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;

use super::contents::{Contents, Label};
use super::der::Kind;
use super::provider;

/// Why there is no [`Tls`](crate::net::Tls). As text it is one line that names the file.
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
    /// There is something else.
    NoCertificate(Contents),
    NoKey(Contents),
    /// The certificate is another key's.
    WrongKey {
        certificate: Option<PathBuf>,
    },
    /// The key is that of a certificate behind the first.
    WrongOrder,
    /// The key is of this kind.
    UnsupportedKey(String),
    Version1,
    Rejected(rustls::Error),
    /// It is about no file: the configuration as a whole.
    Unusable(rustls::Error),
    /// No certificate was named.
    Nothing,
}

impl TlsError {
    pub(crate) fn new(file: Option<&Path>, reason: Reason) -> Self {
        Self {
            file: file.map(Path::to_owned),
            reason,
        }
    }

    /// One that is nobody's alone.
    pub(crate) fn of_all(error: rustls::Error) -> Self {
        Self::new(None, Reason::Unusable(error))
    }

    /// The file in which something is wrong; `None` if it came from memory.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Each text says what is wrong, and the command that helps.
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        let file = shown(self.file());
        match &self.reason {
            Reason::Unreadable(error) => error.fmt(f),
            // The error's own text is for programmers.
            Reason::MalformedCertificate(_) => write!(
                f,
                "it is not well-formed PEM (openssl x509 -in {file} -noout reads it if it is whole)"
            ),
            Reason::MalformedKey(_) => write!(
                f,
                "it is not well-formed PEM (openssl pkey -in {file} -noout reads it if it is whole)"
            ),
            Reason::NoCertificate(found) => no_certificate(*found, &file, f),
            Reason::NoKey(found) => no_key(*found, &file, f),
            Reason::WrongKey { certificate } => write!(
                f,
                "the key is not that of the certificate (openssl pkey -in {file} -pubout and \
                 openssl x509 -in {} -noout -pubkey print the same for a pair)",
                shown(certificate.as_deref())
            ),
            Reason::WrongOrder => f.write_str(
                "the certificate of the key is not the first; put it before those of its authorities",
            ),
            Reason::UnsupportedKey(kind) => write!(
                f,
                "it is {kind}; supported are {} (openssl genpkey -algorithm EC -pkeyopt \
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
            Reason::Unusable(error) => error.fmt(f),
            Reason::Nothing => f.write_str("there is no certificate"),
        }
    }
}

/// A file in a command.
fn shown(file: Option<&Path>) -> String {
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
            "there is no certificate in it, but a private key; are certificate and key swapped?",
        ),
        Contents::Pem(Label::Request) => f.write_str(
            "there is no certificate in it, but a certificate request, which an authority signs \
             (openssl req -x509 creates a certificate that is signed by its own key)",
        ),
        Contents::Pem(Label::Trusted) => write!(
            f,
            "there is no certificate in it, but a TRUSTED CERTIFICATE of OpenSSL (openssl x509 -in \
             {file} -out cert.pem converts it)"
        ),
        Contents::Pem(Label::Pkcs7) => write!(
            f,
            "the certificates are PKCS #7; PEM is required (openssl pkcs7 -print_certs -in {file} \
             -out cert.pem converts them)"
        ),
        _ => f.write_str("there is no certificate in it"),
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
            "there is no private key in it, but a certificate; are certificate and key swapped?",
        ),
        Contents::Der(Kind::EncryptedKey) | Contents::Pem(Label::EncryptedKey) => write!(
            f,
            "the private key is encrypted, and there is no way to give a password (openssl pkey -in \
             {file} -out key.pem decrypts it)"
        ),
        Contents::Pem(Label::OpenSshKey) => write!(
            f,
            "the private key is in the format of OpenSSH (ssh-keygen -p -m PKCS8 -f {file} converts \
             it in place)"
        ),
        Contents::Pem(Label::PublicKey) => {
            f.write_str("there is no private key in it, but a public key")
        }
        _ => f.write_str("there is no private key in it"),
    }
}

fn pkcs12(file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "it is PKCS #12; PEM is required (openssl pkcs12 -in {file} -nodes -out both.pem converts it, \
         and both.pem is certificate and key)"
    )
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Unreadable(error) => Some(error),
            Reason::MalformedCertificate(error) | Reason::MalformedKey(error) => Some(error),
            Reason::Rejected(error) | Reason::Unusable(error) => Some(error),
            _ => None,
        }
    }
}
