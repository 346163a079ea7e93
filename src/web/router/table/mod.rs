//! The router.

mod checks;
mod dispatch;
mod nested;

use std::fmt;
use std::sync::Arc;

use http::Method;

use self::checks::{check_nested, check_path, checked_path, insert};
use self::nested::{AllNested, Nested};
use super::endpoint::Endpoint;
use super::pattern::Pattern;
use super::route::{FinalSlash, Route};
use super::{Function, RouteInfo, Takes};
use crate::message::Handler;
use crate::web::Layer;
use crate::web::layer::Layers;

/// Chooses a function by the path and method of a request, and calls it with arguments extracted
/// from the request.
///
/// ```
/// use httpool::http::{self, StatusCode};
/// use httpool::Router;
/// use httpool::extract::Path;
/// use httpool::{Handler, Html, Request};
///
/// fn home() -> Html<&'static str> {
///     Html("<h1>Users</h1>")
/// }
///
/// fn show(Path(id): Path<u64>) -> Result<String, StatusCode> {
///     if id == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(format!("user {id}")) }
/// }
///
/// let router = Router::new()
///     .get("/", home)
///     .get("/users/{id}", show)
///     .post("/users", |name: String| (StatusCode::CREATED, name));
///
/// let mut request = http::Request::get("/users/7").body(Default::default())?;
/// assert_eq!(router.handle(&mut request).body().as_bytes(), b"user 7");
/// # Ok::<(), http::Error>(())
/// ```
///
/// # Paths
///
/// `/users/{id}` has a parameter for one segment. `/files/{*path}` has a parameter for the rest of
/// a path, which must not be empty. Literal segments take precedence over parameters. `/users` and
/// `/users/` are different paths, and [`redirect_final_slash`](Self::redirect_final_slash) redirects
/// from one to the other. A segment must not begin with `:` or `*`, the parameter syntax of
/// other routers: it would be literal text that no request asks for.
///
/// Percent-encoding makes no difference: `/%63af%c3%a9` matches the route `/café`. Parameters are
/// decoded after a route was chosen, so `%2F` does not separate segments. A value that is not UTF-8
/// gets 400. A [layer](Layer) sees [`Uri::path`](http::Uri::path) in the normal form of RFC 3986
/// section 6.2.2: letters, digits, `-`, `.`, `_` and `~` are not encoded, and hexadecimal digits
/// are in upper case. Reserved characters stay as they were sent, `/c++` or `/c%2B%2B`. The router
/// treats both as the same path, so a layer that compares prefixes can be bypassed: add it to a
/// [nested](Self::nest) router instead. The segments `.` and `..`, encoded or not, are resolved
/// (section 5.2.4) before layers and routes see the path: for `/public/../admin` they see `/admin`.
/// [`RawRequest`](crate::RawRequest) has the target as it was sent.
///
/// # Methods
///
/// The function for GET also responds to HEAD, and the server omits the content. OPTIONS returns
/// the methods of a path, unless the path has a function for OPTIONS. `OPTIONS *` gets 204. All
/// other methods that a path does not have get 405 with `Allow`, or the response of a
/// [function of yours](Self::method_not_allowed).
///
/// # Layers
///
/// All requests to a router pass its [layers](Layer) in the order in which the layers are added.
/// This includes requests that no route matches (404, 405, OPTIONS) and does not depend on where
/// routes are added. The layers of a nested or merged router come after those of the outer router.
///
/// The layers of a nested router see all requests beneath its path. The exception is a request for
/// which another router has a route at least as specific as that path, for example `/admin/login`
/// beside a router nested at `/admin`. So an authentication layer of a router nested at `/admin`
/// covers every other request beneath `/admin`. This includes requests that no route matches, and
/// requests that match a fallback or a catch-all route, for example `/{*path}`. The layers of a
/// merged router see only the requests of its own routes.
///
/// If a path has functions of several routers, each is behind the layers of its own router. The
/// order in which routes, nested and merged routers are added makes no difference.
///
/// # State
///
/// Functions with a [`State`](crate::web::extract::State) argument make a `Router<S>`. It becomes a
/// handler by [`with_state`](Self::with_state).
pub struct Router<S = ()> {
    paths: matchit::Router<usize>,
    routes: Vec<Route<S>>,
    nested: AllNested<S>,
    fallback: Option<Endpoint<S>>,
    /// The function for methods that a route does not have.
    method_not_allowed: Option<Endpoint<S>>,
    final_slash: FinalSlash,
    /// Whether any route redirects, so that other requests need not be looked up twice.
    any_final_slash: FinalSlash,
    layers: Layers,
}

