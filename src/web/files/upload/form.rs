//! The files of a form by `POST`.

use std::mem;

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, LOCATION};

use super::page;
use super::target::{Stored, Target};
use super::{MAX_FILES, STORED, UploadError, Uploads};
use crate::form_data::{Limits, PartHead};
use crate::fs::folder::Folder;
use crate::message::headers::media_type;
use crate::message::problem::html_page::POLICY;
use crate::message::{IntoResponse as _, Request, Response};
use crate::web::Json;
use crate::web::multipart::{FormReader, Part};

/// The bytes of the headers of a part.
const PART_HEAD: usize = 8 * 1024;

/// A file of a form, with what became of it.
#[derive(Debug)]
pub(super) struct FormFile {
    /// The name under which it was stored, or else the client's name.
    pub(super) name: String,
    pub(super) result: Result<Stored, UploadError>,
}

/// The format of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Json,
}

impl Uploads {
    /// Stores the files of a form in the folder at this path, relative to the root.
    pub(super) fn post(
        &self,
        root: &Folder,
        path: &[u8],
        request: &mut Request,
    ) -> Result<Response, UploadError> {
        let _permit = self.running.permit().ok_or(UploadError::TooMany)?;
        root.open_folder(path)?;
        let limits = Limits {
            total: self.most_of_form(),
            parts: MAX_FILES,
            // A file that is too large is a mistake of this file only.
            part: u64::MAX,
            part_head: PART_HEAD,
        };
        let content = mem::take(request.body_mut());
        let mut form = FormReader::new(request.headers(), content, limits)?;
        let mut files = Vec::new();
        while let Some(mut part) = form.next_part()? {
            let Some(file_name) = part.file_name().filter(|name| !name.is_empty()) else {
                continue;
            };
            let file_name = file_name.to_owned();
            let file = match self.store(root, path, &mut part) {
                Ok((name, stored)) => FormFile {
                    name,
                    result: Ok(stored),
                },
                // Neither is a mistake of one file.
                Err(error @ (UploadError::Client | UploadError::Form(_))) => return Err(error),
                Err(error) => FormFile {
                    name: file_name,
                    result: Err(error),
                },
            };
            let is_last = file.result.as_ref().is_err_and(UploadError::is_lasting);
            files.push(file);
            if is_last {
                break;
            }
        }
        if files.is_empty() {
            return Err(UploadError::NoFiles);
        }
        Ok(respond(&files, request))
    }

    /// Stores one file, and returns its name.
    fn store(
        &self,
        root: &Folder,
        path: &[u8],
        part: &mut Part<'_>,
    ) -> Result<(String, Stored), UploadError> {
        let name = name_of(part)?;
        let target = Target {
            folder: root.open_folder(path)?,
            name: name.as_bytes(),
            existing: self.existing,
            most: self.max_file,
        };
        target.check(None)?;
        let stored = target.store(part, || Ok(()))?;
        Ok((name, stored))
    }
}

/// The name of a file: the client's, without folders.
fn name_of(part: &PartHead) -> Result<String, UploadError> {
    let sent = part.file_name().unwrap_or_default();
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    // A name without its dot is another name.
    if last.starts_with('.') {
        return Err(UploadError::Hidden);
    }
    part.safe_file_name().ok_or(UploadError::Name)
}

/// The results, in the format that the client prefers.
fn respond(files: &[FormFile], request: &Request) -> Response {
    const FORMATS: [(Format, &[&str]); 2] = [
        (Format::Json, &["application/json"]),
        (Format::Html, &["text/html"]),
    ];
    let path = request.uri().path();
    let failure = files.iter().find_map(|file| file.result.as_ref().err());
    for error in files.iter().filter_map(|file| file.result.as_ref().err()) {
        error.log(path);
    }
    let format = media_type::preferred(request.headers(), &FORMATS);
    let mut response = match format.unwrap_or(Format::Json) {
        Format::Html if failure.is_none() => return see_folder(path),
        Format::Html => page::results(files, path).into_response(),
        Format::Json => Json(page::json_results(files)).into_response(),
    };
    *response.status_mut() = failure.map_or(STORED, UploadError::status);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// Sends a browser back to the folder (RFC 9110 section 15.4.4).
fn see_folder(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // A valid request target is a valid header value.
    if let Ok(path) = HeaderValue::try_from(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
