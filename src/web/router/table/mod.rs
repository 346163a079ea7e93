//! Which function answers which request.

mod dispatch;
mod nested;

use std::fmt;
use std::sync::Arc;

use http::Method;
use matchit::InsertError;

use self::nested::{AllNested, Nested};
use super::pattern::Pattern;
use super::route::{Endpoint, Route};
use super::{Function, Takes, path};
use crate::message::path::is_dot_segment;
use crate::web::Layer;
use crate::web::layer::Layers;

/// Chooses a function by a request's path and method, and gives it arguments from the request.
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
/// `/users/{id}` has a name for one segment, `/files/{*path}` for the rest of a path, which is not
/// empty. A segment that is written out goes before one with a name. `/users` and `/users/` are two
/// paths. No segment begins with `:` or `*`, by which other routers know a name: it would be taken
/// for itself, and never be asked for.
///
/// It does not matter how a path is percent-encoded: `/%63af%c3%a9` finds the route `/café`. What a
/// name stands for is decoded afterwards, so that `%2F` is no new segment, and answered 400 if it is
/// not UTF-8 then. A [layer](Layer) that looks at [`Uri::path`](http::Uri::path) sees what can be
/// encoded in two ways without another meaning in one way (RFC 3986 section 6.2.2): letters, digits,
/// `-`, `.`, `_` and `~` as they are, and hexadecimal digits in upper case. Reserved characters are
/// as they were sent, `/c++` or `/c%2B%2B`. So a layer that compares prefixes is passed by paths that
/// this router takes for the same: put it on a [nested](Self::nest) router. The segments `.` and `..`,
/// encoded or not, are resolved (section 5.2.4) before layers and routes see the path: for
/// `/public/../admin` they see `/admin`. [`RawRequest`](crate::RawRequest) has all of it as it was sent.
///
/// # Methods
///
/// HEAD is answered by the function for GET, without the content. OPTIONS tells the methods of a
/// path unless it has a function of its own, and `OPTIONS *` that there is a server. Any other
/// method that a path does not have is answered 405 with `Allow`.
///
/// # Layers
///
/// All requests of a router pass its [layers](Layer) in the order in which these are written,
/// wherever its routes are written, and whether a route answers them or none does (404, 405,
/// OPTIONS). Those of a nested or merged router come behind those of the one around it.
///
/// The layers of a nested router see everything beneath its path, except what a function of another
/// router answers that is written for the path itself. So an authentication that is a layer of a
/// router nested in `/admin` covers every request beneath `/admin`, also one that no route matches,
/// and also one that a fallback or a route for all paths, such as `/{*path}`, answers. The layers of
/// a merged router see what its own routes answer.
///
/// Where a path has functions of several routers, each is behind the layers of its own. It does not
/// matter in which order routes, nested and merged routers are written.
///
/// # State
///
/// Functions that take a [`State`](crate::web::extract::State) make a `Router<S>`, which is no handler until it
/// has [one](Self::with_state).
pub struct Router<S = ()> {
    paths: matchit::Router<usize>,
    routes: Vec<Route<S>>,
    nested: AllNested<S>,
    fallback: Option<Endpoint<S>>,
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
            #[doc = concat!("Answers ", stringify!($method), " of this path, as [`route`](Self::route) does.")]
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
    /// One that answers every request 404.
    #[must_use]
    pub fn new() -> Self {
        Self {
            paths: matchit::Router::new(),
            routes: Vec::new(),
            nested: AllNested::new(),
            fallback: None,
            layers: Layers::default(),
        }
    }

    /// Has this function answer this method of this path.
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
    /// If the path does not begin with `/`, is none that can be routed, can't be told from
    /// another one, or has a function for this method already; if it has a segment that begins
    /// with `:` or `*`, or is `.` or `..`; or if it has more names than the function's
    /// [`Path`](crate::web::extract::Path) takes.
    #[must_use]
    #[track_caller]
    pub fn route<A: 'static, C: 'static>(
        mut self,
        method: Method,
        path: &str,
        function: impl Takes<A> + Function<S, A, C>,
    ) -> Self {
        let mut route = Route::new(Pattern::parse(path_of(path)));
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

    /// Has this function answer every method of this path that no other function answers.
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
    /// let answer = Client::new(router).put("/hook").body("tea").send();
    /// assert_eq!(answer.text(), "PUT with 3 bytes");
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
        let mut route = Route::new(Pattern::parse(path_of(path)));
        route.any = Some(Endpoint::new(function));
        self.join(route);
        self
    }

