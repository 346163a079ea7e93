//! What stands between the server and a handler.

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use crate::message::body::Provenance;
use crate::message::{BodyMode, Handler, IntoResponse, Request, Response};

/// Sees requests before a handler does, and its answers afterwards: middleware.
///
/// A layer passes a request on by giving it to [`Next`], or answers it itself. Every
/// `Fn(Request, Next) -> impl IntoResponse + Send + Sync` is a layer:
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::{Handler, IntoResponse, Layered, Next, Request, Response};
///
/// fn only_for_cats(request: Request, next: Next<'_>) -> Response {
///     if request.headers().get("x-animal").is_none_or(|animal| animal != "cat") {
///         return StatusCode::FORBIDDEN.into_response();
///     }
///     next.run(request)
/// }
///
/// let handler = Layered::new(|_: Request| "fish").layer(only_for_cats);
/// assert_eq!(handler.handle(&mut Request::default()).status(), StatusCode::FORBIDDEN);
/// ```
///
/// # Order
///
/// What is written first sees the request first, and its answer last. This holds for
/// [`Layered::layer`] and `Router::layer` alike:
///
/// ```
/// use httpool::{Handler, Layered, Next, Request};
///
/// let handler = Layered::new(|_: Request| "c")
///     .layer(|request: Request, next: Next<'_>| format!("a{}", text(next.run(request))))
///     .layer(|request: Request, next: Next<'_>| format!("b{}", text(next.run(request))));
/// assert_eq!(text(handler.handle(&mut Request::default())), "abc");
///
/// fn text(response: httpool::Response) -> String {
///     String::from_utf8_lossy(response.body().as_bytes()).into_owned()
/// }
/// ```
///
/// # Around some paths
///
/// Put a layer on the nested router that has these paths: it sees everything beneath them, whether a
/// route matches it or not. Don't compare prefixes: a router takes
/// paths for the same that a layer sees in several forms. `/%40admin/` finds what is nested in
/// `/@admin`, and does not begin with `/@admin/`.
///
/// # Another body
///
/// A layer may give the request another body, or pass on another request. [`ClientInfo`](crate::ClientInfo)
/// and [`RawRequest`](crate::RawRequest) stay those of the request that has come: [`Next`] attaches them to what
/// it passes on.
///
/// ```
/// use httpool::testing::Client;
/// use httpool::{Layered, Next, ClientInfo, Request};
///
/// let handler = Layered::new(|request: Request| ClientInfo::of(&request).is_some().to_string())
///     .layer(|request: Request, next: Next<'_>| next.run(request.map(|_| "tea".into())));
/// assert_eq!(Client::new(handler).post("/").body("coffee").send().text(), "true");
/// ```
///
/// # Responses of the server
///
/// What the server answers itself passes no layer: to what is no request, is too long or late, or
/// comes while there are too many, and in the place of a handler that panics. A layer completes such
/// a response in [`server_response`](Self::server_response), as [`Cors`](crate::layers::Cors) and
/// [`SecurityHeaders`](crate::layers::SecurityHeaders) do: those around a whole handler complete all of
/// them, and those of a nested router the ones to requests for its paths.
/// [`Builder::default_headers`](crate::Builder::default_headers) adds fields to all responses. Handlers
/// that panic are seen behind [`CatchPanic`](crate::layers::CatchPanic).
///
/// # Bodies that have not come
///
/// A request that no handler wants the body of is handled when its head is here
/// ([`BodyMode::HeadOnly`]), as one that no route takes. Its layers see it with its head, and where one
/// of them looks at the body there is nothing. The response is then dropped, and the request passes
/// the layers again when its body has come: so a layer that reads bodies may see such a request twice.
///
/// # Cost
///
/// As with [`Handler`], the trait lends the request and a function owns it: to pass through a layer
/// that implements the trait itself, as those of [`layers`](crate::layers) do, takes no memory.
///
/// ```
/// use httpool::http::{HeaderValue, header::SERVER};
/// use httpool::{Layer, Next, Request, Response};
///
/// struct SayWho;
///
/// impl Layer for SayWho {
///     fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
///         let mut response = next.handle(request);
///         response.headers_mut().insert(SERVER, HeaderValue::from_static("teapot"));
///         response
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer",
    note = "layers are functions of a `Request` and a `Next`, or whatever implements `Layer`; a \
            closure says the types of both: `|request: Request, next: Next<'_>| ..`"
)]
pub trait Layer: Send + Sync + 'static {
    /// Answers one request, or has `next` do it.
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response;

    /// How to take the body of this request, of which nothing but the head is known, if what is
    /// behind this layer takes it like that. A layer that is going to refuse the request by its head
    /// says [`BodyMode::HeadOnly`], so that the client need not send the body for that.
    ///
    /// ```
    /// use httpool::http::StatusCode;
    /// use httpool::{BodyMode, IntoResponse, Layer, Next, Request, Response};
    ///
    /// struct OnlyForCats;
    ///
    /// impl OnlyForCats {
    ///     fn admits(request: &Request) -> bool {
    ///         request.headers().get("x-animal").is_some_and(|animal| animal == "cat")
    ///     }
    /// }
    ///
    /// impl Layer for OnlyForCats {
    ///     fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
    ///         match Self::admits(request) {
    ///             true => next.handle(request),
    ///             false => StatusCode::FORBIDDEN.into_response(),
    ///         }
    ///     }
    ///
    ///     fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
    ///         if Self::admits(request) { behind } else { BodyMode::HeadOnly }
    ///     }
    /// }
    /// ```
    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        let _ = request;
        behind
    }

    /// Completes a response that the server makes itself, of which
    /// [`Handler::server_response`](crate::Handler::server_response) says more. Layers do so in the
    /// order in which they see responses. Default: the response stays as it is.
    ///
    /// ```
    /// use httpool::http::{HeaderValue, header::SERVER};
    /// use httpool::{Layer, Next, Request, Response};
    ///
    /// struct SayWho;
    ///
    /// impl Layer for SayWho {
    ///     fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
    ///         let mut response = next.handle(request);
    ///         self.server_response(request, &mut response);
    ///         response
    ///     }
    ///
    ///     fn server_response(&self, _: &Request, response: &mut Response) {
    ///         response.headers_mut().insert(SERVER, HeaderValue::from_static("teapot"));
    ///     }
    /// }
    /// ```
    fn server_response(&self, request: &Request, response: &mut Response) {
        let _ = (request, response);
    }
}

