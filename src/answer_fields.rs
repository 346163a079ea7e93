//! Fields of all answers, whoever makes them.

use std::fmt;

use http::HeaderMap;

use crate::{Origin, Response};

/// What a server adds to them.
#[derive(Default)]
pub(crate) struct AnswerFields(Option<Box<Add>>);

type Add = dyn Fn(&mut HeaderMap, &Origin) + Send + Sync;

impl AnswerFields {
    pub(crate) fn new(add: impl Fn(&mut HeaderMap, &Origin) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(add)))
    }

    /// Adds them to an answer to whoever this is.
    #[inline]
    pub(crate) fn apply(&self, response: &mut Response, origin: &Origin) {
        if let Some(add) = &self.0 {
            Self::add(add, response, origin);
        }
    }

    #[cold]
    fn add(add: &Add, response: &mut Response, origin: &Origin) {
        add(response.headers_mut(), origin);
    }
}

impl fmt::Debug for AnswerFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Some(_) => "fields of all answers",
            None => "no fields of all answers",
        })
    }
}
