//! Uses routes, typed arguments, shared state and a custom error type.
//!
//! Run it with `cargo run --example routes [ADDR]`, then:
//!
//! ```sh
//! curl -H 'content-type: application/json' -d '{"title": "Afloat"}' localhost:4000/books
//! curl localhost:4000/books/1
//! curl 'localhost:4000/books?from=1'
//! ```

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use httpool::extract::{Path, Query, State};
use httpool::http::StatusCode;
use httpool::{IntoResponse, Problem, Response, Server};
use httpool::{Json, Router};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Book {
    title: String,
}

/// The state that all handlers share.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<BTreeMap<u64, Book>>>);

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    from: u64,
}

/// An error of this application, which converts into a response.
#[derive(Debug)]
enum BookError {
    NoBook(u64),
    NoTitle,
}

impl IntoResponse for BookError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::NoBook(id) => {
                Problem::new(StatusCode::NOT_FOUND).detail(format!("book {id} not found"))
            }
            Self::NoTitle => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail("the title is missing")
            }
        };
        problem.into_response()
    }
}

impl Shelf {
    /// Ignores poisoning: a panic can't leave the map in an invalid state.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Book>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(State(shelf): State<Shelf>, Query(page): Query<Page>) -> Json<BTreeMap<u64, Book>> {
    let books = shelf.lock();
    let wanted = books.range(page.from..);
    Json(wanted.map(|(id, book)| (*id, book.clone())).collect())
}

fn show(State(shelf): State<Shelf>, Path(id): Path<u64>) -> Result<Json<Book>, BookError> {
    let book = shelf.lock().get(&id).cloned();
    book.map(Json).ok_or(BookError::NoBook(id))
}

fn add(
    State(shelf): State<Shelf>,
    Json(book): Json<Book>,
) -> Result<(StatusCode, String), BookError> {
    if book.title.is_empty() {
        return Err(BookError::NoTitle);
    }
    let mut books = shelf.lock();
    let id = books.keys().next_back().map_or(1, |last| last + 1);
    books.insert(id, book);
    Ok((StatusCode::CREATED, format!("/books/{id}\n")))
}

fn main() -> Result<(), Box<dyn Error>> {
    let books = Router::new()
        .get("/", list)
        .post("/", add)
        .get("/{id}", show)
        .with_state(Shelf::default());
    let router: Router = Router::new()
        .get("/", || "books are in /books\n")
        .nest("/books", books);

    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(router)?;
    Ok(())
}
