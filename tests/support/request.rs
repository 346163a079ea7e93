//! Requests as bytes.

/// A name and a value.
pub(crate) type Field<'a> = (&'a str, &'a str);

/// A request without a body.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: it\r\n\r\n").into()
}

/// A request with `Connection: close`.
pub(crate) fn get_and_close(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").into()
}

/// A request with a Content-Length body.
pub(crate) fn post(target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = post_head(target, body.len());
    request.extend_from_slice(body);
    request
}

/// The head of a request with a Content-Length body.
pub(crate) fn post_head(target: &str, length: usize) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: it\r\nContent-Length: {length}\r\n\r\n").into()
}

/// A request with a chunked body, in chunks of this size.
pub(crate) fn post_chunked(target: &str, body: impl AsRef<[u8]>, chunk: usize) -> Vec<u8> {
    let mut request = chunked_head(target);
    for chunk in body.as_ref().chunks(chunk) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// The head of a request with a chunked body.
pub(crate) fn chunked_head(target: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n").into()
}

/// PROXY protocol headers of version 1 and 2 for a client at 192.0.2.1:4711.
pub(crate) const PROXY_V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n";
pub(crate) const PROXY_V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x12\x67\0\x50";
