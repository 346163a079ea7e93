//! Chooses the file for a request.

use std::io;

use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode, Uri};
use log::{debug, error};

#[cfg(feature = "archive")]
use super::archive;
use super::conditions;
use super::conditions::Precondition;
use super::listing;
use super::listing::Listed;
use super::media_type::ContentType;
#[cfg(feature = "archive")]
use super::path::Kind;
use super::path::{Name, PathError};
use super::resolve::Target;
use super::respond::{Form, Representation};
#[cfg(feature = "upload")]
use super::upload;
use super::{Copies, Listings, REVALIDATE};
use crate::fs::folder::{Folder, OpenError, OpenFile, Opened};
use crate::fs::root::{CurrentFolder, PathState};
use crate::message::headers::media_type::accepted;
use crate::message::problem::try_again;
use crate::message::response::method_not_allowed;
use crate::message::{BodyMode, Handler, IntoResponse, Problem, Request, Response};
use crate::web::ServeDir;
use crate::web::content_coding::ContentCoding;

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// The `Cache-Control` of immutable files: keep them for a year.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const VARY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");
const VARY_BOTH: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

/// `Cache-Control`, and the request headers by which a file is selected.
type Caching<'a> = (&'a HeaderValue, Option<HeaderValue>);

impl ServeDir {
    pub(super) fn respond(&self, request: &Request, prefix_length: usize) -> Response {
        match *request.method() {
            Method::GET | Method::HEAD => self.serve(request, prefix_length),
            _ => method_not_allowed(request, ALLOWED),
        }
    }

    /// `under` is the length of the path at which a router has the folder. A path set with
    /// [`under`](Self::under) replaces it.
    fn serve(&self, request: &Request, prefix_length: usize) -> Response {
        let Some(rest) = self.path_within(request.uri().path(), prefix_length) else {
            return error_response(OpenError::NotFound, request);
        };
        let current = self.root.current();
        let name = match Name::parse(rest, self.dotfiles) {
            Ok(name) => name,
            Err(PathError::Missing) => return self.respond_missing(&current, request),
            Err(PathError::Malformed) => {
                let problem =
                    Problem::new(StatusCode::BAD_REQUEST).detail("no file can have this name");
                return problem.to_response(request.headers());
            }
        };
        let root = &current.folder;
        #[cfg(feature = "archive")]
        if name.kind == Kind::Folder
            && let Some(response) = self.archive(root, &name, request)
        {
            return response;
        }
        match self.target(root, &name) {
            Target::File(path, file) => {
                let is_immutable = self.immutable.iter().any(|prefix| path.starts_with(prefix));
                let control = match is_immutable {
                    true => &IMMUTABLE,
                    false => &self.cache_control,
                };
                self.select(root, &path, &file, (control, self.vary()), request)
                    .respond(request)
            }
            Target::FolderWithoutSlash => redirect_to_folder(request.uri()),
            Target::Moved(path) => redirect(StatusCode::PERMANENT_REDIRECT, &path, request.uri()),
            Target::NoIndex => self
                .list(root, &name, request)
                .or_else(|| {
                    let page = self.page_beside(root, &name.path)?;
                    let status = StatusCode::PERMANENT_REDIRECT;
                    Some(redirect(status, &page, request.uri()))
                })
                .unwrap_or_else(|| self.respond_missing(&current, request)),
            Target::Missed(OpenError::NotFound) => self.respond_missing(&current, request),
            Target::Missed(missed) => error_response(missed, request),
        }
    }

