//! What the server serves: one site by flags, or the sites of a configuration file.

use std::sync::Arc;

use httpool::services::inspect::Inspect;
use httpool::{Builder, ErrorPageDir, Handler, Tls, defaults};

use super::current::CurrentSites;
use super::sites::Sites;
use crate::config::{Config, Reloader};
use crate::files;
use crate::signals::Reloadable;
use crate::site::Site;

/// The sites of the server, before it runs.
pub(crate) enum Served {
    /// Without a configuration file. Requests pass nothing but the site.
    One {
        site: Box<Site>,
        pages: Option<Arc<ErrorPageDir>>,
    },
    /// With a configuration file, which a reload reads again.
    File(CurrentSites),
}

impl Served {
    /// Opens the folders and files of all sites.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        if config.file.is_some() {
            return Ok(Self::File(CurrentSites::new(Sites::open(config, None)?)));
        }
        let site = Site::open(&config.args)?;
        site.warn(&config.args);
        Ok(Self::One {
            site: Box::new(site),
            pages: files::error_pages(&config.args)?.map(Arc::new),
        })
    }

    /// Adds the settings that the sites need to a server.
    pub(crate) fn configure(&self, builder: Builder) -> Builder {
        match self {
            Self::One { pages: None, .. } => builder,
            Self::One {
                pages: Some(pages), ..
            } => builder.error_pages(Arc::clone(pages)),
            // A reload may add folders and pages.
            Self::File(sites) => builder
                .error_pages(sites.clone())
                .descriptors_per_connection(defaults::DESCRIPTORS_PER_CONNECTION),
        }
    }

    /// The handler of the server, and what a signal reloads.
    pub(crate) fn start(
        self,
        config: &Config,
        has_tls_socket: bool,
        tls: Option<Tls>,
        inspect: Option<Inspect>,
    ) -> Result<(Arc<dyn Handler>, Vec<Reloadable>), String> {
        let inspect = inspect.map(Arc::new);
        match self {
            Self::One { site, pages } => {
                let reloadables = (pages.map(Reloadable::Pages).into_iter())
                    .chain(tls.map(Reloadable::Tls))
                    .chain(site.reloadables())
                    .collect();
                Ok((site.inspect(inspect).into_handler(), reloadables))
            }
            Self::File(sites) => {
                if inspect.is_some() {
                    sites.replace(Sites::open(config, inspect.as_ref())?);
                }
                let reloader = Reloader::new(config, has_tls_socket, sites.clone(), tls, inspect);
                let reloadables = vec![Reloadable::Config(Box::new(reloader))];
                Ok((Arc::new(sites), reloadables))
            }
        }
    }
}
