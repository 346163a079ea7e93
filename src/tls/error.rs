//! What can be wrong with certificates and keys.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;

/// Why there is no [`Tls`](super::Tls). As text it is one line that names the file.
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
pub(super) enum Reason {
    Unreadable(io::Error),
    Malformed(pem::Error),
    NoCertificate,
    NoKey,
    /// The certificate is another key's.
    WrongKey,
    Rejected(rustls::Error),
    /// No certificate was named.
    Nothing,
}

impl TlsError {
    pub(super) fn new(file: Option<&Path>, reason: Reason) -> Self {
        Self {
            file: file.map(Path::to_owned),
            reason,
        }
    }

    /// One that is nobody's alone.
    pub(super) fn of_all(error: rustls::Error) -> Self {
        Self::new(None, Reason::Rejected(error))
    }

    /// The file in which something is wrong; `None` if it came from memory.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match &self.reason {
            Reason::Unreadable(error) => error.fmt(f),
            // Its own text is for programmers.
            Reason::Malformed(_) => f.write_str("it is not well-formed PEM"),
            Reason::NoCertificate => f.write_str("there is no certificate in it"),
            Reason::NoKey => f.write_str("there is no private key in it"),
            Reason::WrongKey => f.write_str("the key is not that of the certificate"),
            Reason::Rejected(error) => error.fmt(f),
            Reason::Nothing => f.write_str("there is no certificate"),
        }
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Unreadable(error) => Some(error),
            Reason::Malformed(error) => Some(error),
            Reason::Rejected(error) => Some(error),
            Reason::NoCertificate | Reason::NoKey | Reason::WrongKey | Reason::Nothing => None,
        }
    }
}
