//! The first bytes of a client (RFC 9113 section 3.4).

/// What a client sends before its first frame (RFC 9113 section 3.4).
pub const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection are.
///
/// ```
/// use httpool::http2::Preface;
///
/// assert_eq!(Preface::detect(b"PRI * HT"), Preface::Partial);
/// assert_eq!(Preface::detect(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Preface::Complete);
/// assert_eq!(Preface::detect(b"PUT / HTTP/1.1\r\n"), Preface::Other);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preface {
    /// The preface of HTTP/2. Frames follow after [`PREFACE`]`.len()` bytes.
    Complete,
    /// The start of the preface, or nothing; the rest has not arrived.
    Partial,
    /// Anything else. It may be a request of HTTP/1.1. If TLS has negotiated `h2`, it is a
    /// connection error of type PROTOCOL_ERROR.
    Other,
}

impl Preface {
    /// Compares all bytes that have arrived on a connection with the preface.
    #[must_use]
    pub fn detect(received: &[u8]) -> Self {
        let length = received.len().min(PREFACE.len());
        match (received[..length] == PREFACE[..length], length) {
            (false, _) => Self::Other,
            (true, length) if length == PREFACE.len() => Self::Complete,
            (true, _) => Self::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preface_is_recognised_at_every_split_point() {
        for length in 0..PREFACE.len() {
            assert_eq!(Preface::detect(&PREFACE[..length]), Preface::Partial);
        }
        assert_eq!(Preface::detect(&PREFACE), Preface::Complete);
        let with_settings = [&PREFACE[..], b"\0\0\0\x04\0\0\0\0\0"].concat();
        assert_eq!(Preface::detect(&with_settings), Preface::Complete);
    }

    #[test]
    fn one_changed_byte_is_no_preface() {
        for at in 0..PREFACE.len() {
            let mut changed = PREFACE;
            changed[at] ^= 0x20;
            assert_eq!(Preface::detect(&changed), Preface::Other);
            assert_eq!(Preface::detect(&changed[..=at]), Preface::Other);
        }
    }

    #[test]
    fn http1_requests_are_told_from_the_preface() {
        let requests: [(&[u8], usize); 7] = [
            (b"GET / HTTP/1.1\r\n\r\n", 1),
            (b"POST / HTTP/1.1\r\n\r\n", 2),
            (b"PROPFIND / HTTP/1.1\r\n\r\n", 3),
            (b"PRINT / HTTP/1.1\r\n\r\n", 4),
            (b"PRI / HTTP/1.1\r\n\r\n", 5),
            (b"PRI * HTTP/1.1\r\n\r\n", 12),
            (b"\r\nPRI * HTTP/2.0\r\n\r\n", 1),
        ];
        for (request, differs_after) in requests {
            for length in 0..request.len() {
                let expected = match length < differs_after {
                    true => Preface::Partial,
                    false => Preface::Other,
                };
                assert_eq!(Preface::detect(&request[..length]), expected);
            }
        }
    }
}
