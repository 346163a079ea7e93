//! Knows the headers that carry secrets, and masks their values.

/// Headers whose values let others act for the client.
const SECRET: [&str; 2] = ["auth", "x-auth"];

/// Parts of the names of other such headers: `X-Auth-Token`, `Api-Key`, `X-Client-Secret`. A name may
/// have `_` in place of `-`.
const SECRET_PARTS: [&str; 16] = [
    "access-key",
    "api-key",
    "apikey",
    "assertion",
    "auth-key",
    "authentication",
    "authorization",
    "cookie",
    "credential",
    "jwt",
    "passw",
    "private-key",
    "secret",
    "session",
    "signature",
    "token",
];

/// Schemes of credentials, which stay in front of a mask.
const SCHEMES: [&str; 10] = [
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hmac",
    "negotiate",
    "ntlm",
    "oauth",
    "token",
];

/// The mask that is shown instead of a secret. It is ASCII, so it is valid in a header and a shell.
const MASK: &str = "***";

/// Whether values are shown that let others act for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Shown,
    Masked,
}

/// Whether the values of this header are secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let mut name = name.to_ascii_lowercase();
    name.iter_mut()
        .filter(|byte| **byte == b'_')
        .for_each(|byte| *byte = b'-');
    let has = |part: &&str| memchr::memmem::find(&name, part.as_bytes()).is_some();
    SECRET.iter().any(|secret| secret.as_bytes() == name) || SECRET_PARTS.iter().any(has)
}

/// The value of a secret header with its secrets masked. The scheme of credentials and the names of
/// cookies stay, because they help to debug a client.
pub(super) fn mask(name: &[u8], value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    if name.eq_ignore_ascii_case(b"cookie") {
        let names = value.split(';').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{}={MASK}", name.trim()),
            None => MASK.to_owned(),
        });
        return names.collect::<Vec<_>>().join("; ");
    }
    let is_credentials = name.to_ascii_lowercase().ends_with(b"authorization");
    match value.split_once(' ') {
        Some((scheme, _)) if is_credentials && is_scheme(scheme) => format!("{scheme} {MASK}"),
        _ => MASK.to_owned(),
    }
}

/// Another word is rather the secret itself, sent without its scheme.
fn is_scheme(word: &str) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_headers_are_known_by_their_names() {
        for name in [
            "Authorization",
            "COOKIE",
            "proxy-authorization",
            "X-Api-Key",
            "X-Auth-Token",
            "X-CSRF-Token",
            "Client-Secret",
            "X-Session-Id",
            "X-Amz-Security-Token",
            "X-Forwarded-Authorization",
            "X-Original-Cookie",
            "X_API_KEY",
            "X-Access-Key",
            "X-Hub-Signature-256",
            "Passwd",
            "X-Auth",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in ["Host", "Accept", "User-Agent", "Content-Type", "X-Key", ""] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn mask_keeps_schemes_and_cookie_names() {
        for (name, value, shown) in [
            ("Authorization", "Bearer abc.def", "Bearer ***"),
            ("authorization", "Basic YWRhOng=", "Basic ***"),
            ("Proxy-Authorization", "abc", "***"),
            ("Authorization", "0123456789abcdef0123 x", "***"),
            ("authorization", "hunter2 more", "***"),
            ("Cookie", "a=1; bc=2=3;d", "a=***; bc=***; ***"),
            ("X-Api-Key", "Bearer abc", "***"),
            ("Cookie", "", "***"),
        ] {
            assert_eq!(
                mask(name.as_bytes(), value.as_bytes()),
                shown,
                "{name}: {value}"
            );
        }
        assert_eq!(mask(b"authorization", b"Bearer \xff"), "Bearer ***");
    }
}
