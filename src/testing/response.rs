//! The response to a test request, as its client sees it.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Response as HttpResponse, StatusCode};

use crate::http1;
use crate::http1::{Content, Date, Ending, RequestBuffer};
use crate::message::{Body, RawRequest, Response};

/// A response as its client sees it.
///
/// ```
/// use httpool::{Request, testing::Client};
///
/// let response = Client::new(|_: Request| "hello").get("/").send();
/// assert_eq!((response.status().as_u16(), response.text()), (200, "hello"));
/// assert_eq!(response.header("content-length"), Some("5"));
/// ```
#[derive(Clone)]
pub struct TestResponse {
    pub(crate) response: HttpResponse<Bytes>,
    pub(crate) trailers: HeaderMap,
    pub(crate) target: String,
    pub(crate) early_hints: Vec<HeaderMap>,
}

/// Encodes the response to the request in `buffer`, and decodes it as the client does.
pub(crate) fn receive(response: Response, buffer: &RequestBuffer) -> HttpResponse<Body> {
    let (mut head, date) = (Vec::new(), Date::new(SystemTime::now()));
    let content = http1::encode(
        &response,
        &buffer.context,
        Ending::KeepAlive,
        &date,
        &mut head,
    );
    let status = http1::last_status(&response);
    let body = match content {
        Content::Omitted | Content::Switched => Body::empty(),
        Content::Follows | Content::FollowsInChunks => response.into_body(),
    };
    let mut received = HttpResponse::new(body);
    *received.status_mut() = status;
    *received.headers_mut() = RawRequest::new(head.into(), None).headers();
    received
}

impl TestResponse {
    /// Returns the status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the target of the request, or of the last request if
    /// [redirects](super::RequestBuilder::follow_redirects) were followed.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the headers of each [`103 Early Hints`](crate::Later::early_hints) that a client of HTTP/2
    /// gets before this response.
    #[must_use]
    pub fn early_hints(&self) -> &[HeaderMap] {
        &self.early_hints
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the value of the first header with this name, if it is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Returns the [trailers](Body::with_trailers) that a client of HTTP/1.1 or HTTP/2 receives.
    #[must_use]
    pub fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// Returns the body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.response.body()
    }

    /// Returns the body as text.
    ///
    /// # Panics
    ///
    /// If the body is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes()) {
            Ok(text) => text,
            Err(error) => panic!("the body is not UTF-8: {error}"),
        }
    }

    /// Parses the body as JSON.
    ///
    /// ```
    /// use httpool::{Json, Request};
    /// use httpool::testing::Client;
    ///
    /// let client = Client::new(|_: Request| Json([1, 2, 3]));
    /// assert_eq!(client.get("/").send().json::<Vec<u8>>(), [1, 2, 3]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the body is not JSON of this type.
    #[cfg(feature = "json")]
    #[must_use]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(self.bytes()) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }
}

/// Formats status, headers and body for the message of a failed test.
impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = String::from_utf8_lossy(self.bytes());
        write!(f, "{} {:?} {content:?}", self.status(), self.headers())
    }
}
