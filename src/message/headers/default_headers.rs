//! Headers of all responses, including the server's own.

use std::fmt;

use http::HeaderMap;

use crate::message::{ClientInfo, Response};

/// The headers that a server adds.
#[derive(Default)]
pub(crate) struct DefaultHeaders(Option<Box<Add>>);

type Add = dyn Fn(&mut HeaderMap, &ClientInfo) + Send + Sync;

impl DefaultHeaders {
    pub(crate) fn new(add: impl Fn(&mut HeaderMap, &ClientInfo) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(add)))
    }

    /// Adds the headers to a response for this client.
    #[inline]
    pub(crate) fn apply(&self, response: &mut Response, client: &ClientInfo) {
        if let Some(add) = &self.0 {
            Self::add(add, response, client);
        }
    }

    #[cold]
    fn add(add: &Add, response: &mut Response, client: &ClientInfo) {
        add(response.headers_mut(), client);
    }
}

impl fmt::Debug for DefaultHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Some(_) => "default headers",
            None => "no default headers",
        })
    }
}
