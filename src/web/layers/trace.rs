//! Spans of requests for the crate `tracing`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use http::header::USER_AGENT;
use http::uri::Scheme;
use http::{Method, Version};
use tracing::field;
use tracing::{Span, debug, error, info_span, warn};

use crate::message::request_id::REQUEST_ID;
use crate::message::{ClientInfo, Later, MatchedPath, Request, Response};
use crate::web::{Layer, Next};

/// Opens a span of the crate [`tracing`] for each request, in which the handler and the layers behind
/// this one run. Events that they log with `tracing` belong to it.
///
/// The span has the name `request`, the target `httpool` and the level INFO. Its fields have the names
/// of OpenTelemetry's [conventions for HTTP servers][conventions]:
///
/// | field | value |
/// |---|---|
/// | `http.request.method`, `url.path`, `url.scheme` | of the request; no query, which may have secrets |
/// | `network.protocol.version` | `1.0`, `1.1` or `2` |
/// | `client.address`, `user_agent.original` | if they are known ([`ClientInfo::client`]) |
/// | `http.request.header.x-request-id` | the id of the request, if it has one ([`Builder::request_ids`]) |
/// | `http.route` | the path of the route, if a router behind this layer has found one ([`MatchedPath`]) |
/// | `http.response.status_code` | when the response has been made |
/// | `error.type` | the status if it is 5xx; `panic`; `cancelled` if a response that comes later does not come |
/// | `otel.kind`, `otel.name`, `otel.status_code` | read by `tracing-opentelemetry`; the name is the method, and the route once it is known |
///
/// An event in the span has `http.server.request.duration` in seconds: at DEBUG, at ERROR for a 5xx or a
/// panic, and at WARN for a response that does not come.
///
/// The span ends when the response has been made, also if it comes [later](crate::Later). Content that is sent
/// afterwards is not a part of it. Responses that the server makes itself have no span.
///
/// ```
/// use httpool::layers::Trace;
/// use httpool::testing::Client;
/// use httpool::{Layered, Request};
///
/// fn greet(_: Request) -> &'static str {
///     // An event in the span of the request.
///     tracing::info!("somebody is greeted");
///     "hello"
/// }
///
/// let client = Client::new(Layered::new(greet).layer(Trace::new()));
/// assert_eq!(client.get("/").send().text(), "hello");
/// ```
///
/// `httpool` itself logs with the crate `log`; `tracing-log` makes events of that.
///
/// [conventions]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
/// [`Builder::request_ids`]: crate::Builder::request_ids
pub struct Trace {
    /// `None` for the layer's own span.
    make_span: Option<Box<MakeSpan>>,
}

type MakeSpan = dyn Fn(&Request) -> Span + Send + Sync;

/// The span of a request without a response.
struct Open {
    span: Span,
    since: Instant,
    is_answered: bool,
}

impl Trace {
    /// Creates the layer.
    #[must_use]
    pub fn new() -> Self {
        Self { make_span: None }
    }

    /// Creates the layer with a function that makes the spans, for example with a parent from
    /// `traceparent`. The route and the fields of the response are recorded if the span declares them.
    ///
    /// ```
    /// use httpool::layers::Trace;
    /// use tracing::field::Empty;
    ///
    /// let trace = Trace::with_span(|request| {
    ///     tracing::info_span!("http", path = request.uri().path(), http.response.status_code = Empty)
    /// });
    /// ```
    pub fn with_span(make_span: impl Fn(&Request) -> Span + Send + Sync + 'static) -> Self {
        Self {
            make_span: Some(Box::new(make_span)),
        }
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Trace {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        let span = match &self.make_span {
            Some(make_span) => make_span(request),
            None => request_span(request),
        };
        let method =
            (self.make_span.is_none() && !span.is_disabled()).then(|| request.method().clone());
        let open = Open {
            span: span.clone(),
            since: Instant::now(),
            is_answered: false,
        };
        // The route is known also if its function panics.
        let call = AssertUnwindSafe(|| span.in_scope(|| next.handle(request)));
        let (result, route) = MatchedPath::record(|| catch_unwind(call));
        if let Some(route) = route {
            open.note_route(route.as_str(), method.as_ref());
        }
        let response = result.unwrap_or_else(|panic| resume_unwind(panic));
        Later::map(response, move |response| {
            open.answer(&response);
            response
        })
    }
}

fn request_span(request: &Request) -> Span {
    let (method, headers) = (request.method(), request.headers());
    let client_info = ClientInfo::of(request);
    let client = client_info.and_then(|info| info.client()?.ip());
    let scheme = client_info.and_then(ClientInfo::scheme);
    let text = |name| headers.get(name)?.to_str().ok();
    info_span!(
        target: "httpool",
        "request",
        otel.kind = "server",
        otel.name = %method,
        otel.status_code = field::Empty,
        http.request.method = %method,
        url.path = request.uri().path(),
        url.scheme = scheme.map(Scheme::as_str),
        network.protocol.version = version(request.version()),
        client.address = client.map(field::display),
        user_agent.original = text(USER_AGENT),
        "http.request.header.x-request-id" = text(REQUEST_ID),
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        "error.type" = field::Empty,
    )
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

impl Open {
    /// Records the route, and names the layer's own span after it and the method.
    fn note_route(&self, route: &str, method: Option<&Method>) {
        self.span.record("http.route", route);
        if let Some(method) = method {
            let name = format_args!("{method} {route}");
            self.span.record("otel.name", field::display(name));
        }
    }

    fn answer(mut self, response: &Response) {
        self.is_answered = true;
        let status = response.status();
        self.span
            .record("http.response.status_code", status.as_u16());
        let seconds = self.since.elapsed().as_secs_f64();
        let _entered = self.span.enter();
        if status.is_server_error() {
            self.note_error(status.as_str());
            error!(target: "httpool", { http.server.request.duration = seconds }, "response");
        } else {
            debug!(target: "httpool", { http.server.request.duration = seconds }, "response");
        }
    }

    fn note_error(&self, kind: &str) {
        self.span.record("error.type", kind);
        self.span.record("otel.status_code", "ERROR");
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let seconds = self.since.elapsed().as_secs_f64();
        let _entered = self.span.enter();
        if thread::panicking() {
            self.note_error("panic");
            error!(target: "httpool", { http.server.request.duration = seconds }, "the handler panicked");
        } else {
            self.note_error("cancelled");
            warn!(target: "httpool", { http.server.request.duration = seconds }, "no response has come");
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}
