//! Layers: middleware between the server and a handler.

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use crate::message::body::Provenance;
use crate::message::{BodyMode, Handler, IntoResponse, Request, Response};

/// Handles requests before a handler does, and its responses afterwards: middleware.
///
/// A layer passes a request on to [`Next`], or responds itself. Every `Fn(Request, Next) -> impl
/// IntoResponse + Send + Sync` is a layer:
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
/// The layer that is added first sees the request first, and its response last. This holds for
/// [`Layered::layer`] and `Router::layer`:
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
/// # Layers for a part of the paths
///
/// To cover a part of the paths, add the layer to the router that is nested there: it sees every
/// request beneath that path, whether a route matches or not. Do not compare path prefixes in a
/// layer. A router decodes paths before it matches them, and a layer sees them undecoded:
/// `/%40admin/` reaches a router nested at `/@admin`, but does not begin with `/@admin/`.
///
/// # Replacing the request
///
/// A layer may replace the request or its body. [`ClientInfo`](crate::ClientInfo) and
/// [`RawRequest`](crate::RawRequest) stay those of the received request: [`Next`] attaches them to
/// the request that it passes on.
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
/// Responses that the server makes itself do not pass through layers: those to rejected requests
/// (invalid, oversized, late or excess), and the 500 of a handler that panics. A layer completes such
/// a response in [`server_response`](Self::server_response), as [`Cors`](crate::layers::Cors) and
/// [`SecurityHeaders`](crate::layers::SecurityHeaders) do. Layers around the whole handler complete
/// all of them; layers of a nested router complete those to requests for its paths.
/// [`Builder::default_headers`](crate::Builder::default_headers) adds headers to all responses. To
/// see panics of handlers in layers, add [`CatchPanic`](crate::layers::CatchPanic).
///
/// # Responses that come later
///
/// If the handler returns a [`Later`](crate::Later), layers see a placeholder without content at once.
/// Headers that a layer sets on it are added to the response when it has arrived, unless the response has
/// them already. A layer that must see the response itself uses [`Later::map`](crate::Later::map), as
/// all layers of [`layers`](crate::layers) do.
///
/// # Bodies that have not arrived
///
/// If no handler needs a request's body, for example because no route matches, the request is
/// handled as soon as its head has arrived ([`BodyMode::HeadOnly`]). Layers then see the request
/// without content. If a layer reads the body in that case, the response is dropped, and the
/// request passes through the layers again when its body has arrived. So a layer that reads bodies
/// may see such a request twice.
///
/// # Cost
///
/// As with [`Handler`], the trait borrows the request and a function owns it. A layer that
/// implements the trait itself, as those of [`layers`](crate::layers) do, allocates nothing to pass
/// a request on.
///
/// ```
/// use httpool::http::{HeaderValue, header::SERVER};
/// use httpool::{Layer, Next, Request, Response};
///
/// struct ServerName;
///
/// impl Layer for ServerName {
///     fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
///         let mut response = next.handle(request);
///         response.headers_mut().insert(SERVER, HeaderValue::from_static("teapot"));
///         response
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    note = "a layer is a function that takes a `Request` and a `Next`, or a type that implements \
            `Layer`; a closure must name both types: `|request: Request, next: Next<'_>| ..`"
)]
pub trait Layer: Send + Sync + 'static {
    /// Responds to one request, or passes it to `next`.
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response;

    /// Chooses how the body of this request is received. Only the head is known at this point.
    /// `behind` is the choice of the handler and the layers behind this one. A layer that rejects a
    /// request by its head should return [`BodyMode::HeadOnly`], so that the client need not send
    /// the body.
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

    /// Completes a response that the server makes itself; see
    /// [`Handler::server_response`](crate::Handler::server_response). Layers are called in the
    /// order in which they see responses. The default changes nothing.
    ///
    /// ```
    /// use httpool::http::{HeaderValue, header::SERVER};
    /// use httpool::{Layer, Next, Request, Response};
    ///
    /// struct ServerName;
    ///
    /// impl Layer for ServerName {
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