impl<S: Send + Sync + 'static> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! methods {
    ($($name:ident $method:ident)*) => {
        $(
            #[doc = concat!("Adds a function for ", stringify!($method), ", like [`route`](Self::route).")]
            #[doc = ""]
            #[doc = "# Panics"]
            #[doc = ""]
            #[doc = "As [`route`](Self::route)."]
            #[must_use]
            #[track_caller]
            pub fn $name<A: 'static, C: 'static>(
                self,
                path: &str,
                function: impl Takes<A> + Function<S, A, C>,
            ) -> Self {
                self.route(Method::$method, path, function)
            }
        )*
    };
}

impl<S: Send + Sync + 'static> Router<S> {
    /// A router without routes. It responds 404 to every request.
    #[must_use]
    pub fn new() -> Self {
        Self {
            paths: matchit::Router::new(),
            routes: Vec::new(),
            nested: AllNested::new(),
            fallback: None,
            method_not_allowed: None,
            final_slash: FinalSlash::default(),
            any_final_slash: FinalSlash::default(),
            layers: Layers::default(),
        }
    }

    /// Adds a function for one method of a path.
    ///
    /// ```
    /// use httpool::http::Method;
    /// use httpool::Router;
    ///
    /// let purge = Method::from_bytes(b"PURGE")?;
    /// let router: Router = Router::new()
    ///     .get("/cache", || "42 entries")
    ///     .route(purge, "/cache", || "0 entries");
    /// # Ok::<(), httpool::http::method::InvalidMethod>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the path does not begin with `/`, is invalid, conflicts with another path, or already has
    /// a function for this method. If a segment begins with `:` or `*`, or is `.` or `..`. If the
    /// path has more parameters than the function's [`Path`](crate::web::extract::Path) takes.
    #[must_use]
    #[track_caller]
    pub fn route<A: 'static, C: 'static>(
        mut self,
        method: Method,
        path: &str,
        function: impl Takes<A> + Function<S, A, C>,
    ) -> Self {
        let mut route = Route::new(Pattern::parse(&checked_path(path)));
        route.methods.push((method, Endpoint::new(function)));
        self.join(route);
        self
    }

    methods! {
        get GET
        post POST
        put PUT
        delete DELETE
        patch PATCH
        options OPTIONS
    }

    /// Adds a function for all methods of a path that have no function of their own.
    ///
    /// ```
    /// use httpool::bytes::Bytes;
    /// use httpool::http::Method;
    /// use httpool::Router;
    /// use httpool::testing::Client;
    ///
    /// fn hook(method: Method, content: Bytes) -> String {
    ///     format!("{method} with {} bytes", content.len())
    /// }
    ///
    /// let router: Router = Router::new().any("/hook", hook);
    /// let response = Client::new(router).put("/hook").body("tea").send();
    /// assert_eq!(response.text(), "PUT with 3 bytes");
    /// ```
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn any<A: 'static, C: 'static>(
        mut self,
        path: &str,
        function: impl Takes<A> + Function<S, A, C>,
    ) -> Self {
        let mut route = Route::new(Pattern::parse(&checked_path(path)));
        route.any = Some(Endpoint::new(function));
        self.join(route);
        self
    }

    /// Adds the routes of another router beneath this path. If that router has a
    /// [fallback](Self::fallback), it responds to all other requests at or beneath the path. Routes
    /// of the outer router that are at least as specific as this path keep their requests,
    /// regardless of the order in which they are added. A fallback works beside routes with
    /// parameters, too: with `/static/{name}` and a fallback nested at `/static`, the fallback
    /// responds to `/static/a/b`. Functions see the whole path of the request. `ServeDir` can be
    /// nested as well.
    ///
    /// ```
    /// use httpool::Router;
    ///
    /// let api = Router::new().get("/users", || "all users");
    /// let router: Router = Router::new().nest("/api", api);
    /// ```
    ///
    /// # Panics
    ///
    /// If the path does not begin with `/`, ends with `/`, or has a catch-all parameter. If the
    /// fallback of another router is already nested there (the names of parameters make no
    /// difference). Otherwise as [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn nest(mut self, path: &str, router: impl Into<Self>) -> Self {
        let router = router.into();
        check_nested(path);
        let path = checked_path(path);
        check_path(&path);
        self.absorb(router, &path, true);
        self
    }

    /// Adds a handler for all requests at and beneath this path. Use it for a handler that is not a
    /// router: a [`Layered`](crate::Layered) one, a service, a proxy. The handler sees the whole
    /// path of the request, and chooses how each body is received
    /// ([`Handler::body_mode`](crate::Handler::body_mode)).
    ///
    /// Routes that are at least as specific as the path keep their requests, as for
    /// [`nest`](Self::nest).
    ///
    /// ```
    /// use httpool::testing::Client;
    /// use httpool::{Handler, Request, Response, Router};
    ///
    /// /// Forwards requests to an older server.
    /// struct Legacy;
    ///
    /// impl Handler for Legacy {
    ///     fn handle(&self, request: &mut Request) -> Response {
    ///         let target = request.uri().path();
    ///         Response::new(format!("the older server's {target}").into())
    ///     }
    /// }
    ///
    /// let router: Router = Router::new()
    ///     .get("/", || "home")
    ///     .nest_handler("/old", Legacy);
    /// let response = Client::new(router).get("/old/prices").send();
    /// assert_eq!(response.text(), "the older server's /old/prices");
    /// ```
    ///
    /// # Panics
    ///
    /// As [`nest`](Self::nest).
    #[must_use]
    #[track_caller]
    pub fn nest_handler(self, path: &str, handler: impl Handler) -> Self {
        self.nest(path, Self::new().fallback_handler(handler))
    }

    /// Adds the routes of another router with its layers. Use it for functions that share a layer
    /// but no path prefix.
    ///
    /// ```
    /// use httpool::http::StatusCode;
    /// use httpool::Router;
    /// use httpool::testing::Client;
    /// use httpool::{IntoResponse, Next, Request, Response};
    ///
    /// fn only_members(request: Request, next: Next<'_>) -> Response {
    ///     match request.headers().get("x-key") {
    ///         Some(key) if key == "tea" => next.run(request),
    ///         _ => StatusCode::FORBIDDEN.into_response(),
    ///     }
    /// }
    ///
    /// let members = Router::new()
    ///     .layer(only_members)
    ///     .post("/books", || "a new book")
    ///     .get("/account", || "yours");
    /// let router: Router = Router::new().get("/books", || "all books").merge(members);
    ///
    /// let client = Client::new(router);
    /// assert_eq!(client.get("/books").send().text(), "all books");
    /// assert_eq!(client.post("/books").send().status(), StatusCode::FORBIDDEN);
    /// ```
    ///
    /// # Panics
    ///
    /// If the other router has a [fallback](Self::fallback). Otherwise as [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn merge(mut self, router: Self) -> Self {
        let has_fallback = router.fallback.is_some();
        assert!(!has_fallback, "a merged router can't have a fallback");
        self.absorb(router, "", false);
        self
    }

    /// Sets the function for requests that no route matches.
    ///
    /// ```
    /// use httpool::http::{StatusCode, Uri};
    /// use httpool::Router;
    /// use httpool::{Problem, testing::Client};
    ///
    /// fn nothing_here(target: Uri) -> Problem {
    ///     Problem::new(StatusCode::NOT_FOUND).detail(format!("no {target} here, try /"))
    /// }
    ///
    /// let router: Router = Router::new().get("/", || "hello").fallback(nothing_here);
    /// let response = Client::new(router).get("/tea").send();
    /// assert_eq!(response.text(), "404 Not Found: no /tea here, try /\n");
    /// ```
    #[must_use]
    pub fn fallback<A: 'static, C: 'static>(
        mut self,
        function: impl Takes<A> + Function<S, A, C>,
    ) -> Self {
        self.fallback = Some(Endpoint::new(function));
        self
    }

    /// Sets the handler for requests that no route matches, like [`fallback`](Self::fallback). The
    /// handler chooses how each body is received.
    ///
    /// ```
    /// use httpool::testing::Client;
    /// use httpool::{Layered, Request, Router};
    ///
    /// let older = Layered::new(|request: Request| format!("the older {}", request.uri()));
    /// let router: Router = Router::new().get("/", || "home").fallback_handler(older);
    /// assert_eq!(Client::new(router).get("/prices").send().text(), "the older /prices");
    /// ```
    #[must_use]
    pub fn fallback_handler(mut self, handler: impl Handler) -> Self {
        self.fallback = Some(Endpoint::of_handler(handler));
        self
    }

    /// Sets the function for requests to a path of this router with a method that the path does not
    /// have. It replaces the built-in 405.
    ///
    /// If the status of the response is 405, the router adds `Allow`. OPTIONS keeps its built-in
    /// response. The routes of nested and merged routers have the function of their own router, or
    /// else that of the router around it. A [`Path`](crate::web::extract::Path) argument must fit
    /// all these routes; otherwise the server does not start.
    ///
    /// ```
    /// use httpool::http::{Method, StatusCode};
    /// use httpool::testing::Client;
    /// use httpool::{MatchedPath, Problem, Router};
    ///
    /// fn wrong_method(method: Method, path: MatchedPath) -> Problem {
    ///     Problem::new(StatusCode::METHOD_NOT_ALLOWED).detail(format!("no {method} for {path}"))
    /// }
    ///
    /// let router: Router = Router::new()
    ///     .get("/users/{id}", || "a user")
    ///     .method_not_allowed(wrong_method);
    /// let response = Client::new(router).delete("/users/7").send();
    /// assert_eq!(response.text(), "405 Method Not Allowed: no DELETE for /users/{id}\n");
    /// assert_eq!(response.header("allow"), Some("GET, HEAD, OPTIONS"));
    /// ```
    #[must_use]
    pub fn method_not_allowed<A: 'static, C: 'static>(
        mut self,
        function: impl Takes<A> + Function<S, A, C>,
    ) -> Self {
        self.method_not_allowed = Some(Endpoint::new(function));
        self
    }

    /// Redirects a request that matches no route to the route with, or without, a slash at the end
    /// of its path, if that route has a function for the method. The response is 308, which keeps
    /// the method and the content; the query is kept, too.
    ///
    /// This is for the routes of this router, and of those that are nested in it or merged into it.
    /// A redirect takes precedence over a [fallback](Self::fallback), and passes the layers of the
    /// route. `Location` is relative, so it can't lead to another host, and is correct behind a
    /// proxy that changes paths. Without this, `/users` and `/users/` are different paths.
    ///
    /// ```
    /// use httpool::Router;
    /// use httpool::testing::Client;
    ///
    /// let router: Router = Router::new()
    ///     .get("/users", || "all users")
    ///     .get("/docs/", || "the manual")
    ///     .redirect_final_slash();
    /// let client = Client::new(router);
    /// let response = client.get("/users/?page=2").send();
    /// assert_eq!(response.status(), 308);
    /// assert_eq!(response.header("location"), Some("../users?page=2"));
    /// assert_eq!(client.get("/docs").send().header("location"), Some("./docs/"));
    /// ```
    #[must_use]
    pub fn redirect_final_slash(mut self) -> Self {
        self.final_slash = FinalSlash::Redirect;
        self.any_final_slash = FinalSlash::Redirect;
        self
    }

    /// The routes of this router, including those of nested and merged routers, in the order in
    /// which they were added. Then come the fallbacks of nested routers, with the methods `any` and
    /// paths such as `/static/{*rest}`. Every [`MatchedPath`](crate::MatchedPath) of a request is
    /// among these paths.
    ///
    /// Use it to print the routes when a program starts, to compare them with a document, or to test
    /// that each has what all should have:
    ///
    /// ```
    /// use httpool::Router;
    ///
    /// let api = Router::new().get("/users/{id}", || "a user").get("/users", || "all users");
    /// let router: Router = Router::new().nest("/api", api);
    /// assert!(router.routes().all(|route| route.path().starts_with("/api/")));
    /// ```
    pub fn routes(&self) -> impl Iterator<Item = RouteInfo<'_>> {
        let fallbacks = self.nested.fallbacks();
        let fallbacks = fallbacks.map(|(nested, _)| RouteInfo::of_fallback(&nested.all_beneath));
        self.routes.iter().map(RouteInfo::of_route).chain(fallbacks)
    }

    /// Adds a [layer](Layer) for all requests, behind the layers added before. A layer for one
    /// function goes around that function:
    /// [`Layered::new(function).layer(..)`](crate::Layered#around-a-function-of-a-route).
    ///
    /// ```
    /// use httpool::http::StatusCode;
    /// use httpool::layers::SecurityHeaders;
    /// use httpool::Router;
    /// use httpool::{IntoResponse, Next, Request};
    ///
    /// let admin = Router::new()
    ///     .layer(|request: Request, next: Next<'_>| match request.headers().get("x-key") {
    ///         Some(key) if key == "open sesame" => next.run(request),
    ///         _ => StatusCode::FORBIDDEN.into_response(),
    ///     })
    ///     .get("/", || "treasure");
    /// let router: Router = Router::new()
    ///     .layer(SecurityHeaders::new())
    ///     .get("/", || "nothing to see here")
    ///     .nest("/admin", admin);
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets the value that functions take as [`State`](crate::web::extract::State). Each function
    /// that takes it gets a clone, so most states are an `Arc`.
    ///
    /// The resulting router can be nested in a router with another state.
    ///
    /// ```
    /// use httpool::Router;
    /// use httpool::extract::State;
    ///
    /// let books = Router::new()
    ///     .get("/", |State(count): State<u64>| format!("{count} books"))
    ///     .with_state(7);
    /// let router: Router = Router::new()
    ///     .get("/", |State(name): State<&'static str>| name)
    ///     .nest("/books", books)
    ///     .with_state("library");
    /// ```
    #[must_use]
    pub fn with_state<T: Send + Sync + 'static>(self, state: S) -> Router<T> {
        let state = Arc::new(state);
        let routes = self.routes.into_iter().map(|route| route.bind(&state));
        Router {
            routes: routes.collect(),
            nested: self.nested.bind(&state),
            paths: self.paths,
            fallback: self.fallback.map(|fallback| fallback.bind(&state)),
            method_not_allowed: (self.method_not_allowed).map(|function| function.bind(&state)),
            final_slash: self.final_slash,
            any_final_slash: self.any_final_slash,
            layers: self.layers,
        }
    }

    /// Adds the routes, nested routers and fallback of another router, with its layers.
    #[track_caller]
    fn absorb(&mut self, router: Self, under: &str, is_nested: bool) {
        self.any_final_slash = self.any_final_slash.or(router.any_final_slash);
        // Without layers and a fallback, a nested router is the same as its routes.
        let is_kept = is_nested && !(router.fallback.is_none() && router.layers.is_empty());
        let index = is_kept.then(|| {
            let (path, layers) = (Pattern::parse(under), router.layers.clone());
            self.nested
                .add(Nested::new(path, layers, router.fallback, None))
        });
        let offset = (self.nested).append(router.nested, under, &router.layers, index);
        for mut route in router.routes {
            route.path = match route.path.as_str() {
                "/" if is_nested => Pattern::parse(under),
                rest => Pattern::parse(&format!("{under}{rest}")),
            };
            route.layers = router.layers.before(&route.layers);
            route.method_not_allowed =
                (route.method_not_allowed.take()).or_else(|| router.method_not_allowed.clone());
            route.final_slash = route.final_slash.or(router.final_slash);
            route.map_owners(|inner| inner.map_or(index, |inner| Some(inner + offset)));
            self.join(route);
        }
    }

    /// Adds the functions of a route to the route of the same path, if there is one.
    #[track_caller]
    fn join(&mut self, other: Route<S>) {
        let path = other.path.as_str().to_owned();
        let route = self.find_or_add(&other.path);
        for (method, _) in &other.methods {
            let is_new = route.methods.iter().all(|(known, _)| known != method);
            assert!(is_new, "{path} already has a function for {method}");
        }
        assert!(
            route.any.is_none() || other.any.is_none(),
            "{path} already has a function for any method"
        );
        for (method, endpoint) in other.endpoints() {
            if let Some(reason) = endpoint.too_many_parameters(&other.path) {
                panic!("the function for {method} {path} {reason}");
            }
        }
        route.join(other);
    }

    /// The route of this path. It is created if it does not exist.
    #[track_caller]
    fn find_or_add(&mut self, path: &Pattern) -> &mut Route<S> {
        let mut routes = self.routes.iter();
        let known = routes.position(|route| route.path.as_str() == path.as_str());
        let index = known.unwrap_or_else(|| {
            let index = self.routes.len();
            insert(&mut self.paths, path.as_str(), index);
            self.routes.push(Route::new(path.clone()));
            index
        });
        &mut self.routes[index]
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.routes).finish()
    }
}
