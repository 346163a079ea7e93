//! From a request to the file that answers it.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode, Uri};
use log::{debug, error};

use super::coding::FileCoding;
use super::conditions;
use super::conditions::Precondition;
use super::listing;
use super::listing::{Asked, Listing};
use super::media_type::Described;
use super::path::{Kind, Name, Unnamed};
use super::respond::{Caching, Representation};
use super::{ASK_EACH_TIME, Copies, Listings, join};
use crate::fs::folder::{Folder, Found, Missed};
use crate::fs::root::{Current, Named};
use crate::message::headers::media_type::accepted;
use crate::message::problem::try_again;
use crate::message::response::method_not_allowed;
use crate::message::{BodyMode, Handler, IntoResponse, Problem, Request, Response};
use crate::web::ServeDir;

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// What caches may do with what never changes under its name: keep it for a year.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");
const BY_BOTH: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

/// The file that stands for its folder.
const INDEX: &[u8] = b"index.html";

impl ServeDir {
    fn answer(&self, request: &Request, under: usize) -> Response {
        match *request.method() {
            Method::GET | Method::HEAD => self.serve(request, under),
            _ => method_not_allowed(request, ALLOWED),
        }
    }

    /// A router says how many bytes of the path have led here; what [`under`](Self::under) says
    /// goes before that.
    fn serve(&self, request: &Request, under: usize) -> Response {
        let path = request.uri().path();
        let rest = match &*self.under {
            "" => path.get(under..),
            said => path.strip_prefix(said),
        };
        let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return refuse(Missed::Missing, request);
        };
        let current = self.root.current();
        let name = match Name::read(rest, self.dotfiles) {
            Ok(name) => name,
            Err(Unnamed::Missing) => return self.stand_in(&current, request),
            Err(Unnamed::Malformed) => {
                let problem =
                    Problem::new(StatusCode::BAD_REQUEST).detail("no file has such a name");
                return problem.answer(request.headers());
            }
        };
        let path = match name.kind {
            Kind::File => Cow::Borrowed(&*name.path),
            Kind::Folder => Cow::Owned(join(&name.path, INDEX)),
        };
        match (current.folder.find(&path), name.kind) {
            (Ok(Found::File(file, metadata)), _) => {
                let never_changes = self.immutable.iter().any(|prefix| path.starts_with(prefix));
                let caching = Caching {
                    control: if never_changes {
                        &KEEP
                    } else {
                        &self.cache_control
                    },
                    vary: self.vary(),
                };
                self.choose(&current.folder, &path, file, &metadata, request)
                    .answer(request, caching)
            }
            (Ok(Found::Folder), Kind::File) => redirect(request.uri()),
            (Ok(Found::Folder) | Err(Missed::Missing), _) => self
                .list(&current.folder, &name, request)
                .unwrap_or_else(|| self.stand_in(&current, request)),
            (Err(missed), _) => refuse(missed, request),
        }
    }

    /// Answers with what is in a folder that has no index, if that may be told.
    fn list(&self, root: &Folder, name: &Name<'_>, request: &Request) -> Option<Response> {
        if self.listing == Listings::None || name.kind == Kind::File {
            return None;
        }
        let folder = match root.read_folder(&name.path) {
            Ok(folder) => folder,
            Err(Missed::Missing) => return None,
            Err(missed) => return Some(refuse(missed, request)),
        };
        let fields = request.headers();
        Some(match conditions::evaluate(fields, None) {
            Precondition::NotModified => listing::not_modified(),
            Precondition::Failed => Problem::new(StatusCode::PRECONDITION_FAILED).answer(fields),
            Precondition::Send => {
                let asked = Asked::read(request.uri().query().unwrap_or_default());
                match Listing::read(root, folder, &name.path, self.dotfiles, &asked) {
                    Ok(listing) => listing.answer(request, &asked),
                    Err(missed) => refuse(missed, request),
                }
            }
        })
    }

    /// Answers where there is no file.
    fn stand_in(&self, current: &Current, request: &Request) -> Response {
        let missing = || match current.path {
            Named::Folder | Named::Unknown => refuse(Missed::Missing, request),
            // What is not found now is there again when the folder is.
            Named::Nothing => {
                let gone = io::Error::other("the folder is not there");
                refuse(Missed::Busy(gone), request)
            }
        };
        let path = request.uri().path();
        let seems_file = path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains('.'));
        let Some(fallback) = &self.fallback else {
            return missing();
        };
        if seems_file && !asks_for_page(request.headers()) {
            return missing();
        }
        match self.open_named(&current.folder, fallback) {
            Ok(Found::File(file, metadata)) => {
                let caching = Caching {
                    control: &self.cache_control,
                    vary: if seems_file {
                        Some(BY_BOTH)
                    } else {
                        self.vary()
                    },
                };
                self.choose(&current.folder, fallback, file, &metadata, request)
                    .answer(request, caching)
            }
            Ok(Found::Folder) | Err(Missed::Missing) => missing(),
            Err(missed) => refuse(missed, request),
        }
    }

    /// The file itself, or the copy of it that the client likes best.
    fn choose(
        &self,
        root: &Folder,
        path: &[u8],
        file: File,
        metadata: &Metadata,
        request: &Request,
    ) -> Representation {
        let tags = &self.entity_tags;
        let Described { media_type, coding } = self.media_types.of(path);
        if coding.is_none() && self.copies == Copies::Served {
            for coding in FileCoding::wanted(request.headers()) {
                let copy = [path, coding.extension().as_bytes()].concat();
                if let Ok(Found::File(file, metadata)) = root.find(&copy) {
                    return Representation::new(file, &metadata, media_type, Some(coding), tags);
                }
            }
        }
        Representation::new(file, metadata, media_type, coding, tags)
    }

    /// What files are chosen by besides their names.
    fn vary(&self) -> Option<HeaderValue> {
        (self.copies == Copies::Served).then_some(BY_ENCODING)
    }
}