/// The layers behind one, and the handler behind them all.
///
/// ```
/// use std::time::Instant;
///
/// use httpool::testing::Client;
/// use httpool::{Layered, Next, Request, Response};
///
/// fn time(request: Request, next: Next<'_>) -> Response {
///     let (target, began) = (request.uri().clone(), Instant::now());
///     let response = next.run(request);
///     println!("{target} took {:?}", began.elapsed());
///     response
/// }
///
/// let client = Client::new(Layered::new(|_: Request| "hello").layer(time));
/// assert_eq!(client.get("/").send().text(), "hello");
/// ```
pub struct Next<'a> {
    layers: &'a [Arc<dyn Layer>],
    handler: &'a dyn Fn(&mut Request) -> Response,
    provenance: &'a Provenance,
}

/// A handler with [layers](Layer) around it.
///
/// ```
/// use httpool::layers::SecurityHeaders;
/// use httpool::{Handler, Layered, Request};
///
/// let handler = Layered::new(|_: Request| "hello").layer(SecurityHeaders::new());
/// let answer = handler.handle(&mut Request::default());
/// assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
/// ```
#[derive(Debug)]
pub struct Layered<H> {
    handler: H,
    layers: Layers,
}

/// Layers in the order in which they see requests.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn Layer>>);

impl Next<'_> {
    /// The answer to this request.
    pub fn run(self, mut request: Request) -> Response {
        self.handle(&mut request)
    }

    /// The same for a request that is lent. What is left in it afterwards need not be what was in
    /// it: a handler that is a function takes it away.
    pub fn handle(self, request: &mut Request) -> Response {
        let Self {
            layers,
            handler,
            provenance,
        } = self;
        request.body_mut().restore(provenance);
        let Some((layer, layers)) = layers.split_first() else {
            return handler(request);
        };
        let next = Next {
            layers,
            handler,
            provenance,
        };
        layer.handle(request, next)
    }
}

impl<H: Handler> Layered<H> {
    /// The handler, without a layer yet.
    pub fn new(handler: H) -> Self {
        Self {
            handler,
            layers: Layers::default(),
        }
    }

    /// Adds a layer, behind those that were added before.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(layer);
        self
    }
}

impl<H: Handler> Handler for Layered<H> {
    fn handle(&self, request: &mut Request) -> Response {
        self.layers.run(request, &|request| {
            // A layer has made another request of it.
            if let Some(body) = request.body().as_withheld()
                && self.handler.body_mode(request) != BodyMode::HeadOnly
            {
                body.want();
                return Response::default();
            }
            self.handler.handle(request)
        })
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.layers
            .body_mode(request, self.handler.body_mode(request))
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.handler.server_response(request, response);
        self.layers.server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        self.handler.check()
    }
}

impl Layers {
    pub(crate) fn push(&mut self, layer: impl Layer) {
        self.0.push(Arc::new(layer));
    }

    #[cfg(feature = "router")]
    pub(crate) const NONE: &Self = &Self(Vec::new());

    #[cfg(feature = "router")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These, and those behind them.
    #[cfg(feature = "router")]
    pub(crate) fn before(&self, others: &Self) -> Self {
        Self([&self.0[..], &others.0].concat())
    }

    /// How to take a body that what is behind them takes like that.
    pub(crate) fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        let layers = self.0.iter().rev();
        layers.fold(behind, |behind, layer| layer.body_mode(request, behind))
    }

    /// These, and then those of the others that are not among them.
    #[cfg(feature = "router")]
    pub(crate) fn and_missing(mut self, others: &Self) -> Self {
        for layer in &others.0 {
            if !self.0.iter().any(|known| Arc::ptr_eq(known, layer)) {
                self.0.push(Arc::clone(layer));
            }
        }
        self
    }

    /// They complete a response that the server has made, as it would pass them.
    pub(crate) fn server_response(&self, request: &Request, response: &mut Response) {
        for layer in self.0.iter().rev() {
            layer.server_response(request, response);
        }
    }

    pub(crate) fn run(
        &self,
        request: &mut Request,
        handler: &dyn Fn(&mut Request) -> Response,
    ) -> Response {
        let layers = &self.0;
        if layers.is_empty() {
            return handler(request);
        }
        // A layer may give the request another body, or pass on another request.
        let provenance = request.body().provenance();
        let next = Next {
            layers,
            handler,
            provenance: &provenance,
        };
        next.handle(request)
    }
}

/// One layer for several handlers.
impl<L: Layer + ?Sized> Layer for Arc<L> {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        (**self).handle(request, next)
    }

    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        (**self).body_mode(request, behind)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        (**self).server_response(request, response);
    }
}

impl<F, R> Layer for F
where
    F: Fn(Request, Next<'_>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        self(mem::take(request), next).into_response()
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers and a handler", self.layers.len())
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers", self.0.len())
    }
}
