//! Routes, typed arguments, shared state, and errors of one's own.
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

/// What all functions share.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<BTreeMap<u64, Book>>>);

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    from: u64,
}

/// What can go wrong here, and how it is answered.
#[derive(Debug)]
enum Trouble {
    NoBook(u64),
    NoTitle,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::NoBook(id) => {
                Problem::new(StatusCode::NOT_FOUND).detail(format!("there is no book {id}"))
            }
            Self::NoTitle => Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
                .detail("a book without a title is none"),
        };
        problem.into_response()
    }
}

impl Shelf {
    /// No function panics while it holds the lock, and if one did, the books would still be whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Book>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(State(shelf): State<Shelf>, Query(page): Query<Page>) -> Json<BTreeMap<u64, Book>> {
    let books = shelf.lock();
    let wanted = books.range(page.from..);
    Json(wanted.map(|(id, book)| (*id, book.clone())).collect())
}

fn show(State(shelf): State<Shelf>, Path(id): Path<u64>) -> Result<Json<Book>, Trouble> {
    let book = shelf.lock().get(&id).cloned();
    book.map(Json).ok_or(Trouble::NoBook(id))
}

fn add(
    State(shelf): State<Shelf>,
    Json(book): Json<Book>,
) -> Result<(StatusCode, String), Trouble> {
    if book.title.is_empty() {
        return Err(Trouble::NoTitle);
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
