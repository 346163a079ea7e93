//! One path of a router, and the functions that it has.

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

/// A path and what it has for each method.
pub(crate) struct Route<S> {
    pub(crate) path: Pattern,
    pub(crate) methods: Vec<(Method, Endpoint<S>)>,
    /// For every other method.
    pub(crate) any: Option<Endpoint<S>>,
    /// Those of the routers that all of it has come with.
    pub(crate) layers: Layers,
}

/// Answers a call, whatever its arguments were.
type Answer<S> = dyn Fn(&mut RequestContext<'_, S>) -> Response + Send + Sync;

/// A function and how it wants the body of a request.
pub(crate) struct Endpoint<S> {
    answer: Arc<Answer<S>>,
    pub(crate) body_mode: BodyMode,
    /// How many names its path may have.
    names: RangeInclusive<usize>,
    /// The index of the nested router that it is of, `None` for the outermost one.
    home: Option<usize>,
    /// Those that it was put behind.
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

    /// Whether it has no function yet.
    pub(crate) fn is_free(&self) -> bool {
        self.methods.is_empty() && self.any.is_none()
    }

    pub(crate) fn answer(&self, call: &mut RequestContext<'_, S>) -> Response {
        match self.function(call.request.method()) {
            Some(endpoint) => endpoint.answer(call),
            None => method_not_allowed(call.request, self.allowed()),
        }
    }

    /// Its functions, and what each is for.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &Endpoint<S>)> {
        let methods = self.methods.iter();
        let methods = methods.map(|(method, endpoint)| (method.as_str(), endpoint));
        methods.chain(self.any.iter().map(|endpoint| ("any method", endpoint)))
    }

    /// The indices of the nested routers that its functions are of.
    pub(crate) fn homes(&self) -> impl Iterator<Item = Option<usize>> {
        self.functions().map(|(_, endpoint)| endpoint.home)
    }

    /// Has its functions be of other nested routers.
    pub(crate) fn move_home(&mut self, moved: impl Fn(Option<usize>) -> Option<usize>) {
        let methods = self.methods.iter_mut().map(|(_, endpoint)| endpoint);
        for endpoint in methods.chain(&mut self.any) {
            endpoint.home = moved(endpoint.home);
        }
    }

    /// The layers of the function for this request alone complete a response that the server has made.
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
            let stands_in = *method == Method::HEAD;
            stands_in.then(|| of(&Method::GET)).flatten()
        });
        found.map(|(_, endpoint)| endpoint).or(self.any.as_ref())
    }

    fn allowed(&self) -> HeaderValue {
        let mut allowed: Vec<&str> = Vec::new();
        for (method, _) in &self.methods {
            allowed.push(method.as_str());
            let says_head = || self.methods.iter().any(|(other, _)| other == Method::HEAD);
            if *method == Method::GET && !says_head() {
                allowed.push(Method::HEAD.as_str());
            }
        }
        if !allowed.contains(&Method::OPTIONS.as_str()) {
            allowed.push(Method::OPTIONS.as_str());
        }
        HeaderValue::try_from(allowed.join(", ")).expect("methods are valid in a field")
    }
}

impl<S: 'static> Route<S> {
    /// Adds the functions of another route, which has none that this one has. Each stays behind the
    /// layers that it was behind.
    pub(crate) fn join(&mut self, other: Self) {
        if self.is_free() {
            *self = other;
            return;
        }
        self.hand_layers_on();
        let mut other = other;
        other.hand_layers_on();
        self.methods.extend(other.methods);
        self.any = self.any.take().or(other.any);
    }

    /// Puts the layers around each function, in the place of all of them.
    fn hand_layers_on(&mut self) {
        let layers = mem::take(&mut self.layers);
        if layers.is_empty() {
            return;
        }
        let methods = self.methods.iter_mut().map(|(_, endpoint)| endpoint);
        for endpoint in methods.chain(&mut self.any) {
            endpoint.put_behind(layers.clone());
        }
    }
}

impl<S: Send + Sync + 'static> Route<S> {
    /// The same for a router that has given its functions this state.
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
            answer,
            body_mode,
            names,
            home,
            layers,
        } = self;
        let state = Arc::clone(state);
        Endpoint {
            answer: Arc::new(move |call| answer(&mut call.with_state(&state))),
            body_mode,
            names,
            home,
            layers,
        }
    }
}

impl<S: 'static> Endpoint<S> {
    fn put_behind(&mut self, layers: Layers) {
        self.layers = layers.before(&self.layers);
        let answer = Arc::clone(&self.answer);
        self.answer = Arc::new(move |call| {
            let (parameters, state, under) = (call.parameters, call.state, call.under);
            layers.run(call.request, &|request| {
                answer(&mut RequestContext {
                    request,
                    parameters,
                    state,
                    under,
                })
            })
        });
    }

    pub(crate) fn new<A: 'static, C: 'static, F: Function<S, A, C>>(function: F) -> Self {
        Self {
            answer: Arc::new(move |call| function.call(call)),
            body_mode: F::BODY_MODE,
            names: F::path_parameters(),
            home: None,
            layers: Layers::default(),
        }
    }
}

impl<S> Endpoint<S> {
    /// Why it can't be called with requests of this path, which may get more names in front when its
    /// router is nested.
    pub(crate) fn has_too_many_names(&self, path: &Pattern) -> Option<String> {
        let is_wrong = path.names() > *self.names.end();
        is_wrong.then(|| self.misfit(path))
    }

    /// The same for a path that gets no more names.
    pub(crate) fn misfits(&self, path: &Pattern) -> Option<String> {
        let is_wrong = !self.names.contains(&path.names());
        is_wrong.then(|| self.misfit(path))
    }

    fn misfit(&self, path: &Pattern) -> String {
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        // Arguments that contradict each other.
        let wanted = match self.names.is_empty() {
            true => "different numbers of values".to_owned(),
            false => count(*self.names.end(), "value"),
        };
        let names = count(path.names(), "name");
        format!("takes {wanted} of the path, which has {names}: change `Path<..>` or the path")
    }

    pub(crate) fn answer(&self, call: &mut RequestContext<'_, S>) -> Response {
        // A layer has led the request here, and the router was asked without it.
        if self.body_mode != BodyMode::HeadOnly
            && let Some(body) = call.request.body().as_withheld()
        {
            body.want();
            return Response::default();
        }
        (self.answer)(call)
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
