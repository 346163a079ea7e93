//! Finds the function for a request and calls it.

use std::borrow::Cow;
use std::io;

use http::{Method, StatusCode};

use super::nested::Nested;
use crate::message::{BodyMode, Handler, IntoResponse, Problem, Request, Response};
use crate::web::Router;
use crate::web::extract::{Parameters, RequestContext};
use crate::web::layer::Layers;
use crate::web::router::path;
use crate::web::router::pattern::Pattern;
use crate::web::router::route::{Endpoint, Route};

/// What a router found for a request.
struct Match<'r, 'p, S> {
    target: Target<'r, S>,
    layers: Cow<'r, Layers>,
    parameters: ParameterSource<'r, 'p, S>,
}

/// The source of the path parameters.
enum ParameterSource<'r, 'p, S> {
    Route(matchit::Params<'r, 'p>),
    /// The path of the nested router whose fallback responds.
    Nested(&'r Nested<S>),
    None,
}

enum Target<'r, S> {
    /// A route with a function for the method. A route without one responds with its methods.
    Route(&'r Route<S>),
    Fallback {
        endpoint: &'r Endpoint<S>,
        /// The length of the path at which the router of this fallback is nested.
        prefix_length: usize,
    },
    NotFound,
}

impl<S: Send + Sync + 'static> Router<S> {
    fn dispatch(&self, request: &mut Request, state: &S) -> Response {
        let (target, layers, parameters) = {
            let path = path::normalize_request(request.uri().path());
            let found = self.find(request, &path);
            (found.target, found.layers, found.parameters.read(&path))
        };
        let respond = |request: &mut Request| match &parameters {
            Some(parameters) => {
                let mut call = RequestContext::new(request, parameters, state);
                match &target {
                    Target::Route(route) => route.call(&mut call),
                    Target::Fallback {
                        endpoint,
                        prefix_length,
                    } => {
                        call.prefix_length = *prefix_length;
                        endpoint.call(&mut call)
                    }
                    Target::NotFound => not_found(request),
                }
            }
            None => Problem::new(StatusCode::BAD_REQUEST)
                .detail("the path is not UTF-8")
                .to_response(request.headers()),
        };
        layers.run(request, &respond)
    }

    fn find<'p>(&self, request: &Request, path: &'p str) -> Match<'_, 'p, S> {
        let matched = self.paths.at(path).ok();
        let route = matched.as_ref().map(|found| &self.routes[*found.value]);
        let parameters = matched.map_or(ParameterSource::None, |found| {
            ParameterSource::Route(found.params)
        });
        if let Some(route) = route
            && route.function(request.method()).is_some()
            && !self.nested.has_more_specific_fallback(path, route)
        {
            return Match {
                target: Target::Route(route),
                layers: self.nested.layers_of_route(path, route),
                parameters,
            };
        }
        let fallback = self.nested.fallback_for(path);
        let layers = self.nested.layers_of_fallback(path, fallback);
        if let Some(route) = route
            && fallback.is_none_or(|index| self.nested.owns_function_of(index, route))
        {
            return Match {
                target: Target::Route(route),
                layers: Cow::Owned(layers.into_owned().and_missing(&route.layers)),
                parameters,
            };
        }
        let nested = fallback.map(|index| &self.nested[index]);
        Match {
            target: self.fallback_of(nested, request),
            layers,
            parameters: nested.map_or(ParameterSource::None, ParameterSource::Nested),
        }
    }

    /// The fallback of a nested router, or of this one.
    fn fallback_of<'r>(
        &'r self,
        nested: Option<&'r Nested<S>>,
        request: &Request,
    ) -> Target<'r, S> {
        let (fallback, depth) = match nested {
            Some(nested) => (&nested.fallback, nested.path.depth()),
            None if is_about_server(request) => return Target::NotFound,
            None => (&self.fallback, 0),
        };
        let prefix_length = path::prefix_length(depth, request.uri().path());
        fallback
            .as_ref()
            .map_or(Target::NotFound, |endpoint| Target::Fallback {
                endpoint,
                prefix_length,
            })
    }

    /// The body mode for a request.
    fn find_body_mode(&self, request: &Request) -> BodyMode {
        let path = path::normalize_request(request.uri().path());
        let found = self.find(request, &path);
        let endpoint = match found.target {
            Target::Route(route) => route.function(request.method()),
            Target::Fallback { endpoint, .. } => Some(endpoint),
            Target::NotFound => None,
        };
        // Without a function, the response is a 404, a 405, or the methods of the path.
        let body_mode = endpoint.map_or(BodyMode::HeadOnly, |endpoint| endpoint.body_mode);
        let body_mode = found.layers.body_mode(request, body_mode);
        self.layers.body_mode(request, body_mode)
    }
}

impl<S> ParameterSource<'_, '_, S> {
    /// The path parameters and their values. `None` if one of them is not UTF-8.
    fn read(&self, path: &str) -> Option<Parameters> {
        match self {
            Self::Route(found) => Parameters::decode(found.iter()),
            Self::Nested(nested) => Parameters::decode(nested.path.values(path)),
            Self::None => Some(Parameters::default()),
        }
    }
}

/// Whether the request asks about the server as a whole (RFC 9110 section 9.3.7).
fn is_about_server(request: &Request) -> bool {
    *request.method() == Method::OPTIONS && request.uri().path() == "*"
}

/// The response of a router without a fallback if no route matches.
fn not_found(request: &Request) -> Response {
    if is_about_server(request) {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(StatusCode::NOT_FOUND).to_response(request.headers())
}

/// A router that needs no more state is a handler.
impl Handler for Router {
    fn handle(&self, request: &mut Request) -> Response {
        self.layers
            .run(request, &|request| self.dispatch(request, &()))
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.find_body_mode(request)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        let path = path::normalize_request(request.uri().path());
        let found = self.find(request, &path);
        if let Target::Route(route) = found.target {
            route.server_response(request, response);
        }
        found.layers.server_response(request, response);
        self.layers.server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        let routes = self.routes.iter().flat_map(|route| {
            (route.functions()).filter_map(|(method, endpoint)| {
                let reason = endpoint.parameter_mismatch(&route.path)?;
                Some(format!(
                    "the function for {method} {} {reason}",
                    route.path.as_str()
                ))
            })
        });
        let nested = self.nested.fallbacks().filter_map(|(path, endpoint)| {
            let reason = endpoint.parameter_mismatch(path)?;
            Some(format!("the fallback in {} {reason}", path.as_str()))
        });
        let root = self.fallback.iter().filter_map(|endpoint| {
            let reason = endpoint.parameter_mismatch(&Pattern::parse(String::new()))?;
            Some(format!("the fallback {reason}"))
        });
        match routes.chain(nested).chain(root).next() {
            Some(reason) => Err(io::Error::new(io::ErrorKind::InvalidInput, reason)),
            None => Ok(()),
        }
    }
}
