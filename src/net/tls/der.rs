//! Reads enough DER (X.690) to describe a key or certificate that rustls rejects.

use rustls::pki_types::PrivateKeyDer;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed: the version in a certificate, the curve in a SEC 1 key.
const CONTEXT_0: u8 = 0xa0;

/// Contents of object identifiers, and the names of their objects.
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const ALGORITHMS: [(&[u8], &str); 6] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "an RSA-PSS key"),
    (b"\x2a\x86\x48\xce\x38\x04\x01", "a DSA key"),
    (b"\x2b\x65\x6e", "an X25519 key"),
    (b"\x2b\x65\x6f", "an X448 key"),
    (b"\x2b\x65\x70", "an Ed25519 key"),
    (b"\x2b\x65\x71", "an Ed448 key"),
];
const CURVES: [(&[u8], &str); 5] = [
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-256"),
    (b"\x2b\x81\x04\x00\x22", "P-384"),
    (b"\x2b\x81\x04\x00\x23", "P-521"),
    (b"\x2b\x81\x04\x00\x21", "P-224"),
    (b"\x2b\x81\x04\x00\x0a", "secp256k1"),
];

/// What a DER file contains, according to its first elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Key,
    EncryptedKey,
    /// PKCS #12: a certificate and its key, protected by a password.
    Pkcs12,
}

/// The tag and content of an element, and the bytes after it.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

pub(crate) fn kind(bytes: &[u8]) -> Option<Kind> {
    let content = expect_tag(bytes, SEQUENCE)?.0;
    match element(content)? {
        (INTEGER, [3], _) => Some(Kind::Pkcs12),
        (INTEGER, _, _) => Some(Kind::Key),
        // The algorithm comes first (RFC 5958 section 3).
        (SEQUENCE, [OBJECT_IDENTIFIER, ..], _) => Some(Kind::EncryptedKey),
        (SEQUENCE, _, _) => Some(Kind::Certificate),
        _ => None,
    }
}

/// Whether a certificate is X.509 version 1, which has no version field.
pub(crate) fn is_version_1(certificate: &[u8]) -> bool {
    let first = expect_tag(certificate, SEQUENCE)
        .and_then(|(certificate, _)| expect_tag(certificate, SEQUENCE))
        .and_then(|(signed, _)| element(signed));
    matches!(first, Some((INTEGER, _, _)))
}

/// Describes a key, with its article.
pub(crate) fn describe(key: &PrivateKeyDer<'_>) -> String {
    let described = match key {
        PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => sec1(key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => pkcs8(key.secret_pkcs8_der()),
        _ => None,
    };
    described.unwrap_or_else(|| "a key of an unknown kind".into())
}

/// RFC 8017 appendix A.1.2.
fn rsa(key: &[u8]) -> Option<String> {
    let (content, _) = expect_tag(key, SEQUENCE)?;
    let (_version, rest) = expect_tag(content, INTEGER)?;
    let (modulus, _) = expect_tag(rest, INTEGER)?;
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = &modulus[leading..];
    let unused = modulus.first()?.leading_zeros() as usize;
    let bits = modulus.len() * 8 - unused;
    Some(format!("an RSA key of {bits} bits"))
}

/// RFC 5915 section 3.
fn sec1(key: &[u8]) -> Option<String> {
    let (content, _) = expect_tag(key, SEQUENCE)?;
    let (_version, rest) = expect_tag(content, INTEGER)?;
    let (_key, rest) = expect_tag(rest, OCTET_STRING)?;
    let (parameters, _) = expect_tag(rest, CONTEXT_0)?;
    curve(parameters)
}

/// RFC 5958 section 2.
fn pkcs8(key: &[u8]) -> Option<String> {
    let (content, _) = expect_tag(key, SEQUENCE)?;
    let (_version, rest) = expect_tag(content, INTEGER)?;
    let (algorithm, rest) = expect_tag(rest, SEQUENCE)?;
    let (name, parameters) = expect_tag(algorithm, OBJECT_IDENTIFIER)?;
    match name {
        RSA => rsa(expect_tag(rest, OCTET_STRING)?.0),
        EC => curve(parameters),
        _ => named(&ALGORITHMS, name).map(String::from),
    }
}

fn curve(parameters: &[u8]) -> Option<String> {
    let (name, _) = expect_tag(parameters, OBJECT_IDENTIFIER)?;
    let name = named(&CURVES, name).unwrap_or("an unknown curve");
    Some(format!("a key of {name}"))
}

fn named(names: &[(&[u8], &'static str)], name: &[u8]) -> Option<&'static str> {
    let mut names = names.iter();
    names
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Returns the content of the first element if it has this tag, and the bytes after it.
fn expect_tag(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Splits off the first element. A length of more than four bytes is rejected.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&[tag, length], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (length.into(), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked((length & 0x7f).into())?;
            let length = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_files_are_recognized() {
        let key = include_bytes!("../../../tests/it/tls/files/p-256.der");
        assert_eq!(kind(key), Some(Kind::Key));
        let encrypted = include_bytes!("../../../tests/it/tls/files/encrypted.der");
        assert_eq!(kind(encrypted), Some(Kind::EncryptedKey));
        let certificate = include_bytes!("../../../tests/it/tls/files/v3.der");
        assert_eq!(kind(certificate), Some(Kind::Certificate));
        assert!(!is_version_1(certificate));
        let both = include_bytes!("../../../tests/it/tls/files/both.p12");
        assert_eq!(kind(both), Some(Kind::Pkcs12));
        assert_eq!(sec1(key).as_deref(), Some("a key of P-256"));
    }

    #[test]
    fn truncated_der_is_rejected() {
        let key: &[u8] = include_bytes!("../../../tests/it/tls/files/p-256.der");
        for end in 0..key.len() {
            assert_eq!(kind(&key[..end]), None, "{end}");
            assert_eq!(sec1(&key[..end]), None, "{end}");
        }
        for text in ["", "0", "-----BEGIN CERTIFICATE-----\n", "0\u{0}"] {
            assert_eq!(kind(text.as_bytes()), None, "{text:?}");
        }
    }
}
