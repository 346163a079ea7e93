//! The functions for one path of a router.

use std::fmt;
use std::mem;
use std::sync::Arc;

use http::Method;
use http::header::{ALLOW, HeaderValue};

use super::endpoint::Endpoint;
use super::pattern::Pattern;
use crate::message::response::method_not_allowed;
use crate::message::{BodyMode, Later, Request, Response};
use crate::web::extract::RequestContext;
use crate::web::layer::Layers;

/// A path and its function for each method.
pub(crate) struct Route<S> {
    pub(crate) path: Pattern,
    pub(crate) methods: Vec<(Method, Endpoint<S>)>,
    /// The function for all other methods.
    pub(crate) any: Option<Endpoint<S>>,
    /// The function for methods that the route does not have, of the router from which it comes.
    pub(crate) method_not_allowed: Option<Endpoint<S>>,
    pub(crate) final_slash: FinalSlash,
    /// The layers of the nested and merged routers from which the whole route comes.
    pub(crate) layers: Layers,
}

/// The functions that respond to a request of the route's path.
enum Responder<'r, S> {
    Function(&'r Endpoint<S>),
    /// A function for methods that the route does not have.
    NotAllowed(&'r Endpoint<S>),
    /// The router itself: 405, or the methods of the path.
    Router,
}

/// The response to a request whose path differs from that of a route by a slash at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum FinalSlash {
    /// The route does not match.
    #[default]
    Exact,
    /// The client is redirected to the route.
    Redirect,
}

impl FinalSlash {
    /// The choice of a router for itself, or else that of the router around it.
    pub(crate) fn or(self, outer: Self) -> Self {
        match self {
            Self::Exact => outer,
            Self::Redirect => self,
        }
    }
}

impl<S> Route<S> {
    pub(crate) fn new(path: Pattern) -> Self {
        Self {
            path,
            methods: Vec::new(),
            any: None,
            method_not_allowed: None,
            final_slash: FinalSlash::default(),
            layers: Layers::default(),
        }
    }

