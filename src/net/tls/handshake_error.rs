//! Describes failed handshakes in plain words for the log.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// The reason why a handshake failed. The text of rustls is Rust code for many reasons, and calls
/// both sides the peer.
pub(crate) struct HandshakeError<'a>(pub(crate) &'a io::Error);

impl Display for HandshakeError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => f.write_str(&reason(error)),
            None => error.fmt(f),
        }
    }
}

fn reason(error: &Error) -> Cow<'static, str> {
    let text = match error {
        Error::PeerIncompatible(error) => incompatible(error),
        Error::NoApplicationProtocol => "the client offers no protocol of this server (ALPN)",
        Error::AlertReceived(alert) => return alert_from_client(*alert).into(),
        Error::NoCertificatesPresented => "the client presented no certificate",
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord
        | Error::DecryptError => "the client sent invalid TLS",
        Error::General(text) => return text.clone().into(),
        Error::Other(error) => return error.to_string().into(),
        _ => "the server cannot continue the handshake",
    };
    text.into()
}

fn incompatible(error: &PeerIncompatible) -> &'static str {
    use PeerIncompatible as Reason;
    match error {
        Reason::Tls12NotOffered
        | Reason::Tls12NotOfferedOrEnabled
        | Reason::SupportedVersionsExtensionRequired
        | Reason::ServerTlsVersionIsDisabledByOurConfig => {
            "the client offers no version of TLS that this server has enabled"
        }
        Reason::NoCipherSuitesInCommon
        | Reason::NoSignatureSchemesInCommon
        | Reason::SignatureAlgorithmsExtensionRequired => {
            "the client offers no cipher suite or signature scheme that the server's certificates allow"
        }
        Reason::NoKxGroupsInCommon | Reason::NamedGroupsExtensionRequired => {
            "the client offers no key exchange group of this server"
        }
        _ => "the client lacks a TLS feature that this server requires",
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    use CertificateError as Reason;
    match error {
        Reason::Expired | Reason::ExpiredContext { .. } => "the client's certificate has expired",
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            "the client's certificate is not valid yet"
        }
        Reason::UnknownIssuer => "the client's certificate is not from an accepted authority",
        Reason::Revoked => "the client's certificate is revoked",
        Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => {
            "the client's certificate is not for clients (extendedKeyUsage)"
        }
        _ => "the client's certificate is not valid",
    }
}

fn alert_from_client(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let meaning = match alert {
        Alert::UnknownCA => "the client does not trust the server's certificate",
        Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateExpired
        | Alert::CertificateRevoked
        | Alert::UnsupportedCertificate => "the client rejected the server's certificate",
        Alert::DecryptError => "the client could not verify the server's signature",
        _ => "the client ended the handshake",
    };
    format!("{meaning} (alert {})", u8::from(alert))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_plain_words() {
        #[track_caller]
        fn check(error: Error, expected: &str) {
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            assert_eq!(HandshakeError(&error).to_string(), expected);
        }
        check(
            Error::AlertReceived(AlertDescription::UnknownCA),
            "the client does not trust the server's certificate (alert 48)",
        );
        check(
            Error::AlertReceived(AlertDescription::UserCanceled),
            "the client ended the handshake (alert 90)",
        );
        check(
            PeerIncompatible::Tls12NotOffered.into(),
            "the client offers no version of TLS that this server has enabled",
        );
        check(
            CertificateError::UnknownIssuer.into(),
            "the client's certificate is not from an accepted authority",
        );
        check(Error::DecryptError, "the client sent invalid TLS");
    }

    #[test]
    fn socket_errors_keep_their_text() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(HandshakeError(&reset).to_string(), reset.to_string());
    }
}
