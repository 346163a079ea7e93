//! From a request to the function that answers it.

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

/// What a request is to a router.
struct Found<'r, 'p, S> {
    target: Target<'r, S>,
    layers: Cow<'r, Layers>,
    named: Named<'r, 'p, S>,
}

/// Where the names of the path are written.
enum Named<'r, 'p, S> {
    Route(matchit::Params<'r, 'p>),
    /// In the path of a router whose fallback answers.
    Nested(&'r Nested<S>),
    Nowhere,
}

enum Target<'r, S> {
    /// One that has a function for the request's method, or tells which methods it has.
    Route(&'r Route<S>),
    Fallback {
        endpoint: &'r Endpoint<S>,
        /// Bytes of the path that have led to the router whose fallback it is.
        under: usize,
    },
    Nothing,
}

impl<S: Send + Sync + 'static> Router<S> {
    fn answer(&self, request: &mut Request, state: &S) -> Response {
        let (target, layers, parameters) = {
            let path = path::of_request(request.uri().path());
            let found = self.find(request, &path);
            (found.target, found.layers, found.named.parameters(&path))
        };
        let answer = |request: &mut Request| match &parameters {
            Some(parameters) => {
                let mut call = RequestContext::new(request, parameters, state);
                match &target {
                    Target::Route(route) => route.answer(&mut call),
                    Target::Fallback { endpoint, under } => {
                        call.under = *under;
                        endpoint.answer(&mut call)
                    }
                    Target::Nothing => answer_nothing(request),
                }
            }
            None => Problem::new(StatusCode::BAD_REQUEST)
                .detail("the path is not UTF-8")
                .to_response(request.headers()),
        };
        layers.run(request, &answer)
    }

    fn find<'p>(&self, request: &Request, path: &'p str) -> Found<'_, 'p, S> {
        let matched = self.paths.at(path).ok();
        let route = matched.as_ref().map(|found| &self.routes[*found.value]);
        let named = matched.map_or(Named::Nowhere, |found| Named::Route(found.params));
        if let Some(route) = route
            && route.function(request.method()).is_some()
            && !self.nested.has_fallback_before(path, route)
        {
            return Found {
                target: Target::Route(route),
                layers: self.nested.layers_before(path, route),
                named,
            };
        }
        let fallback = self.nested.fallback_for(path);
        let layers = self.nested.layers_for(path, fallback);
        if let Some(route) = route
            && fallback.is_none_or(|index| self.nested.is_home_of(index, route))
        {
            return Found {
                target: Target::Route(route),
                layers: Cow::Owned(layers.into_owned().and_missing(&route.layers)),
                named,
            };
        }
        let nested = fallback.map(|index| &self.nested[index]);
        Found {
            target: self.fallback_of(nested, request),
            layers,
            named: nested.map_or(Named::Nowhere, Named::Nested),
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
            None if asks_about_server(request) => return Target::Nothing,
            None => (&self.fallback, 0),
        };
        let under = path::length_of(depth, request.uri().path());
        fallback
            .as_ref()
            .map_or(Target::Nothing, |endpoint| Target::Fallback {
                endpoint,
                under,
            })
    }

    /// How what is going to answer this request takes its body.
    fn intake_of(&self, request: &Request) -> BodyMode {
        let path = path::of_request(request.uri().path());
        let found = self.find(request, &path);
        let endpoint = match found.target {
            Target::Route(route) => route.function(request.method()),
            Target::Fallback { endpoint, .. } => Some(endpoint),
            Target::Nothing => None,
        };
        // What no function answers is answered 404, 405, or with the methods of its path.
        let body_mode = endpoint.map_or(BodyMode::HeadOnly, |endpoint| endpoint.body_mode);
        let body_mode = found.layers.body_mode(request, body_mode);
        self.layers.body_mode(request, body_mode)
    }
}

impl<S> Named<'_, '_, S> {
    /// The names and what this path has for them; `None` if that is not UTF-8.
    fn parameters(&self, path: &str) -> Option<Parameters> {
        match self {
            Self::Route(found) => Parameters::decode(found.iter()),
            Self::Nested(nested) => Parameters::decode(nested.path.values(path)),
            Self::Nowhere => Some(Parameters::default()),
        }
    }
}

/// Whether it is about the server as a whole (RFC 9110 section 9.3.7).
fn asks_about_server(request: &Request) -> bool {
    *request.method() == Method::OPTIONS && request.uri().path() == "*"
}

/// What a router without a fallback answers where it has no route.
fn answer_nothing(request: &Request) -> Response {
    if asks_about_server(request) {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(StatusCode::NOT_FOUND).to_response(request.headers())
}

/// A router that needs nothing more is a handler.
impl Handler for Router {
    fn handle(&self, request: &mut Request) -> Response {
        self.layers
            .run(request, &|request| self.answer(request, &()))
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.intake_of(request)
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        let path = path::of_request(request.uri().path());
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
                let why = endpoint.misfits(&route.path)?;
                Some(format!(
                    "the function for {method} {} {why}",
                    route.path.as_str()
                ))
            })
        });
        let nested = self.nested.fallbacks().filter_map(|(path, endpoint)| {
            let why = endpoint.misfits(path)?;
            Some(format!("the fallback in {} {why}", path.as_str()))
        });
        let root = self.fallback.iter().filter_map(|endpoint| {
            let why = endpoint.misfits(&Pattern::parse(String::new()))?;
            Some(format!("the fallback {why}"))
        });
        match routes.chain(nested).chain(root).next() {
            Some(why) => Err(io::Error::new(io::ErrorKind::InvalidInput, why)),
            None => Ok(()),
        }
    }
}
