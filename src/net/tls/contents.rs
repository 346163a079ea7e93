//! Recognizes what a file contains instead of a certificate or key.

use super::der;
use super::der::Kind;

/// The contents of a file without the required certificate or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    Der(Kind),
    Pem(Label),
    Unknown,
}

/// A PEM label that can be confused with a certificate or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Certificate,
    Request,
    Trusted,
    Pkcs7,
    Key,
    EncryptedKey,
    OpenSshKey,
    PublicKey,
}

const BEGIN: &str = "-----BEGIN ";

/// The header of a key with traditional OpenSSL encryption (RFC 1421 section 4.6.1.1).
const ENCRYPTED: &str = "Proc-Type: 4,ENCRYPTED";

impl Contents {
    pub(crate) fn of(text: &[u8]) -> Self {
        if let Some(kind) = der::kind(text) {
            return Self::Der(kind);
        }
        let text = String::from_utf8_lossy(text);
        if text.contains(ENCRYPTED) {
            return Self::Pem(Label::EncryptedKey);
        }
        let labels = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(BEGIN));
        let mut labels = labels.filter_map(|line| Label::of(line.strip_suffix("-----")?));
        labels.next().map_or(Self::Unknown, Self::Pem)
    }
}

impl Label {
    fn of(label: &str) -> Option<Self> {
        Some(match label {
            "CERTIFICATE" => Self::Certificate,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::Request,
            "TRUSTED CERTIFICATE" => Self::Trusted,
            "PKCS7" | "CMS" => Self::Pkcs7,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            "OPENSSH PRIVATE KEY" => Self::OpenSshKey,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::PublicKey,
            label if label.ends_with("PRIVATE KEY") => Self::Key,
            _ => return None,
        })
    }
}
