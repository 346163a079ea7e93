//! Canned responses, learnt from the first request of each kind.

use peer_job::{HTML, PAGE};

/// Bytes of responses that one call can send.
const REPEATED: usize = 128 * 1024;

/// The response to one kind of request.
pub struct Response {
    /// The head of such a request, which identifies it.
    pub head: Vec<u8>,
    /// The length of such a request.
    pub request: usize,
    /// The length of one response.
    pub length: usize,
    /// Several responses in a row.
    pub repeated: Vec<u8>,
    /// Whether the connection closes after it.
    pub is_last: bool,
}

impl Response {
    /// Learns from the first request of its kind; `None` while its head is incomplete.
    pub fn to(request: &[u8]) -> Option<Self> {
        let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let (head, _) = request.split_at(end + 4);
        let text = String::from_utf8_lossy(head).to_ascii_lowercase();
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_default().trim()
        };
        let body_length: usize = field("content-length:").parse().unwrap_or(0);
        let is_last = field("connection:") == "close";
        let (kind, body) = if text.starts_with("post ") {
            (field("content-type:"), "x".repeat(body_length))
        } else {
            (HTML, PAGE.to_owned())
        };
        let mut response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
             date: Mon, 23 Nov 2026 11:00:00 GMT\r\n",
            body.len()
        );
        if is_last {
            response.push_str("connection: close\r\n");
        }
        response.push_str("\r\n");
        response.push_str(&body);
        Some(Self {
            head: head.to_vec(),
            request: head.len() + body_length,
            length: response.len(),
            repeated: response.repeat((REPEATED / response.len()).max(2)).into(),
            is_last,
        })
    }
}
