//! A function or a handler at a path of a router.

use std::io;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Function;
use super::pattern::Pattern;
use crate::message::{BodyMode, Handler, Request, Response};
use crate::web::extract::RequestContext;
use crate::web::layer::Layers;

/// A function at a path, and what the router knows about it.
pub(crate) struct Endpoint<S> {
    function: Arc<dyn AnyFunction<S>>,
    /// The numbers of path parameters that its path may have.
    parameters: RangeInclusive<usize>,
    /// The index of the nested router to which it belongs. `None` for the outermost router.
    pub(crate) owner: Option<usize>,
}

/// A function without the types of its arguments.
trait AnyFunction<S>: Send + Sync {
    fn call(&self, context: &mut RequestContext<'_, S>) -> Response;

    fn body_mode(&self, request: &Request) -> BodyMode;

    /// Completes a response that the server makes itself.
    fn server_response(&self, request: &Request, response: &mut Response);

    /// Whether it can handle requests at all.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A function with the types of its arguments.
struct Typed<F, A, C> {
    function: F,
    types: PhantomData<fn(A, C)>,
}

/// A handler, which takes the whole request.
struct Whole<H>(H);

/// A function with its state.
struct Bound<S> {
    function: Arc<dyn AnyFunction<S>>,
    state: Arc<S>,
}

/// A function behind layers.
struct Wrapped<S> {
    layers: Layers,
    function: Arc<dyn AnyFunction<S>>,
}

impl<S> Endpoint<S> {
    pub(crate) fn new<A: 'static, C: 'static, F: Function<S, A, C>>(function: F) -> Self {
        Self {
            function: Arc::new(Typed {
                function,
                types: PhantomData,
            }),
            parameters: F::path_parameters(),
            owner: None,
        }
    }

    pub(crate) fn of_handler(handler: impl Handler) -> Self {
        Self {
            function: Arc::new(Whole(handler)),
            parameters: 0..=usize::MAX,
            owner: None,
        }
    }

    pub(crate) fn call(&self, context: &mut RequestContext<'_, S>) -> Response {
        self.function.call(context)
    }

    pub(crate) fn body_mode(&self, request: &Request) -> BodyMode {
        self.function.body_mode(request)
    }

    /// Completes a response of the server with the layers that belong to this function alone.
    pub(crate) fn server_response(&self, request: &Request, response: &mut Response) {
        self.function.server_response(request, response);
    }

    /// The reason why the function can't be called for requests of this path, if it has too many
    /// parameters. Nesting may still add parameters, so too few are allowed.
    pub(crate) fn too_many_parameters(&self, path: &Pattern) -> Option<String> {
        let is_wrong = path.parameter_count() > *self.parameters.end();
        is_wrong.then(|| self.mismatch(path))
    }

    /// The reason why the function can't be called for requests of this path, once all parameters
    /// are known.
    pub(crate) fn problem(&self, path: &Pattern) -> Option<String> {
        if !self.parameters.contains(&path.parameter_count()) {
            return Some(self.mismatch(path));
        }
        let checked = self.function.check();
        checked.err().map(|error| format!("can't run: {error}"))
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
}

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// Gives the function its state.
    pub(crate) fn bind<T: 'static>(self, state: &Arc<S>) -> Endpoint<T> {
        Endpoint {
            function: Arc::new(Bound {
                function: self.function,
                state: Arc::clone(state),
            }),
            parameters: self.parameters,
            owner: self.owner,
        }
    }
}

impl<S: 'static> Endpoint<S> {
    /// Puts layers around the function.
    pub(crate) fn wrap(&mut self, layers: Layers) {
        self.function = Arc::new(Wrapped {
            layers,
            function: Arc::clone(&self.function),
        });
    }
}

impl<S> Clone for Endpoint<S> {
    fn clone(&self) -> Self {
        Self {
            function: Arc::clone(&self.function),
            parameters: self.parameters.clone(),
            owner: self.owner,
        }
    }
}

impl<S, A, C, F: Function<S, A, C>> AnyFunction<S> for Typed<F, A, C> {
    fn call(&self, context: &mut RequestContext<'_, S>) -> Response {
        if lacks_body(context.request, |request| self.function.body_mode(request)) {
            return Response::default();
        }
        self.function.call(context)
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.function.body_mode(request)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.function.server_response(request, response);
    }
}

impl<S, H: Handler> AnyFunction<S> for Whole<H> {
    fn call(&self, context: &mut RequestContext<'_, S>) -> Response {
        if lacks_body(context.request, |request| self.0.body_mode(request)) {
            return Response::default();
        }
        self.0.handle(context.request)
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.0.body_mode(request)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.0.server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        self.0.check()
    }
}

impl<S: Send + Sync, T> AnyFunction<T> for Bound<S> {
    fn call(&self, context: &mut RequestContext<'_, T>) -> Response {
        self.function.call(&mut context.with_state(&self.state))
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.function.body_mode(request)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.function.server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        self.function.check()
    }
}

impl<S> AnyFunction<S> for Wrapped<S> {
    fn call(&self, context: &mut RequestContext<'_, S>) -> Response {
        let (route, state) = (context.route, context.state);
        self.layers.run(context.request, &|request| {
            self.function
                .call(&mut RequestContext::new(request, route, state))
        })
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        let behind = self.function.body_mode(request);
        self.layers.body_mode(request, behind)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.function.server_response(request, response);
        self.layers.server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        self.function.check()
    }
}

/// Whether the body has not arrived although the function needs it: a layer has changed the request,
/// so it reached another function than the one whose body mode was used. The body is then received,
/// and the response is dropped.
pub(crate) fn lacks_body(request: &Request, body_mode: impl Fn(&Request) -> BodyMode) -> bool {
    let Some(body) = request.body().as_withheld() else {
        return false;
    };
    let is_needed = body_mode(request) != BodyMode::HeadOnly;
    if is_needed {
        body.want();
    }
    is_needed
}
