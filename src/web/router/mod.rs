//! Routes requests to functions and extracts their arguments.
//!
//! ```
//! use httpool::Router;
//! use httpool::extract::{Path, State};
//! use httpool::testing::Client;
//!
//! fn greet(State(greeting): State<&'static str>, Path(name): Path<String>) -> String {
//!     format!("{greeting}, {name}")
//! }
//!
//! let router: Router = Router::new().get("/greet/{name}", greet).with_state("hello");
//! let client = Client::new(router);
//! assert_eq!(client.get("/greet/ada").send().text(), "hello, ada");
//! ```
//!
//! [`Router`] describes the syntax of paths. [`FromRequest`](crate::extract::FromRequest) describes
//! arguments, and [`IntoResponse`](crate::IntoResponse) describes return values.

pub(crate) mod table;

mod endpoint;
mod function;
mod path;
mod pattern;
mod route;
mod route_info;

pub use self::function::{Function, Takes};
pub use self::route_info::RouteInfo;
pub use self::table::Router;
