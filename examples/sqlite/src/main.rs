//! Stores notes and sessions in SQLite, with one database connection for each worker.
//!
//! Run it in `examples/sqlite` with `cargo run [ADDR [DATABASE]]`, then:
//!
//! ```sh
//! curl localhost:4000/notes --json '{"text": "water the plants"}'
//! curl localhost:4000/notes
//! curl localhost:4000/notes/1 -X DELETE
//! curl -c cookies -b cookies localhost:4000/notes --json '{"text": "feed the cat"}'
//! curl -c cookies -b cookies localhost:4000/mine
//! ```

mod database;
mod sessions;

use std::env;
use std::error::Error;

use httpool::Router;
use httpool::extract::{Path, Query, State};
use httpool::http::StatusCode;
use httpool::http::header::LOCATION;
use httpool::sessions::{Session, SessionError, Sessions};
use httpool::{IntoResponse, Json, Problem, Response, Server};
use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::sessions::DatabaseSessions;

#[derive(Debug, Serialize)]
struct Note {
    id: i64,
    text: String,
}

#[derive(Debug, Deserialize)]
struct NewNote {
    text: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    /// List the notes after this id.
    #[serde(default)]
    after: i64,
}

/// An error of this application, which converts into a response.
#[derive(Debug)]
enum NoteError {
    NoNote(i64),
    Database(rusqlite::Error),
    Session(SessionError),
}

impl From<rusqlite::Error> for NoteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<SessionError> for NoteError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for NoteError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::NoNote(id) => {
                Problem::new(StatusCode::NOT_FOUND).detail(format!("note {id} not found"))
            }
            // The database's message is for the operator, not for clients.
            Self::Database(error) => {
                eprintln!("database error: {error}");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Session(error) => return error.into_response(),
        };
        problem.into_response()
    }
}

fn list(
    State(database): State<Database>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Note>>, NoteError> {
    let notes = database.with(|connection| {
        let mut wanted = connection
            .prepare_cached("SELECT id, text FROM note WHERE id > ? ORDER BY id LIMIT 100")?;
        let rows = wanted.query_map([page.after], |row| {
            Ok(Note {
                id: row.get(0)?,
                text: row.get(1)?,
            })
        })?;
        rows.collect()
    })?;
    Ok(Json(notes))
}

fn add(
    State(database): State<Database>,
    session: Session,
    Json(note): Json<NewNote>,
) -> Result<impl IntoResponse, NoteError> {
    let id = database.with(|connection| {
        connection
            .prepare_cached("INSERT INTO note (text) VALUES (?)")?
            .insert([&note.text])
    })?;
    let mut mine = session.get::<Vec<i64>>("notes")?.unwrap_or_default();
    mine.push(id);
    session.insert("notes", mine)?;
    let note = Note {
        id,
        text: note.text,
    };
    let location = [(LOCATION, format!("/notes/{id}"))];
    Ok((StatusCode::CREATED, location, Json(note)))
}

/// The ids of the notes that this visitor has added.
fn mine(session: Session) -> Result<Json<Vec<i64>>, SessionError> {
    Ok(Json(session.get("notes")?.unwrap_or_default()))
}

fn show(State(database): State<Database>, Path(id): Path<i64>) -> Result<Json<Note>, NoteError> {
    let text = database.with(|connection| {
        connection
            .prepare_cached("SELECT text FROM note WHERE id = ?")?
            .query_row([id], |row| row.get(0))
    });
    match text {
        Ok(text) => Ok(Json(Note { id, text })),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(NoteError::NoNote(id)),
        Err(error) => Err(error.into()),
    }
}

fn delete(State(database): State<Database>, Path(id): Path<i64>) -> Result<StatusCode, NoteError> {
    let deleted = database.with(|connection| {
        connection
            .prepare_cached("DELETE FROM note WHERE id = ?")?
            .execute([id])
    })?;
    match deleted {
        0 => Err(NoteError::NoNote(id)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:4000".into());
    let path = arguments.next().unwrap_or("notes.sqlite".into());
    let server = Server::builder().listen(address).workers(4).bind()?;
    let database = Database::open(path.as_ref(), server.workers())?;
    let router: Router = Router::new()
        .layer(Sessions::new(DatabaseSessions(database.clone())))
        .get("/notes", list)
        .post("/notes", add)
        .get("/notes/{id}", show)
        .delete("/notes/{id}", delete)
        .get("/mine", mine)
        .with_state(database);
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(router)?;
    Ok(())
}
