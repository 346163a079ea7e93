//! What is learnt from a request.

use peer_job::{HTML, PAGE};

/// So many bytes of answers can be sent with one call.
const REPEATED: usize = 128 * 1024;

/// How a kind of request is answered.
pub struct Answer {
    /// The head of such a request, by which it is known again.
    pub head: Vec<u8>,
    /// The length of such a request.
    pub request: usize,
    /// The length of one answer.
    pub length: usize,
    /// Answers, one behind the other.
    pub repeated: Vec<u8>,
    /// Whether the connection ends with it.
    pub is_last: bool,
}

impl Answer {
    /// Learns from the first request of its kind; `None` as long as its head is not complete.
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
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
             date: Mon, 23 Nov 2026 11:00:00 GMT\r\n",
            body.len()
        );
        if is_last {
            answer.push_str("connection: close\r\n");
        }
        answer.push_str("\r\n");
        answer.push_str(&body);
        Some(Self {
            head: head.to_vec(),
            request: head.len() + body_length,
            length: answer.len(),
            repeated: answer.repeat((REPEATED / answer.len()).max(2)).into(),
            is_last,
        })
    }
}
