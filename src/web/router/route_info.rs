//! The list of a router's routes.

use std::fmt;

use http::Method;

use super::pattern::Pattern;
use super::route::Route;
use crate::message::MatchedPath;

/// A path of a router and its methods, as [`Router::routes`](crate::Router::routes) lists them.
///
/// ```
/// use httpool::Router;
///
/// let router: Router = Router::new()
///     .get("/users", || "all users")
///     .post("/users", || "a new user")
///     .any("/hook", || "thanks");
/// let routes: Vec<String> = router.routes().map(|route| route.to_string()).collect();
/// assert_eq!(routes, ["GET, POST /users", "any /hook"]);
/// ```
#[derive(Debug, Clone)]
pub struct RouteInfo<'r> {
    path: &'r MatchedPath,
    methods: Vec<&'r Method>,
    others: OtherMethods,
}

/// Whether there is a function for all other methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OtherMethods {
    Rejected,
    Handled,
}

impl<'r> RouteInfo<'r> {
    pub(crate) fn of_route<S>(route: &'r Route<S>) -> Self {
        Self {
            path: route.path.matched_path(),
            methods: route.methods.iter().map(|(method, _)| method).collect(),
            others: match route.any {
                Some(_) => OtherMethods::Handled,
                None => OtherMethods::Rejected,
            },
        }
    }

    /// A nested fallback, which handles every method.
    pub(crate) fn of_fallback(path: &'r MatchedPath) -> Self {
        Self {
            path,
            methods: Vec::new(),
            others: OtherMethods::Handled,
        }
    }

    /// The whole path, as [`MatchedPath`] has it for requests to this route.
    #[must_use]
    pub fn path(&self) -> &'r str {
        self.path.as_str()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn matched_path(&self) -> &'r MatchedPath {
        self.path
    }

    /// The names of the path's parameters, in the order of the path.
    ///
    /// ```
    /// use httpool::Router;
    ///
    /// let router: Router = Router::new().get("/shelves/{shelf}/{*title}", || "a book");
    /// let route = router.routes().next().expect("there is a route");
    /// assert_eq!(route.parameters(), ["shelf", "title"]);
    /// ```
    #[must_use]
    pub fn parameters(&self) -> Vec<String> {
        Pattern::parse(self.path()).parameter_names()
    }

    /// The methods with a function of their own, in the order in which they were added. A function
    /// for GET also responds to HEAD, which is not listed.
    pub fn methods(&self) -> impl Iterator<Item = &'r Method> {
        self.methods.iter().copied()
    }

    /// Whether all other methods have a function, as after
    /// [`Router::any`](crate::Router::any).
    ///
    /// ```
    /// use httpool::Router;
    ///
    /// let router: Router = Router::new().get("/", || "home").any("/hook", || "thanks");
    /// let is_any: Vec<bool> = router.routes().map(|route| route.has_any_method()).collect();
    /// assert_eq!(is_any, [false, true]);
    /// ```
    #[must_use]
    pub fn has_any_method(&self) -> bool {
        self.others == OtherMethods::Handled
    }
}

/// `GET, POST /users`, with `any` for all other methods.
impl fmt::Display for RouteInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = self.has_any_method().then_some("any");
        let methods = self.methods().map(Method::as_str).chain(any);
        write!(
            f,
            "{} {}",
            methods.collect::<Vec<_>>().join(", "),
            self.path
        )
    }
}
