//! All sites of a server.

use std::ptr;
use std::sync::Arc;

use httpool::http::StatusCode;
use httpool::http::header::HeaderMap;
use httpool::services::inspect::Inspect;
use httpool::{BodyMode, ErrorPageDir, ErrorPages as _, Handler, Problem, Request, Response};

use super::table::HostTable;
use crate::cli::Args;
use crate::config::{Config, UnknownHost};
use crate::files;
use crate::rules::Rules;
use crate::site::Site;

/// The site at the top of the configuration, and those of the virtual hosts.
pub(crate) struct Sites {
    default: HostSite,
    hosts: Vec<HostSite>,
    table: HostTable,
    unknown_host: UnknownHost,
}

/// The site of one host.
struct HostSite {
    handler: Arc<dyn Handler>,
    pages: Option<ErrorPageDir>,
}

impl Sites {
    /// Opens the folders and files of all sites. The error is one line. `inspect` is the inspector of
    /// the server.
    pub(crate) fn open(config: &Config, inspect: Option<&Arc<Inspect>>) -> Result<Self, String> {
        let open = |args: &Args, rules: Option<&Rules>| {
            let site = Site::open(args)?;
            // A host with the folder of the top would repeat its warning.
            if ptr::eq(args, &config.args) || args.root != config.args.root {
                site.warn(args);
            }
            let inspect = inspect.filter(|_| args.inspect);
            HostSite::open(site, args, rules, inspect)
        };
        let default = open(&config.args, config.rules.as_ref());
        let default = default.map_err(|line| config.settings.relocate(line))?;
        let hosts = config.hosts.iter().map(|host| {
            let site = open(&host.args, host.rules.as_ref());
            site.map_err(|line| host.settings.relocate(line))
        });
        Ok(Self {
            default,
            hosts: hosts.collect::<Result<_, _>>()?,
            table: config.table.clone(),
            unknown_host: config.unknown_host,
        })
    }

    /// The site for a request with these headers. `None` if its host is to be rejected.
    fn find(&self, headers: &HeaderMap) -> Option<&HostSite> {
        match (self.table.find(headers), self.unknown_host) {
            (Some(host), _) => self.hosts.get(host),
            (None, UnknownHost::Default) => Some(&self.default),
            (None, UnknownHost::Reject) => None,
        }
    }

    /// The page of the request's host for an error.
    pub(super) fn page(&self, problem: &Problem, headers: &HeaderMap) -> Option<Response> {
        self.find(headers)?.pages.as_ref()?.page(problem, headers)
    }
}

impl HostSite {
    fn open(
        site: Site,
        args: &Args,
        rules: Option<&Rules>,
        inspect: Option<&Arc<Inspect>>,
    ) -> Result<Self, String> {
        let site = site.rules(rules.cloned());
        Ok(Self {
            handler: site.inspect(inspect.cloned()).into_handler(),
            pages: files::error_pages(args)?,
        })
    }
}

impl Handler for Sites {
    fn handle(&self, request: &mut Request) -> Response {
        match self.find(request.headers()) {
            Some(site) => site.handler.handle(request),
            None => Problem::new(StatusCode::MISDIRECTED_REQUEST)
                .detail("this server has no site with the name in the Host header")
                .to_response(request.headers()),
        }
    }

    fn prepare(&self, request: &mut Request) {
        if let Some(site) = self.find(request.headers()) {
            site.handler.prepare(request);
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match self.find(request.headers()) {
            Some(site) => site.handler.body_mode(request),
            None => BodyMode::HeadOnly,
        }
    }

    fn server_response(&self, request: &Request, response: &mut Response) {
        if let Some(site) = self.find(request.headers()) {
            site.handler.server_response(request, response);
        }
    }

    fn may_upgrade(&self) -> bool {
        let mut sites = self.hosts.iter().chain([&self.default]);
        sites.any(|site| site.handler.may_upgrade())
    }
}
