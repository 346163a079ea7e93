//! From a request to the function that answers it.

use http::{Method, StatusCode};

use super::{REST, Router};
use crate::routing::route::{Endpoint, Route};
use crate::routing::{Call, Parameters, path};
use crate::{Handler, Intake, IntoResponse, Problem, Request, Response};

/// What a path is to a router.
struct Found<'r, S> {
    route: &'r Route<S>,
    /// `None` if they are not UTF-8.
    parameters: Option<Parameters>,
    /// How long the path is in which the route's fallback is nested.
    under: usize,
}

impl<S: Send + Sync + 'static> Router<S> {
    fn answer(&self, request: &mut Request, state: &S) -> Response {
        let Some(found) = self.find(request.uri().path()) else {
            if *request.method() == Method::OPTIONS && request.uri().path() == "*" {
                return StatusCode::NO_CONTENT.into_response();
            }
            return match &self.fallback {
                Some(fallback) => {
                    fallback.answer(&mut Call::new(request, &Parameters::default(), state))
                }
                None => Problem::new(StatusCode::NOT_FOUND).answer(request.headers()),
            };
        };
        let answer = |request: &mut Request| match &found.parameters {
            Some(parameters) => {
                let mut call = Call::new(request, parameters, state);
                call.under = found.under;
                found.route.answer(&mut call)
            }
            None => Problem::new(StatusCode::BAD_REQUEST)
                .detail("the path is not UTF-8")
                .answer(request.headers()),
        };
        found.route.layers.run(request, &answer)
    }

    fn find(&self, sent: &str) -> Option<Found<'_, S>> {
        let path = path::of_request(sent);
        let found = self.paths.at(&path).ok()?;
        let named = found.params.iter().filter(|(name, _)| *name != REST);
        let route = &self.routes[*found.value];
        let under = match route.fallback {
            None => 0,
            Some(_) => {
                let rest = found.params.get(REST).unwrap_or_default();
                let before = path.strip_suffix(rest).unwrap_or_default();
                path::length_of(before.trim_end_matches('/'), sent)
            }
        };
        Some(Found {
            route,
            parameters: Parameters::decode(named),
            under,
        })
    }

    /// How what is going to answer this request takes its body.
    fn intake_of(&self, request: &Request) -> Intake {
        // What no function answers is answered 404, 405, or with the methods of its path.
        let of = |endpoint: Option<&Endpoint<S>>| {
            endpoint.map_or(Intake::HeadOnly, |endpoint| endpoint.intake)
        };
        let intake = match self.paths.at(&path::of_request(request.uri().path())) {
            Ok(found) => {
                let route = &self.routes[*found.value];
                let behind = of(route.endpoint(request.method()));
                route.layers.intake(request, behind)
            }
            Err(_) => of(self.fallback.as_ref()),
        };
        self.layers.intake(request, intake)
    }
}

/// A router that needs nothing more is a handler.
impl Handler for Router {
    fn handle(&self, request: &mut Request) -> Response {
        self.layers
            .run(request, &|request| self.answer(request, &()))
    }

    fn intake(&self, request: &Request) -> Intake {
        self.intake_of(request)
    }
}