    /// Puts the routes of another router behind this path. Its [fallback](Self::fallback), if it
    /// has one, answers the path and what is beneath it and is none of its routes, and leaves to
    /// functions around it what these have, written before or after it. It does so beside routes with
    /// names, too: with `/static/{name}` and a fallback nested in `/static`, `/static/a/b` is for the
    /// fallback. Functions see the request's whole path. `ServeDir` can be nested, too.
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
    /// If the path does not begin with `/`, ends with it or has a name for the rest of a path, if
    /// the fallback of another router is nested there already (names are not told apart), or as [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn nest(mut self, path: &str, router: impl Into<Self>) -> Self {
        let router = router.into();
        check_nested(path);
        let path = path_of(path);
        check_path(&path);
        self.absorb(router, &path, true);
        self
    }

    /// Adds the routes of another router, behind its layers: for functions that share a layer and no
    /// path.
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
    /// If the other router has a [fallback](Self::fallback), or as [`route`](Self::route).
    #[must_use]
    #[track_caller]
    pub fn merge(mut self, router: Self) -> Self {
        let has_fallback = router.fallback.is_some();
        assert!(!has_fallback, "a router that is merged has no fallback");
        self.absorb(router, "", false);
        self
    }

    /// Has this function answer what no route does.
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
    /// let answer = Client::new(router).get("/tea").send();
    /// assert_eq!(answer.text(), "404 Not Found: no /tea here, try /\n");
    /// ```
    #[must_use]
    pub fn fallback<A: 'static, C: 'static>(
        mut self,
        function: impl Takes<A> + Function<S, A, C>,
    ) -> Self {
        self.fallback = Some(Endpoint::new(function));
        self
    }

    /// Has every request pass this [layer](Layer), behind those that were added before.
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

    /// Gives functions what they take as [`State`](crate::web::extract::State). Most states are an `Arc` of what
    /// all functions share: each that takes it gets a clone.
    ///
    /// What comes of it can be nested in a router with another state.
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
            layers: self.layers,
        }
    }

    /// Adds what another router has, behind its layers.
    #[track_caller]
    fn absorb(&mut self, router: Self, under: &str, is_nested: bool) {
        // One that has neither is the same as the routes that it has.
        let has_home = is_nested && !(router.fallback.is_none() && router.layers.is_empty());
        let home = has_home.then(|| {
            self.nested.add(Nested {
                path: Pattern::parse(under.to_owned()),
                layers: router.layers.clone(),
                fallback: router.fallback,
                around: None,
            })
        });
        let offset = (self.nested).adopt(router.nested, under, &router.layers, home);
        for mut route in router.routes {
            route.path = match route.path.as_str() {
                "/" if is_nested => Pattern::parse(under.to_owned()),
                rest => Pattern::parse(format!("{under}{rest}")),
            };
            route.layers = router.layers.before(&route.layers);
            route.move_home(|inner| inner.map_or(home, |index| Some(index + offset)));
            self.join(route);
        }
    }

    /// Adds the functions of a route, whose path may have some of other methods.
    #[track_caller]
    fn join(&mut self, other: Route<S>) {
        let path = other.path.as_str().to_owned();
        let route = self.find_or_add(&other.path);
        for (method, _) in &other.methods {
            let is_new = route.methods.iter().all(|(known, _)| known != method);
            assert!(is_new, "{path} has a function for {method} already");
        }
        assert!(
            route.any.is_none() || other.any.is_none(),
            "{path} has a function for any method already"
        );
        for (method, endpoint) in other.functions() {
            if let Some(why) = endpoint.has_too_many_names(&other.path) {
                panic!("the function for {method} {path} {why}");
            }
        }
        route.join(other);
    }

    /// The route of this path, made if there is none.
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

#[track_caller]
fn insert<T>(paths: &mut matchit::Router<T>, path: &str, value: T) {
    match paths.insert(path, value) {
        Ok(()) => {}
        Err(InsertError::Conflict { with }) => {
            panic!("{path} can't be told from {with}: both match the same requests")
        }
        Err(why) => panic!("{path} can't be routed: {why}"),
    }
}

/// Panics if no router can be nested in this path.
#[track_caller]
fn check_nested(written: &str) {
    let trimmed = written.trim_end_matches('/');
    assert!(
        !trimmed.is_empty(),
        "nest({written:?}, ..): a router is nested beneath a segment, such as \"/api\"; merge(..) adds \
         routes without one"
    );
    assert!(
        trimmed == written,
        "nest({written:?}, ..): write nest({trimmed:?}, ..); the path of a nested router ends without a \
         slash"
    );
    assert!(
        !written.contains("{*"),
        "nest({written:?}, ..): write {{name}} in the place of {{*name}}; nothing is beneath the rest of \
         a path"
    );
}

/// Panics if nothing can be routed at this path, as a route of it would.
#[track_caller]
fn check_path(path: &str) {
    insert(&mut matchit::Router::new(), path, ());
}

/// The form of a path that somebody has written in a program, in which it is compared.
#[track_caller]
fn path_of(written: &str) -> String {
    assert!(
        written.starts_with('/'),
        "{written:?} does not begin with /"
    );
    let is_foreign = written.split('/').any(|part| part.starts_with([':', '*']));
    assert!(
        !is_foreign,
        "{written}: names are written {{name}} and {{*rest}}"
    );
    let path = path::of_route(written);
    assert!(
        !path.split('/').any(is_dot_segment),
        "{written}: no request has a segment . or .., which are resolved before: write the path \
         without it"
    );
    path
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.routes).finish()
    }
}
