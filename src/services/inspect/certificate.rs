//! Reads the certificate of a client, which rustls has verified.

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_cert::der::Decode as _;

use super::connection::Certificate;
use super::reflection::hexadecimal;

/// The first of these certificates, which is that of the client itself.
pub(super) fn read(chain: &[CertificateDer<'static>]) -> Option<Certificate> {
    let own = chain.first()?;
    let parsed = x509_cert::Certificate::from_der(own).ok();
    let parsed = parsed.as_ref().map(x509_cert::Certificate::tbs_certificate);
    Some(Certificate {
        subject: parsed.map(|parsed| parsed.subject().to_string()),
        issuer: parsed.map(|parsed| parsed.issuer().to_string()),
        serial_number: parsed.map(|parsed| hexadecimal(parsed.serial_number().as_bytes())),
        not_before: parsed.map(|parsed| parsed.validity().not_before.to_string()),
        not_after: parsed.map(|parsed| parsed.validity().not_after.to_string()),
        sha256: hexadecimal(&Sha256::digest(own)),
        chain_length: chain.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_is_described() {
        let mut params = rcgen::CertificateParams::new(["client.example".to_owned()])
            .expect("the name is valid");
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::OrganizationName, "Tea, Ltd.");
        name.push(rcgen::DnType::CommonName, "ada");
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2126, 3, 4);
        params.serial_number = Some(0x0a1b_u64.into());
        let key = rcgen::KeyPair::generate().expect("a key can be created");
        let own = params.self_signed(&key).expect("it can be signed");
        let described = read(&[own.der().clone()]).expect("there is one");
        assert_eq!(described.subject.as_deref(), Some("CN=ada,O=Tea\\, Ltd."));
        assert_eq!(described.issuer, described.subject);
        assert_eq!(described.serial_number.as_deref(), Some("0a1b"));
        assert_eq!(
            described.not_before.as_deref(),
            Some("2026-01-02T00:00:00Z")
        );
        assert_eq!(described.not_after.as_deref(), Some("2126-03-04T00:00:00Z"));
        assert_eq!(described.sha256.len(), 64);
    }

    #[test]
    fn certificate_that_cannot_be_read_has_a_fingerprint() {
        let described = read(&[CertificateDer::from(b"nonsense".to_vec())]);
        let described = described.expect("there is one");
        assert_eq!((described.subject, described.chain_length), (None, 1));
        assert_eq!(described.sha256.len(), 64);
        assert!(read(&[]).is_none());
    }
}
