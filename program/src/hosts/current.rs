//! The sites that a server has now. A reload replaces them.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use httpool::http::header::HeaderMap;
use httpool::{BodyMode, ErrorPages, Handler, Problem, Request, Response};

use super::sites::Sites;

/// The current sites. Clones share them.
///
/// A request keeps the sites that its head found: those that choose how its body is received also
/// respond, however long the body takes to arrive.
#[derive(Clone)]
pub(crate) struct CurrentSites(Arc<ArcSwap<Sites>>);

/// The sites of a request whose body is received.
#[derive(Clone)]
struct Chosen(Arc<Sites>);

impl CurrentSites {
    pub(crate) fn new(sites: Sites) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(sites)))
    }

    /// Replaces the sites for all later requests. The old ones exist until their last request has
    /// its response.
    pub(crate) fn replace(&self, sites: Sites) {
        self.0.store(Arc::new(sites));
    }
}

impl Handler for CurrentSites {
    fn handle(&self, request: &mut Request) -> Response {
        match request.extensions_mut().remove() {
            Some(Chosen(sites)) => sites.handle(request),
            None => self.0.load().handle(request),
        }
    }

    fn prepare(&self, request: &mut Request) {
        let sites = self.0.load_full();
        sites.prepare(request);
        request.extensions_mut().insert(Chosen(sites));
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.extensions().get() {
            Some(Chosen(sites)) => sites.body_mode(request),
            None => self.0.load().body_mode(request),
        }
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        self.0.load().server_response(request, response);
    }

    fn may_upgrade(&self) -> bool {
        self.0.load().may_upgrade()
    }
}

impl ErrorPages for CurrentSites {
    fn page(&self, problem: &Problem, request: &HeaderMap) -> Option<Response> {
        self.0.load().page(problem, request)
    }
}

impl fmt::Debug for CurrentSites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentSites").finish_non_exhaustive()
    }
}