impl Handler for ServeDir {
    fn handle(&self, request: &mut Request) -> Response {
        self.answer(request, 0)
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::HeadOnly
    }
}

/// A router of nothing else, which can be nested.
#[cfg(feature = "router")]
impl<S: Send + Sync + 'static> From<ServeDir> for crate::web::Router<S> {
    fn from(files: ServeDir) -> Self {
        Self::new().fallback(files)
    }
}

#[cfg(feature = "router")]
#[diagnostic::do_not_recommend]
impl crate::web::router::Takes<Self> for ServeDir {}

/// As a function of a router, which has no arguments but the whole request.
#[cfg(feature = "router")]
#[diagnostic::do_not_recommend]
impl<S> crate::web::router::Function<S, Self> for ServeDir {
    const BODY_MODE: BodyMode = BodyMode::HeadOnly;

    fn call(&self, call: &mut crate::web::extract::RequestContext<'_, S>) -> Response {
        self.answer(call.request(), call.under())
    }
}

/// Whether a page would be of use to the client, who says so.
fn asks_for_page(fields: &HeaderMap) -> bool {
    accepted(fields).any(|(range, weight)| range.is("text/html") && weight > 0)
}

/// To the same path with a slash behind it. It is said from where the client is: so it is right
/// behind a proxy that changes paths, and can't be read as another host whatever the path is.
fn redirect(uri: &Uri) -> Response {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let target = match uri.query() {
        Some(query) => format!("./{name}/?{query}"),
        None => format!("./{name}/"),
    };
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    let fields = response.headers_mut();
    // What a request's target may have in it, a field may have.
    if let Ok(target) = HeaderValue::try_from(target) {
        fields.insert(LOCATION, target);
    }
    fields.insert(CACHE_CONTROL, ASK_EACH_TIME);
    response
}

fn refuse(missed: Missed, request: &Request) -> Response {
    let path = request.uri().path();
    let answer = |status| Problem::new(status).answer(request.headers());
    match missed {
        Missed::Missing => answer(StatusCode::NOT_FOUND),
        Missed::Forbidden => answer(StatusCode::FORBIDDEN),
        Missed::Busy(error) => {
            debug!("{path:?} can't be opened now: {error}");
            try_again(answer(StatusCode::SERVICE_UNAVAILABLE))
        }
        Missed::Failed(error) => {
            error!("{path:?} can't be opened: {error}");
            answer(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}
