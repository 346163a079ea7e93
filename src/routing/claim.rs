//! What arguments leave of a request to one another.

/// What an argument does with the request that it is taken from.
///
/// ```
/// use std::mem;
///
/// use httpool::http::request::Parts;
/// use httpool::routing::{Call, Claim, Extract, Rejection, Router};
///
/// struct Head(Parts);
///
/// impl<S> Extract<S> for Head {
///     const CLAIM: Claim = Claim::Takes;
///
///     fn extract(call: &mut Call<'_, S>) -> Result<Self, Rejection> {
///         let (head, _) = mem::take(call.request_mut()).into_parts();
///         Ok(Self(head))
///     }
/// }
///
/// let router: Router = Router::new().get("/", |Head(head): Head| format!("{:?}", head.version));
/// ```
///
/// What is behind one that takes something would find nothing, so such a function does not compile:
///
/// ```compile_fail,E0080
/// use httpool::Request;
/// use httpool::http::HeaderMap;
/// use httpool::routing::Router;
///
/// let router: Router = Router::new().get("/", |_: Request, _: HeaderMap| "hello");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It looks, and leaves the request as it is.
    Looks,
    /// It takes the body or more away, and must be the last argument.
    Takes,
}

impl Claim {
    /// Whether none but the last of some arguments takes anything away.
    pub(super) const fn is_last(claims: &[Self]) -> bool {
        let mut others = claims;
        while let [claim, rest @ ..] = others
            && !rest.is_empty()
        {
            if matches!(claim, Self::Takes) {
                return false;
            }
            others = rest;
        }
        true
    }
}
