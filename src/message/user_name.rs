//! The name of an authenticated user, on the way from a layer to observers.

use std::sync::Arc;

use super::Response;

/// The user whose request this response belongs to. An extension of the response, because a handler
/// may own and drop the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserName(Arc<str>);

impl UserName {
    #[cfg(any(feature = "basic-auth", test))]
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }

    #[cfg(feature = "basic-auth")]
    pub(crate) fn attach(self, response: &mut Response) {
        response.extensions_mut().insert(self);
    }

    pub(crate) fn of(response: &Response) -> Option<&Self> {
        response.extensions().get()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
