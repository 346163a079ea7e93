//! The site: what the program serves to its clients, with the layers that flags put around it.
//!
//! [`Site::open`] opens everything that the flags name and does not need a server: the folder and the
//! files of layers. So it can be called for several folders, for `--check`, and again while the server
//! runs: it neither listens nor keeps anything outside of its result.

mod layers;

use std::sync::Arc;

use httpool::services::Echo;
use httpool::services::inspect::Inspect;
use httpool::{Handler, ServeDir};

use self::layers::Layers;
use super::cli::Args;
use super::files;
use super::signals::Reloadable;

/// What is served, and the layers around it.
pub(crate) struct Site {
    service: Service,
    layers: Layers,
}

enum Service {
    Folder(Arc<ServeDir>),
    Inspect(Box<Inspect>),
    Echo(Echo),
}

impl Site {
    /// Opens the folder of `--root` or the echo, and what the flags of layers name. The error is one
    /// line.
    pub(crate) fn open(args: &Args) -> Result<Self, String> {
        let service = match files::open(args)? {
            Some(folder) => Service::Folder(Arc::new(folder)),
            None => Service::Echo(Echo::new(args.echo_json.into())),
        };
        let layers = Layers::open(args)?;
        Ok(Self { service, layers })
    }

    /// Serves the inspector, if there is one. It is opened later than the rest, because it needs the
    /// addresses of the server.
    pub(crate) fn inspect(self, inspect: Option<Inspect>) -> Self {
        match inspect {
            Some(inspect) => Self {
                service: Service::Inspect(Box::new(inspect)),
                ..self
            },
            None => self,
        }
    }

    /// What is opened again when a signal asks for that.
    pub(crate) fn reloadables(&self) -> impl Iterator<Item = Reloadable> {
        let folder = match &self.service {
            Service::Folder(folder) => Some(Arc::clone(folder)),
            Service::Inspect(_) | Service::Echo(_) => None,
        };
        folder.map(Reloadable::Folder).into_iter()
    }

    /// The handler of a server. Without layers it is the service itself.
    pub(crate) fn into_handler(self) -> Arc<dyn Handler> {
        match self.service {
            Service::Folder(folder) if self.layers.is_empty() => folder,
            Service::Folder(folder) => self.layers.around(folder),
            Service::Inspect(inspect) => self.layers.around(*inspect),
            Service::Echo(echo) => self.layers.around(echo),
        }
    }
}