/// The rest of the layers, and the handler.
///
/// ```
/// use std::time::Instant;
///
/// use httpool::testing::Client;
/// use httpool::{Layered, Next, Request, Response};
///
/// fn measure(request: Request, next: Next<'_>) -> Response {
///     let (target, start) = (request.uri().clone(), Instant::now());
///     let response = next.run(request);
///     println!("{target} took {:?}", start.elapsed());
///     response
/// }
///
/// let client = Client::new(Layered::new(|_: Request| "hello").layer(measure));
/// assert_eq!(client.get("/").send().text(), "hello");
/// ```
pub struct Next<'a> {
    layers: &'a [Arc<dyn Layer>],
    handler: &'a dyn Fn(&mut Request) -> Response,
    provenance: &'a Provenance,
}

/// A handler, or a function of a route, with [layers](Layer) around it.
///
/// ```
/// use httpool::layers::SecurityHeaders;
/// use httpool::{Handler, Layered, Request};
///
/// let handler = Layered::new(|_: Request| "hello").layer(SecurityHeaders::new());
/// let response = handler.handle(&mut Request::default());
/// assert_eq!(response.headers()["x-content-type-options"], "nosniff");
/// ```
///
/// # Around a function of a route
///
/// The layers see the requests that reach the function, after those of its router. They do not see
/// a 404 or 405.
///
#[cfg_attr(
    feature = "router",
    doc = r#"
```
use httpool::extract::Path;
use httpool::http::StatusCode;
use httpool::testing::Client;
use httpool::{IntoResponse, Layered, Next, Request, Response, Router};

fn only_members(request: Request, next: Next<'_>) -> Response {
    match request.headers().contains_key("x-member") {
        true => next.run(request),
        false => StatusCode::FORBIDDEN.into_response(),
    }
}

fn remove(Path(id): Path<u64>) -> String {
    format!("{id} is gone")
}

let router: Router = Router::new()
    .get("/books/{id}", || "a book")
    .delete("/books/{id}", Layered::new(remove).layer(only_members));
let client = Client::new(router);
assert_eq!(client.get("/books/7").send().text(), "a book");
assert_eq!(client.delete("/books/7").send().status(), StatusCode::FORBIDDEN);
```
"#
)]
#[derive(Debug)]
pub struct Layered<H> {
    handler: H,
    layers: Layers,
}

/// Layers in the order in which they see requests.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn Layer>>);

impl Next<'_> {
    /// Responds to the request.
    pub fn run(self, mut request: Request) -> Response {
        self.handle(&mut request)
    }

    /// Responds to a borrowed request. Afterwards its content may be gone: a handler that is a
    /// function takes the request.
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

impl<H> Layered<H> {
    /// Wraps the handler or the function, without layers.
    pub fn new(handler: H) -> Self {
        Self {
            handler,
            layers: Layers::default(),
        }
    }

    /// Adds a layer, inside those that were added before.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(layer);
        self
    }

    #[cfg(feature = "router")]
    pub(crate) fn inner(&self) -> &H {
        &self.handler
    }

    #[cfg(feature = "router")]
    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }
}

impl<H: Handler> Handler for Layered<H> {
    fn handle(&self, request: &mut Request) -> Response {
        self.layers.run(request, &|request| {
            // A layer has replaced the request, and the handler needs the body after all.
            if let Some(body) = request.body().as_withheld()
                && self.handler.body_mode(request) != BodyMode::HeadOnly
            {
                body.want();
                return Response::default();
            }
            self.handler.handle(request)
        })
    }

    fn prepare(&self, request: &mut Request) {
        self.handler.prepare(request);
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

    fn may_upgrade(&self) -> bool {
        self.handler.may_upgrade()
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

    /// These layers, with the others inside them.
    #[cfg(feature = "router")]
    pub(crate) fn before(&self, others: &Self) -> Self {
        Self([&self.0[..], &others.0].concat())
    }

    /// How to receive a body if the handler inside these layers chooses `behind`.
    pub(crate) fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        let layers = self.0.iter().rev();
        layers.fold(behind, |behind, layer| layer.body_mode(request, behind))
    }

    /// These layers, and then those of the others that are not among them.
    #[cfg(feature = "router")]
    pub(crate) fn and_missing(mut self, others: &Self) -> Self {
        for layer in &others.0 {
            if !self.0.iter().any(|known| Arc::ptr_eq(known, layer)) {
                self.0.push(Arc::clone(layer));
            }
        }
        self
    }

    /// Completes a response of the server, in the order in which layers see responses.
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
        // Kept because a layer may replace the request or its body.
        let provenance = request.body().provenance();
        let next = Next {
            layers,
            handler,
            provenance: &provenance,
        };
        next.handle(request)
    }
}

/// Shares one layer between several handlers.
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
