//! Requests, responses and handlers, and the data that describes them. No protocol, socket or
//! thread.

pub(crate) mod body;
#[cfg(feature = "inspect")]
pub(crate) mod broken;
#[cfg(feature = "multipart")]
pub(crate) mod client_error;
pub(crate) mod client_info;
pub(crate) mod handler;
#[cfg_attr(
    not(feature = "unstable"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "parts of it are public, or used, with `unstable` only"
    )
)]
pub(crate) mod head;
pub(crate) mod headers;
pub(crate) mod later;
pub(crate) mod matched_path;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod raw_request;
pub(crate) mod record;
pub(crate) mod reject_reason;
pub(crate) mod request_error;
pub(crate) mod request_id;
pub(crate) mod request_times;
pub(crate) mod response;
#[cfg(feature = "_tls")]
pub(crate) mod tls_info;
pub(crate) mod upgrade;
pub(crate) mod user_name;
pub(crate) mod waker;

pub use self::body::{Body, BodySender, SendError, TrySendError};
pub use self::client_info::{ClientInfo, ClientSource, PeerAddr};
pub use self::handler::{BodyMode, Handler};
pub use self::later::{Cancelled, Later, Responder};
pub use self::matched_path::MatchedPath;
pub use self::problem::error_pages::ErrorPages;
pub use self::problem::{Problem, ProblemFormat};
pub use self::raw_request::{Chunk, RawRequest};
pub use self::record::{Observer, Outcome, RequestRecord};
pub use self::reject_reason::{Overload, RejectReason};
pub use self::request_error::RequestError;
pub use self::request_times::RequestTimes;
pub use self::response::{Attachment, Headers, Html, IntoResponse, Redirect};
#[cfg(feature = "_tls")]
pub use self::tls_info::{TlsInfo, TlsVersion};
pub use self::upgrade::{DrivenProtocol, DrivenStream, DrivenWaker, NextStep, Stream, Upgrade};

/// A request as a handler receives it.
///
/// ```
/// use httpool::Request;
/// use httpool::http::Method;
///
/// fn describe(request: Request) -> String {
///     let size = match *request.method() {
///         Method::POST => request.body().as_bytes().len(),
///         _ => 0,
///     };
///     let agent = request.headers().get("user-agent");
///     format!("{} and {size} bytes from {agent:?}", request.uri().path())
/// }
/// ```
pub type Request<T = Body> = http::Request<T>;

/// A response as a handler returns it. [`IntoResponse`] offers shorter ways to build one.
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::http::header::{HeaderValue, RETRY_AFTER};
/// use httpool::{Request, Response};
///
/// fn closed(_: Request) -> Response {
///     let mut response = Response::new("we open at nine\n".into());
///     *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
///     response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3600"));
///     response
/// }
/// ```
pub type Response<T = Body> = http::Response<T>;
