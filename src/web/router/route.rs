//! The functions for one path of a router.

use std::fmt;
use std::mem;
use std::ops::RangeInclusive;
use std::sync::Arc;

use http::Method;
use http::header::HeaderValue;

use super::Function;
use super::pattern::Pattern;
use crate::message::response::method_not_allowed;
use crate::message::{BodyMode, Request, Response};
use crate::web::extract::RequestContext;
use crate::web::layer::Layers;

/// A path and its function for each method.
pub(crate) struct Route<S> {
    pub(crate) path: Pattern,
    pub(crate) methods: Vec<(Method, Endpoint<S>)>,
    /// The function for all other methods.
    pub(crate) any: Option<Endpoint<S>>,
    /// The layers of the nested and merged routers from which the whole route comes.
    pub(crate) layers: Layers,
}

/// A function without the types of its arguments.
type AnyFunction<S> = dyn Fn(&mut RequestContext<'_, S>) -> Response + Send + Sync;

/// A function and how it needs the body of a request.
pub(crate) struct Endpoint<S> {
    function: Arc<AnyFunction<S>>,
    pub(crate) body_mode: BodyMode,
    /// The numbers of path parameters that its path may have.
    parameters: RangeInclusive<usize>,
    /// The index of the nested router to which it belongs. `None` for the outermost router.
    owner: Option<usize>,
    /// The layers that are already part of `function`.
    layers: Layers,
}

impl<S> Route<S> {
    pub(crate) fn new(path: Pattern) -> Self {
        Self {
            path,
            methods: Vec::new(),
            any: None,
            layers: Layers::default(),
        }
    }

    /// Whether the route has no function yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.any.is_none()
    }

    pub(crate) fn call(&self, call: &mut RequestContext<'_, S>) -> Response {
        match self.function(call.request.method()) {
            Some(endpoint) => endpoint.call(call),
            None => method_not_allowed(call.request, self.allowed()),
        }
    }

    /// The functions, each with the name of its method.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &Endpoint<S>)> {
        let methods = self.methods.iter();
        let methods = methods.map(|(method, endpoint)| (method.as_str(), endpoint));
        methods.chain(self.any.iter().map(|endpoint| ("any method", endpoint)))
    }

    /// The indices of the nested routers to which the functions belong.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Option<usize>> {
        self.functions().map(|(_, endpoint)| endpoint.owner)
    }

    /// Replaces the indices of the nested routers.
    pub(crate) fn map_owners(&mut self, owner: impl Fn(Option<usize>) -> Option<usize>) {
        let methods = self.methods.iter_mut().map(|(_, endpoint)| endpoint);
        for endpoint in methods.chain(&mut self.any) {
            endpoint.owner = owner(endpoint.owner);
        }
    }

    /// Completes a response of the server with the layers of the function for this request.
    pub(crate) fn server_response(&self, request: &Request, response: &mut Response) {
        if let Some(endpoint) = self.function(request.method()) {
            endpoint.layers.server_response(request, response);
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
    }

    /// Moves the layers of the route to each of its functions.
    fn move_layers_to_functions(&mut self) {
        let layers = mem::take(&mut self.layers);
        if layers.is_empty() {
            return;
        }
        let methods = self.methods.iter_mut().map(|(_, endpoint)| endpoint);
        for endpoint in methods.chain(&mut self.any) {
            endpoint.wrap(layers.clone());
        }
    }
}

impl<S: Send + Sync + 'static> Route<S> {
    /// Gives all functions their state.
    pub(crate) fn bind<T: 'static>(self, state: &Arc<S>) -> Route<T> {
        let methods = self.methods.into_iter();
        Route {
            path: self.path,
            methods: methods
                .map(|(method, endpoint)| (method, endpoint.bind(state)))
                .collect(),
            any: self.any.map(|endpoint| endpoint.bind(state)),
            layers: self.layers,
        }
    }
}

impl<S: Send + Sync + 'static> Endpoint<S> {
    pub(crate) fn bind<T: 'static>(self, state: &Arc<S>) -> Endpoint<T> {
        let Self {
            function,
            body_mode,
            parameters,
            owner,
            layers,
        } = self;
        let state = Arc::clone(state);
        Endpoint {
            function: Arc::new(move |call| function(&mut call.with_state(&state))),
            body_mode,
            parameters,
            owner,
            layers,
        }
    }
}

impl<S: 'static> Endpoint<S> {
    fn wrap(&mut self, layers: Layers) {
        self.layers = layers.before(&self.layers);
        let function = Arc::clone(&self.function);
        self.function = Arc::new(move |call| {
            let (parameters, state, prefix_length) =
                (call.parameters, call.state, call.prefix_length);
            layers.run(call.request, &|request| {
                function(&mut RequestContext {
                    request,
                    parameters,
                    state,
                    prefix_length,
                })
            })
        });
    }

    pub(crate) fn new<A: 'static, C: 'static, F: Function<S, A, C>>(function: F) -> Self {
        Self {
            function: Arc::new(move |call| function.call(call)),
            body_mode: F::BODY_MODE,
            parameters: F::path_parameters(),
            owner: None,
            layers: Layers::default(),
        }
    }
}

impl<S> Endpoint<S> {
    /// The reason why the function can't be called for requests of this path, if it has too many
    /// parameters. Nesting may still add parameters, so too few are allowed.
    pub(crate) fn too_many_parameters(&self, path: &Pattern) -> Option<String> {
        let is_wrong = path.parameter_count() > *self.parameters.end();
        is_wrong.then(|| self.mismatch(path))
    }

    /// The reason why the function can't be called for requests of this path, once all parameters
    /// are known.
    pub(crate) fn parameter_mismatch(&self, path: &Pattern) -> Option<String> {
        let is_wrong = !self.parameters.contains(&path.parameter_count());
        is_wrong.then(|| self.mismatch(path))
    }

    fn mismatch(&self, path: &Pattern) -> String {
        let most = *self.parameters.end();
        let wanted = match most {
            // The arguments need different numbers.
            _ if self.parameters.is_empty() => "different numbers of path parameters".to_owned(),
            1 => "1 path parameter".to_owned(),
            _ => format!("{most} path parameters"),
        };
        let given = path.parameter_count();
        format!("takes {wanted}, but the path has {given}: change `Path<..>` or the path")
    }

    pub(crate) fn call(&self, call: &mut RequestContext<'_, S>) -> Response {
        // A layer has changed the request, so it reached another function than the one whose body
        // mode was used.
        if self.body_mode != BodyMode::HeadOnly
            && let Some(body) = call.request.body().as_withheld()
        {
            body.want();
            return Response::default();
        }
        (self.function)(call)
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