    /// Whether the route has no function yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.any.is_none()
    }

    /// Responds to a request. `not_allowed` is the outermost router's function for methods that a
    /// route does not have.
    pub(crate) fn call(
        &self,
        context: &mut RequestContext<'_, S>,
        not_allowed: Option<&Endpoint<S>>,
    ) -> Response {
        match self.responder(context.request.method(), not_allowed) {
            Responder::Function(endpoint) => endpoint.call(context),
            Responder::NotAllowed(endpoint) => {
                let allowed = self.allowed();
                let response = endpoint.call(context);
                Later::map(response, |response| with_allowed(response, allowed))
            }
            Responder::Router => method_not_allowed(context.request, self.allowed()),
        }
    }

    pub(crate) fn body_mode(
        &self,
        request: &Request,
        not_allowed: Option<&Endpoint<S>>,
    ) -> BodyMode {
        match self.responder(request.method(), not_allowed) {
            Responder::Function(endpoint) | Responder::NotAllowed(endpoint) => {
                endpoint.body_mode(request)
            }
            Responder::Router => BodyMode::HeadOnly,
        }
    }

    fn responder<'r>(
        &'r self,
        method: &Method,
        not_allowed: Option<&'r Endpoint<S>>,
    ) -> Responder<'r, S> {
        if let Some(endpoint) = self.function(method) {
            return Responder::Function(endpoint);
        }
        match self.method_not_allowed.as_ref().or(not_allowed) {
            Some(endpoint) if *method != Method::OPTIONS => Responder::NotAllowed(endpoint),
            _ => Responder::Router,
        }
    }

    /// The functions, each with the name of its method.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &Endpoint<S>)> {
        let methods = self.methods.iter();
        let methods = methods.map(|(method, endpoint)| (method.as_str(), endpoint));
        methods.chain(self.any.iter().map(|endpoint| ("any method", endpoint)))
    }

    /// The functions, and the one for other methods.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (&str, &Endpoint<S>)> {
        let others = self.method_not_allowed.iter();
        let others = others.map(|endpoint| ("other methods", endpoint));
        self.functions().chain(others)
    }

    fn endpoints_mut(&mut self) -> impl Iterator<Item = &mut Endpoint<S>> {
        let methods = self.methods.iter_mut().map(|(_, endpoint)| endpoint);
        methods
            .chain(&mut self.any)
            .chain(&mut self.method_not_allowed)
    }

    /// The indices of the nested routers to which the functions belong.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Option<usize>> {
        self.functions().map(|(_, endpoint)| endpoint.owner)
    }

    /// Replaces the indices of the nested routers.
    pub(crate) fn map_owners(&mut self, owner: impl Fn(Option<usize>) -> Option<usize>) {
        for endpoint in self.endpoints_mut() {
            endpoint.owner = owner(endpoint.owner);
        }
    }

    /// Completes a response of the server with the layers of the function for this request.
    pub(crate) fn server_response(&self, request: &Request, response: &mut Response) {
        if let Some(endpoint) = self.function(request.method()) {
            endpoint.server_response(request, response);
        }
    }

    pub(crate) fn function(&self, method: &Method) -> Option<&Endpoint<S>> {
        let of = |wanted: &Method| {
            let mut methods = self.methods.iter();
            methods.find(|(method, _)| method == wanted)
        };
        let found = of(method).or_else(|| {
            let is_head = *method == Method::HEAD;
            is_head.then(|| of(&Method::GET)).flatten()
        });
        found.map(|(_, endpoint)| endpoint).or(self.any.as_ref())
    }

    fn allowed(&self) -> HeaderValue {
        let mut allowed: Vec<&str> = Vec::new();
        for (method, _) in &self.methods {
            allowed.push(method.as_str());
            let has_head = || self.methods.iter().any(|(other, _)| other == Method::HEAD);
            if *method == Method::GET && !has_head() {
                allowed.push(Method::HEAD.as_str());
            }
        }
        if !allowed.contains(&Method::OPTIONS.as_str()) {
            allowed.push(Method::OPTIONS.as_str());
        }
        HeaderValue::try_from(allowed.join(", ")).expect("methods are valid in a header value")
    }
}

/// Adds the allowed methods to a 405, which must have them (RFC 9110 section 15.5.6).
fn with_allowed(mut response: Response, allowed: HeaderValue) -> Response {
    if response.status() == http::StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

impl<S: 'static> Route<S> {
    /// Adds the functions of another route, for methods that this one does not have. Each function
    /// keeps its layers.
    pub(crate) fn join(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.move_layers_to_functions();
        let mut other = other;
        other.move_layers_to_functions();
        self.methods.extend(other.methods);
        self.any = self.any.take().or(other.any);
        self.method_not_allowed = self.method_not_allowed.take().or(other.method_not_allowed);
        self.final_slash = self.final_slash.or(other.final_slash);
    }

    /// Moves the layers of the route to each of its functions.
    fn move_layers_to_functions(&mut self) {
        let layers = mem::take(&mut self.layers);
        if layers.is_empty() {
            return;
        }
        for endpoint in self.endpoints_mut() {
            endpoint.wrap(layers.clone());
        }
    }
}

impl<S: Send + Sync + 'static> Route<S> {
    /// Gives all functions their state.
    pub(crate) fn bind<T: 'static>(self, state: &Arc<S>) -> Route<T> {
        let methods = self.methods.into_iter();
        let bind = |endpoint: Endpoint<S>| endpoint.bind(state);
        Route {
            path: self.path,
            methods: methods
                .map(|(method, endpoint)| (method, bind(endpoint)))
                .collect(),
            any: self.any.map(bind),
            method_not_allowed: self.method_not_allowed.map(bind),
            final_slash: self.final_slash,
            layers: self.layers,
        }
    }
}

impl<S> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.methods.iter().map(|(method, _)| method.as_str());
        write!(
            f,
            "{} {:?}",
            self.path.as_str(),
            methods.collect::<Vec<_>>()
        )
    }
}
