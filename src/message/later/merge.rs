//! Headers and status that were set on a placeholder.

use http::header::{SET_COOKIE, VARY};
use http::{Extensions, HeaderMap, StatusCode};

use crate::message::Response;
use crate::message::headers::vary::merge_vary;

/// Headers and status that layers and tuples have set on the placeholder of a response.
pub(super) struct Overlay {
    status: Option<StatusCode>,
    headers: HeaderMap,
    extensions: Extensions,
}

impl Overlay {
    /// Takes what was set, if anything was.
    pub(super) fn take(placeholder: &mut Response) -> Option<Box<Self>> {
        let status = placeholder.status();
        let status = (status != StatusCode::OK).then_some(status);
        if status.is_none()
            && placeholder.headers().is_empty()
            && placeholder.extensions().is_empty()
        {
            return None;
        }
        *placeholder.status_mut() = StatusCode::OK;
        Some(Box::new(Self {
            status,
            headers: std::mem::take(placeholder.headers_mut()),
            extensions: std::mem::take(placeholder.extensions_mut()),
        }))
    }

    /// Adds it to the response. Headers that the response has stay, but for those of which it may have
    /// several.
    pub(super) fn apply(self, mut response: Response) -> Response {
        let Self {
            status,
            headers: mut added,
            mut extensions,
        } = self;
        if let Some(status) = status {
            *response.status_mut() = status;
        }
        let headers = response.headers_mut();
        merge_vary(headers, &added);
        added.remove(VARY);
        for name in added.keys() {
            if *name == SET_COOKIE || !headers.contains_key(name) {
                for value in added.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        extensions.extend(std::mem::take(response.extensions_mut()));
        *response.extensions_mut() = extensions;
        response
    }
}
