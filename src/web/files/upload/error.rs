//! Why a file was not stored.

use std::borrow::Cow;
use std::io::{self, ErrorKind};

use http::StatusCode;
use rustix::io::Errno;

use crate::fs::folder::OpenError;
use crate::fs::new_file::CreateError;
use crate::message::problem::try_again;
use crate::message::{Problem, Request, Response};
use crate::web::multipart::MultipartError;

/// Why a file was not stored.
#[derive(Debug)]
pub(super) enum UploadError {
    OtherOrigin,
    /// No file can have this name, or should.
    Name,
    /// The name is not served.
    Hidden,
    ContentRange,
    ContentEncoding,
    NoFolder,
    Exists,
    /// There is something else of this name.
    NoFile,
    InProgress,
    Precondition,
    TooLarge {
        most: u64,
    },
    Full,
    TooMany,
    NoFiles,
    Form(MultipartError),
    Open(OpenError),
    Io(io::Error),
    /// The content does not arrive.
    Client,
}

impl UploadError {
    /// The error of a read of content that the client sends.
    pub(super) fn of_content(error: io::Error) -> Self {
        MultipartError::from(error).into()
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::OtherOrigin | Self::Hidden => StatusCode::FORBIDDEN,
            Self::Name | Self::ContentRange | Self::NoFiles => StatusCode::BAD_REQUEST,
            Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoFolder | Self::Exists | Self::NoFile | Self::InProgress => StatusCode::CONFLICT,
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::TooMany | Self::Open(OpenError::Busy(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Form(error) => error.status(),
            Self::Open(OpenError::Forbidden) => StatusCode::FORBIDDEN,
            Self::Open(OpenError::NotFound) => StatusCode::NOT_FOUND,
            Self::Open(OpenError::Failed(_)) | Self::Io(_) | Self::Client => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// What the client should know.
    pub(super) fn detail(&self) -> Cow<'static, str> {
        let text = match self {
            Self::OtherOrigin => "a page of another origin may not send this request",
            Self::Name => {
                "no file can have this name here: it must be text without control characters, \
                           and have at most 255 bytes"
            }
            Self::Hidden => "files of this name are not served",
            Self::ContentRange => "a part of a file can't be stored: send the whole file",
            Self::ContentEncoding => "send the file without Content-Encoding",
            Self::NoFolder => "the folder does not exist",
            Self::Exists => "a file of this name exists",
            Self::NoFile => "something of this name exists that is no file",
            Self::InProgress => "a file of this name is being uploaded",
            Self::TooLarge { most } => return format!("a file may have {most} bytes").into(),
            Self::Full => "there is no room for this file",
            Self::TooMany => "too many files are being uploaded",
            Self::NoFiles => "the form has no file",
            Self::Form(error) => return error.to_string().into(),
            Self::Open(OpenError::Forbidden) => "the folder is not writable",
            Self::Precondition | Self::Open(_) | Self::Io(_) | Self::Client => "",
        };
        text.into()
    }

    pub(super) fn respond(self, request: &Request) -> Response {
        self.log(request.uri().path());
        let problem = Problem::new(self.status());
        let problem = match self.detail() {
            detail if detail.is_empty() => problem,
            detail => problem.detail(detail),
        };
        let response = problem.to_response(request.headers());
        match self {
            Self::TooMany | Self::Open(OpenError::Busy(_)) => try_again(response),
            _ => response,
        }
    }

    /// Logs an error that only the operator can mend.
    pub(super) fn log(&self, path: &str) {
        if let Self::Open(OpenError::Failed(error)) | Self::Io(error) = self {
            log::error!("can't store an upload to {path:?}: {error}");
        }
    }

    /// Whether further files of a form would fail, too.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Full | Self::Form(_) | Self::Open(_) | Self::Io(_) | Self::Client
        )
    }
}

/// The error of a system call that writes.
impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            // The file system can't have a file of this size, or this process may not write one.
            ErrorKind::FileTooLarge => Self::Full,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::Open(OpenError::Forbidden)
            }
            _ if error.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error()) => Self::Name,
            _ => Self::Io(error),
        }
    }
}

impl From<CreateError> for UploadError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::InProgress => Self::InProgress,
            CreateError::Io(error) => error.into(),
        }
    }
}

impl From<OpenError> for UploadError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<MultipartError> for UploadError {
    fn from(error: MultipartError) -> Self {
        match error {
            // The server knows the reason, and sends it in place of a 500.
            MultipartError::Io(_) => Self::Client,
            error => Self::Form(error),
        }
    }
}
