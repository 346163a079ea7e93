//! A file by `PUT`.

use std::mem;
use std::time::SystemTime;

use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION};
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};

use super::super::conditions;
use super::super::conditions::Precondition;
use super::super::validators::Validators;
use super::target::Target;
use super::{STORED, UploadError, Uploads};
use crate::fs::folder::{Folder, OpenError, Opened};
use crate::fs::new_file::Published;
use crate::message::{IntoResponse as _, Request, Response};

impl Uploads {
    /// Stores the file at this path, relative to the folder.
    pub(super) fn put(
        &self,
        root: &Folder,
        path: &[u8],
        request: &mut Request,
    ) -> Result<Response, UploadError> {
        let headers = request.headers();
        if headers.contains_key(CONTENT_RANGE) {
            return Err(UploadError::ContentRange);
        }
        if headers.contains_key(CONTENT_ENCODING) {
            return Err(UploadError::ContentEncoding);
        }
        let _permit = self.running.permit().ok_or(UploadError::TooMany)?;
        let (parent, name) = match memchr::memrchr(b'/', path) {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        let folder = root.open_folder(parent).map_err(|error| match error {
            OpenError::NotFound => UploadError::NoFolder,
            error => error.into(),
        })?;
        let conditions = Conditions::of(headers);
        let check = || match self.holds(&conditions, root, path) {
            true => Ok(()),
            false => Err(UploadError::Precondition),
        };
        check()?;
        let target = Target {
            folder,
            name,
            existing: self.existing,
            most: self.max_file,
        };
        target.check(request.body().length())?;
        let mut content = mem::take(request.body_mut());
        let stored = target.store(&mut content, check)?;
        Ok(match stored.published {
            Published::Replaced => StatusCode::NO_CONTENT.into_response(),
            Published::Created => created(request.uri().path()),
        })
    }

    /// Whether the conditions hold for the file that is there now (RFC 9110 section 13.2.2).
    fn holds(&self, conditions: &Conditions, root: &Folder, path: &[u8]) -> bool {
        let Conditions(Some(headers)) = conditions else {
            return true;
        };
        match root.open_path(path) {
            Ok(Opened::File(file)) => {
                let files = &self.files;
                let coding = files.media_types.content_type_of(path).coding;
                let tags = &files.entity_tags;
                let validators = Validators::new(&file, coding, tags, SystemTime::now());
                conditions::evaluate(headers, Some(&validators)) == Precondition::Send
            }
            // Something that is no file is refused later.
            Ok(Opened::Folder) => true,
            Err(_) => !headers.contains_key(IF_MATCH),
        }
    }
}

/// The conditional headers that count for `PUT`, if there are any.
struct Conditions(Option<HeaderMap>);

impl Conditions {
    fn of(request: &HeaderMap) -> Self {
        let mut found = HeaderMap::new();
        for name in [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE] {
            for value in request.get_all(&name) {
                found.append(&name, value.clone());
            }
        }
        Self((!found.is_empty()).then_some(found))
    }
}

fn created(path: &str) -> Response {
    let mut response = STORED.into_response();
    // A valid request target is a valid header value.
    if let Ok(path) = HeaderValue::try_from(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
