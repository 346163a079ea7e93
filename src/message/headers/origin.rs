//! The `Origin` header (RFC 6454 section 7), compared with the host of a request.

use crate::message::head::host::is_same;

/// Whether an origin, for example `https://shop.example`, has this host and port. The schemes are not
/// compared: behind a proxy that terminates TLS, a server may not know that of its client.
pub(crate) fn is_of_host(origin: &[u8], host: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(origin, b"://") else {
        return false;
    };
    let is_https = origin[..end].eq_ignore_ascii_case(b"https");
    is_same(&origin[end + 3..], host, is_https)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(origin: &str, host: &str, expected: bool) {
        let is_same = is_of_host(origin.as_bytes(), host.as_bytes());
        assert_eq!(is_same, expected, "{origin} and {host}");
    }

    #[test]
    fn origins_have_the_host_up_to_case_and_default_port() {
        check("https://a.example", "a.example", true);
        check("https://A.example", "a.Example", true);
        check("https://a.example", "a.example:443", true);
        check("http://a.example:80", "a.example", true);
        check("http://a.example:8080", "a.example:8080", true);
        check("http://[::1]:4000", "[::1]:4000", true);
        check("https://a.example:80", "a.example", false);
        check("http://a.example:8080", "a.example", false);
        check("https://b.example", "a.example", false);
        check("https://a.example.evil.example", "a.example", false);
        check("https://evil.example/a.example", "a.example", false);
        check("https://evil@a.example", "a.example", false);
        for opaque in ["null", "", "://", "a.example", "https:a.example"] {
            check(opaque, "a.example", false);
        }
    }
}
