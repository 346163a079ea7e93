//! The site: what the program serves to its clients, with the layers that flags put around it.
//!
//! [`Site::open`] opens everything that the flags name and does not need a server: the folder and the
//! files of layers. So it can be called for several folders, for `--check`, and again while the server
//! runs: it neither listens nor keeps anything outside of its result.

mod header_rule;
mod layers;
mod rate;

use std::sync::Arc;

use httpool::services::Echo;
use httpool::services::inspect::Inspect;
use httpool::{Handler, Layered, ServeDir, Uploads};

pub(crate) use self::header_rule::HeaderRule;
use self::layers::Layers;
pub(crate) use self::rate::Rate;
use super::cli::Args;
use super::files;
use super::rules::Rules;
use super::signals::Reloadable;
use super::uploads;

/// What is served, and the layers around it.
pub(crate) struct Site {
    service: Service,
    rules: Option<Rules>,
    layers: Layers,
}

enum Service {
    Folder(Arc<ServeDir>),
    Uploads(Arc<Uploads>, Arc<ServeDir>),
    Inspect(Arc<Inspect>),
    Echo(Echo),
}

impl Site {
    /// Opens the folder of `--root` or the echo, and what the flags of layers name. The error is one
    /// line.
    pub(crate) fn open(args: &Args) -> Result<Self, String> {
        let service = match files::open(args)? {
            Some(folder) if args.upload => {
                let folder = Arc::new(folder);
                Service::Uploads(Arc::new(uploads::open(args, Arc::clone(&folder))), folder)
            }
            Some(folder) => Service::Folder(Arc::new(folder)),
            None => Service::Echo(Echo::new(args.echo_json.into())),
        };
        let layers = Layers::open(args)?;
        Ok(Self {
            service,
            rules: None,
            layers,
        })
    }

    /// Serves the inspector, if there is one. It is opened later than the rest, because it needs the
    /// addresses of the server.
    pub(crate) fn inspect(self, inspect: Option<Arc<Inspect>>) -> Self {
        match inspect {
            Some(inspect) => Self {
                service: Service::Inspect(inspect),
                ..self
            },
            None => self,
        }
    }

    /// Redirects and rewrites requests, if there are rules for that.
    pub(crate) fn rules(self, rules: Option<Rules>) -> Self {
        Self { rules, ..self }
    }

    /// Warns about settings that are probably a mistake.
    pub(crate) fn warn(&self, args: &Args) {
        if let Service::Folder(folder) = &self.service {
            files::warn_without_index(args, folder);
        }
    }

    /// What is opened again when a signal asks for that.
    pub(crate) fn reloadables(&self) -> impl Iterator<Item = Reloadable> {
        let folder = match &self.service {
            Service::Folder(folder) | Service::Uploads(_, folder) => Some(Arc::clone(folder)),
            Service::Inspect(_) | Service::Echo(_) => None,
        };
        let users = self.layers.users().cloned();
        (folder.map(Reloadable::Folder).into_iter()).chain(users.map(Reloadable::Users))
    }

    /// The handler of a server. Without layers it is the service itself.
    pub(crate) fn into_handler(self) -> Arc<dyn Handler> {
        let layers = self.layers;
        match (self.service, self.rules) {
            (Service::Folder(folder), None) if layers.is_empty() => folder,
            (Service::Folder(folder), None) => layers.around(folder),
            (Service::Uploads(uploads, _), None) => layers.around(uploads),
            (Service::Inspect(inspect), None) => layers.around(inspect),
            (Service::Echo(echo), None) => layers.around(echo),
            (Service::Folder(folder), Some(rules)) => layers.around(ruled(folder, rules)),
            (Service::Uploads(uploads, _), Some(rules)) => layers.around(ruled(uploads, rules)),
            (Service::Inspect(inspect), Some(rules)) => layers.around(ruled(inspect, rules)),
            (Service::Echo(echo), Some(rules)) => layers.around(ruled(echo, rules)),
        }
    }
}

fn ruled<H: Handler>(handler: H, rules: Rules) -> Layered<H> {
    Layered::new(handler).layer(rules)
}
