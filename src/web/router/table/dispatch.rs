//! Finds the function for a request and calls it.

use std::borrow::Cow;
use std::io;

use http::{Method, StatusCode, Uri};

use super::nested::Nested;
use crate::message::{
    BodyMode, Handler, IntoResponse, MatchedPath, Problem, Redirect, Request, Response,
};
use crate::web::Router;
use crate::web::extract::{Parameters, RequestContext, RouteMatch};
use crate::web::layer::Layers;
use crate::web::router::endpoint::Endpoint;
use crate::web::router::path;
use crate::web::router::pattern::Pattern;
use crate::web::router::route::{FinalSlash, Route};

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
    /// The route that the path would have with a slash at its end, or without.
    OtherSlash(&'r Route<S>),
    Fallback {
        endpoint: &'r Endpoint<S>,
        /// `None` for the fallback of the outermost router.
        path: Option<&'r MatchedPath>,
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
        target.note_path();
        let respond = |request: &mut Request| match &parameters {
            Some(parameters) => {
                let found = RouteMatch {
                    parameters,
                    path: target.path(),
                    prefix_length: target.prefix_length(),
                };
                let mut call = RequestContext::new(request, found, state);
                match &target {
                    Target::Route(route) => route.call(&mut call, self.method_not_allowed.as_ref()),
                    Target::OtherSlash(_) => to_other_slash(request.uri()),
                    Target::Fallback { endpoint, .. } => endpoint.call(&mut call),
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
        if route.is_none()
            && self.any_final_slash == FinalSlash::Redirect
            && let Some(found) = self.find_other_slash(request.method(), path)
        {
            return found;
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

    /// The route of the path with, or without, a slash at its end, if it redirects to itself.
    fn find_other_slash<'p>(&self, method: &Method, path: &str) -> Option<Match<'_, 'p, S>> {
        let other = match path.strip_suffix('/') {
            Some(shorter) => Cow::Borrowed(shorter),
            None => Cow::Owned(format!("{path}/")),
        };
        let route = &self.routes[*self.paths.at(&other).ok()?.value];
        let redirects = route.final_slash.or(self.final_slash) == FinalSlash::Redirect
            && route.function(method).is_some()
            && !self.nested.has_more_specific_fallback(&other, route);
        redirects.then(|| Match {
            target: Target::OtherSlash(route),
            layers: self.nested.layers_of_route(&other, route),
            parameters: ParameterSource::None,
        })
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
                path: nested.map(|nested| &nested.all_beneath),
                prefix_length,
            })
    }

    /// The body mode for a request.
    fn find_body_mode(&self, request: &Request) -> BodyMode {
        let path = path::normalize_request(request.uri().path());
        let found = self.find(request, &path);
        let body_mode = match found.target {
            Target::Route(route) => route.body_mode(request, self.method_not_allowed.as_ref()),
            Target::Fallback { endpoint, .. } => endpoint.body_mode(request),
            Target::OtherSlash(_) | Target::NotFound => BodyMode::HeadOnly,
        };
        let body_mode = found.layers.body_mode(request, body_mode);
        self.layers.body_mode(request, body_mode)
    }
}

impl<'r, S> Target<'r, S> {
    fn path(&self) -> Option<&'r MatchedPath> {
        match self {
            Self::Route(route) | Self::OtherSlash(route) => Some(route.path.matched_path()),
            Self::Fallback { path, .. } => *path,
            Self::NotFound => None,
        }
    }

    /// Notes the path for a layer or an observer that records it.
    fn note_path(&self) {
        if let Some(path) = self.path() {
            path.note();
        }
    }

    fn prefix_length(&self) -> usize {
        match self {
            Self::Fallback { prefix_length, .. } => *prefix_length,
            Self::Route(_) | Self::OtherSlash(_) | Self::NotFound => 0,
        }
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

/// Redirects to the path with a slash at its end, or without. `Location` is relative, so it is
/// correct behind a proxy that changes paths, and begins with a dot, so no path can be taken for
/// another host.
fn to_other_slash(uri: &Uri) -> Response {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let path = uri.path();
    let mut target = match path.strip_suffix('/') {
        Some(shorter) => format!("../{}", last(shorter)),
        None => format!("./{}/", last(path)),
    };
    if let Some(query) = uri.query() {
        target.extend(["?", query]);
    }
    Redirect::permanent(&target).into_response()
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
        found.target.note_path();
        match found.target {
            Target::Route(route) => route.server_response(request, response),
            Target::Fallback { endpoint, .. } => endpoint.server_response(request, response),
            Target::OtherSlash(_) | Target::NotFound => {}
        }
        found.layers.server_response(request, response);
        self.layers.server_response(request, response);
    }

    fn check(&self) -> io::Result<()> {
        let routes = self.routes.iter().flat_map(|route| {
            (route.endpoints()).filter_map(|(method, endpoint)| {
                let reason = endpoint.problem(&route.path)?;
                Some(format!(
                    "the function for {method} {} {reason}",
                    route.path.as_str()
                ))
            })
        });
        let not_allowed = self.method_not_allowed.iter().flat_map(|endpoint| {
            let lacks_own =
                |route: &&Route<()>| route.method_not_allowed.is_none() && route.any.is_none();
            self.routes.iter().filter(lacks_own).filter_map(|route| {
                let reason = endpoint.problem(&route.path)?;
                let path = route.path.as_str();
                Some(format!("the function for other methods of {path} {reason}"))
            })
        });
        let nested = self.nested.fallbacks().filter_map(|(nested, endpoint)| {
            let reason = endpoint.problem(&nested.path)?;
            Some(format!("the fallback in {} {reason}", nested.path.as_str()))
        });
        let root = self.fallback.iter().filter_map(|endpoint| {
            let reason = endpoint.problem(&Pattern::parse(""))?;
            Some(format!("the fallback {reason}"))
        });
        let mut reasons = routes.chain(not_allowed).chain(nested).chain(root);
        match reasons.next() {
            Some(reason) => Err(io::Error::new(io::ErrorKind::InvalidInput, reason)),
            None => Ok(()),
        }
    }
}