    /// The part of a request's path behind the path at which the folder is served.
    pub(super) fn path_within<'p>(&self, path: &'p str, prefix_length: usize) -> Option<&'p str> {
        let rest = match &*self.under {
            "" => path.get(prefix_length..),
            prefix => path.strip_prefix(prefix),
        };
        rest.filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Sends a folder as an archive, if archives are enabled and the request asks for one. A missing
    /// folder gets the same response as without.
    #[cfg(feature = "archive")]
    fn archive(&self, root: &Folder, name: &Name<'_>, request: &Request) -> Option<Response> {
        let archives = self.archives.as_ref()?;
        let format = archive::requested(request)?;
        match archives.respond(root, &name.path, self.dotfiles, format, request) {
            Err(OpenError::NotFound) => None,
            Err(missed) => Some(error_response(missed, request)),
            Ok(response) => Some(response),
        }
    }

    /// Lists a folder without an index, if listings are enabled.
    fn list(&self, root: &Folder, name: &Name<'_>, request: &Request) -> Option<Response> {
        if self.listing == Listings::Disabled {
            return None;
        }
        let folder = match root.read_dir(&name.path) {
            Ok(folder) => folder,
            Err(OpenError::NotFound) => return None,
            Err(missed) => return Some(error_response(missed, request)),
        };
        let headers = request.headers();
        Some(match conditions::evaluate(headers, None) {
            Precondition::NotModified => listing::not_modified(),
            Precondition::Failed => {
                Problem::new(StatusCode::PRECONDITION_FAILED).to_response(headers)
            }
            Precondition::Send => {
                let listed = Listed {
                    files: self,
                    root,
                    path: &name.path,
                    #[cfg(feature = "upload")]
                    upload_form: upload::form(request),
                };
                let response = listing::respond(listed, folder, request);
                response.unwrap_or_else(|missed| error_response(missed, request))
            }
        })
    }

    /// Responds in place of a missing file.
    fn respond_missing(&self, current: &CurrentFolder, request: &Request) -> Response {
        let missing = || match current.path_state {
            PathState::Same | PathState::Unknown => error_response(OpenError::NotFound, request),
            // The file may exist again when the folder does.
            PathState::Missing => {
                let error = io::Error::other("the folder does not exist");
                error_response(OpenError::Busy(error), request)
            }
        };
        let path = request.uri().path();
        let looks_like_file = path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains('.'));
        let Some(fallback) = &self.fallback else {
            return missing();
        };
        if looks_like_file && !accepts_html(request.headers()) {
            return missing();
        }
        match self.open_named(&current.folder, fallback) {
            Ok(Opened::File(file)) => {
                let vary = match looks_like_file {
                    true => Some(VARY_BOTH),
                    false => self.vary(),
                };
                let caching = (&self.cache_control, vary);
                self.select(&current.folder, fallback, &file, caching, request)
                    .respond(request)
            }
            Ok(Opened::Folder) | Err(OpenError::NotFound) => missing(),
            Err(missed) => error_response(missed, request),
        }
    }

    /// Selects the file itself, or its compressed copy that the client prefers.
    fn select(
        &self,
        root: &Folder,
        path: &[u8],
        file: &OpenFile,
        (control, vary): Caching<'_>,
        request: &Request,
    ) -> Representation {
        let ContentType { media_type, coding } = self.media_types.content_type_of(path);
        let mut form = Form {
            media_type,
            coding,
            cache_control: control.clone(),
            vary,
        };
        if coding.is_none() && self.copies == Copies::Served {
            for coding in ContentCoding::of_files(request.headers()) {
                let copy = [path, coding.extension().as_bytes()].concat();
                if let Ok(Opened::File(file)) = root.open_path(&copy) {
                    form.coding = Some(coding);
                    return Representation::new(&file, form, &self.entity_tags);
                }
            }
        }
        Representation::new(file, form, &self.entity_tags)
    }

    /// The request headers by which files are selected.
    fn vary(&self) -> Option<HeaderValue> {
        (self.copies == Copies::Served).then_some(VARY_ENCODING)
    }
}

impl Handler for ServeDir {
    fn handle(&self, request: &mut Request) -> Response {
        self.respond(request, 0)
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::HeadOnly
    }

    fn may_upgrade(&self) -> bool {
        false
    }
}

/// A router with this folder as its fallback, which can be nested.
#[cfg(feature = "router")]
impl<S: Send + Sync + 'static> From<ServeDir> for crate::web::Router<S> {
    fn from(files: ServeDir) -> Self {
        Self::new().fallback(files)
    }
}

#[cfg(feature = "router")]
#[diagnostic::do_not_recommend]
impl crate::web::router::Takes<Self> for ServeDir {}

/// Lets a router call the folder like a function whose only argument is the request.
#[cfg(feature = "router")]
#[diagnostic::do_not_recommend]
impl<S> crate::web::router::Function<S, Self> for ServeDir {
    const BODY_MODE: BodyMode = BodyMode::HeadOnly;

    fn call(&self, call: &mut crate::web::extract::RequestContext<'_, S>) -> Response {
        self.respond(call.request(), call.prefix_length())
    }
}

/// Whether the client accepts HTML explicitly.
fn accepts_html(headers: &HeaderMap) -> bool {
    accepted(headers).any(|(range, weight)| range.is("text/html") && weight > 0)
}

/// Redirects to the path with a final slash.
fn redirect_to_folder(uri: &Uri) -> Response {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    redirect(StatusCode::MOVED_PERMANENTLY, &format!("./{name}/"), uri)
}

/// Redirects to a path, and keeps the query. The path is relative, so it is correct behind a proxy
/// that changes paths. It begins with a dot, so it can't be taken for another host.
fn redirect(status: StatusCode, path: &str, uri: &Uri) -> Response {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut response = status.into_response();
    let headers = response.headers_mut();
    // A valid request target is a valid header value.
    if let Ok(target) = HeaderValue::try_from(target) {
        headers.insert(LOCATION, target);
    }
    headers.insert(CACHE_CONTROL, REVALIDATE);
    response
}

fn error_response(error: OpenError, request: &Request) -> Response {
    let path = request.uri().path();
    let response = |status| Problem::new(status).to_response(request.headers());
    match error {
        OpenError::NotFound => response(StatusCode::NOT_FOUND),
        OpenError::Forbidden => response(StatusCode::FORBIDDEN),
        OpenError::Busy(error) => {
            debug!("can't open {path:?} now: {error}");
            try_again(response(StatusCode::SERVICE_UNAVAILABLE))
        }
        OpenError::Failed(error) => {
            error!("can't open {path:?}: {error}");
            response(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}
