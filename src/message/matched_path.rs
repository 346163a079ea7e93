//! The path of the route that handles a request.

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::sync::Arc;

/// The path of the route that handles a request, with the names of its parameters:
/// `/users/{id}` for a request to `/users/7`.
///
/// It is an argument of functions. Metrics and logs use it to group requests, because the number of
/// routes is bounded, and the number of paths that clients request is not. Records have it
/// ([`RequestRecord::matched_path`](crate::RequestRecord::matched_path)), and so have
/// [`RequestMetrics`](crate::services::RequestMetrics) and
/// [`AccessLog`](crate::services::AccessLog).
///
/// A route of a nested router has its whole path. For the fallback of a router that is nested at
/// `/static`, the path is `/static/{*rest}`. The outermost fallback has none. Characters that a
/// request can contain only percent-encoded are encoded: `/caf%C3%A9`.
///
#[cfg_attr(
    feature = "router",
    doc = r#"
```
use httpool::testing::Client;
use httpool::{MatchedPath, Router};

let books = Router::new().get("/{id}", |path: MatchedPath| path.to_string());
let router: Router = Router::new().nest("/books", books);
assert_eq!(Client::new(router).get("/books/7").send().text(), "/books/{id}");
```
"#
)]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchedPath(Arc<str>);

impl MatchedPath {
    #[cfg(any(feature = "router", test))]
    pub(crate) fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// Returns the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Calls a function, usually the rest of the layers, and returns its result with the path of
    /// the route that a router on this thread found meanwhile. A layer around a router needs this,
    /// because no route is known when it receives the request.
    ///
    #[cfg_attr(
        feature = "router",
        doc = r#"
```
use std::time::Instant;

use httpool::{MatchedPath, Next, Request, Response, Router};

fn measure(request: Request, next: Next<'_>) -> Response {
    let start = Instant::now();
    let (response, path) = MatchedPath::record(|| next.run(request));
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    println!("{route} took {:?}", start.elapsed());
    response
}

let router: Router = Router::new().layer(measure).get("/users/{id}", || "hello");
```
"#
    )]
    ///
    /// If the function panics, so does this.
    pub fn record<T>(function: impl FnOnce() -> T) -> (T, Option<Self>) {
        let _scope = Scope::begin();
        let result = function();
        let path = RECORDING.with_borrow(|recording| match recording {
            Recording::On(path) => path.clone(),
            Recording::Off => None,
        });
        (result, path)
    }

    /// Notes that a request has reached this route, if the path is recorded.
    pub(crate) fn note(&self) {
        RECORDING.with_borrow_mut(|recording| {
            if let Recording::On(found) = recording {
                *found = Some(self.clone());
            }
        });
    }
}

/// Whether a caller on this thread wants to know the route.
#[derive(Debug, Default)]
enum Recording {
    #[default]
    Off,
    /// The last route that was found.
    On(Option<MatchedPath>),
}

// A router that is called by a server, in layers that own the request, can't return anything but a
// response. An extension of the response would cost an allocation for each request, and layers may
// replace the response.
thread_local! {
    static RECORDING: RefCell<Recording> = const { RefCell::new(Recording::Off) };
}

/// Ends a recording, also if the function panics. The route is passed on to the recording around it.
struct Scope {
    outer: Recording,
}

impl Scope {
    fn begin() -> Self {
        Self {
            outer: RECORDING.replace(Recording::On(None)),
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let outer = mem::take(&mut self.outer);
        if let Recording::On(Some(path)) = RECORDING.replace(outer) {
            path.note();
        }
    }
}

impl fmt::Display for MatchedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MatchedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for MatchedPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn visit(path: &str) {
        MatchedPath::new(path).note();
    }

    fn text(path: Option<MatchedPath>) -> String {
        path.map_or_else(String::new, |path| path.to_string())
    }

    #[test]
    fn last_route_of_a_call_is_recorded() {
        visit("/before");
        let (result, path) = MatchedPath::record(|| {
            visit("/{a}");
            visit("/{a}/b");
            7
        });
        assert_eq!((result, &*text(path)), (7, "/{a}/b"));
        let ((), path) = MatchedPath::record(|| {});
        assert_eq!(path, None);
    }

    #[test]
    fn inner_recordings_are_part_of_outer_ones() {
        let (inner, path) = MatchedPath::record(|| {
            visit("/outer");
            let ((), none) = MatchedPath::record(|| {});
            assert_eq!(none, None);
            let ((), inner) = MatchedPath::record(|| visit("/inner"));
            inner
        });
        assert_eq!([text(inner), text(path)], ["/inner", "/inner"]);
    }

    #[test]
    fn panic_ends_a_recording_and_keeps_its_route() {
        let (result, path) = MatchedPath::record(|| {
            catch_unwind(|| {
                MatchedPath::record(|| {
                    visit("/x");
                    panic!("the test panics");
                })
            })
        });
        assert!(result.is_err());
        assert_eq!(text(path), "/x");
        visit("/unrecorded");
        assert!(matches!(RECORDING.take(), Recording::Off));
    }
}
