//! An album of pictures for people who log in: what a web application needs first, with its tests.
//!
//! Run it with `cargo run --example album --all-features [ADDR]`. Open it in two browsers, and log in
//! as `ada` with the password `lovelace`. A picture that one of them adds appears in the other.
//! To read it, begin with `router`.

#![allow(
    clippy::needless_pass_by_value,
    reason = "routes pass arguments by value"
)]

use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use httpool::bytes::Bytes;
use httpool::extract::{Form, FromRequest, Path, Rejection, RequestContext, State};
use httpool::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use httpool::http::{HeaderMap, HeaderValue, StatusCode};
use httpool::layers::{
    ConcurrencyLimit, CsrfProtection, PasswordHashes, RateLimit, SecurityHeaders,
};
use httpool::multipart::{FileBytes, MultipartForm};
use httpool::sessions::{MemoryStore, Session, SessionError, Sessions};
use httpool::sse::{Broadcast, Event, Events, last_event_id};
use httpool::{Html, IntoResponse, Json, Layered, Redirect, Response, Router, Server};

/// A line of `htpasswd -nB ada`. The password is `lovelace`.
const USERS: &str = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";
const LOGIN_PAGE: &str = include_str!("login.html");
const ALBUM_PAGE: &str = include_str!("album.html");
const SCRIPT: &str = include_str!("album.js");
const MOST_PICTURES: usize = 100;
const NO_PANIC: &str = "no thread panics while it has the lock";

/// The state of all functions.
struct Album {
    users: PasswordHashes,
    pictures: Mutex<Vec<Picture>>,
    news: Broadcast,
}

#[derive(Clone, serde::Serialize)]
struct Picture {
    id: usize,
    title: String,
    by: String,
    #[serde(skip)]
    media_type: &'static str,
    #[serde(skip)]
    content: Bytes,
}

/// Someone who has logged in. Functions with this argument are not called for others.
struct Member(String);

impl<S> FromRequest<S> for Member {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let name: Option<String> = Session::from_request(context)?.get("user")?;
        name.map(Self)
            .ok_or_else(|| Rejection::new(StatusCode::FORBIDDEN, "log in first"))
    }
}

fn home(session: Session) -> Result<Html<&'static str>, SessionError> {
    let user: Option<String> = session.get("user")?;
    Ok(Html(user.map_or(LOGIN_PAGE, |_| ALBUM_PAGE)))
}

#[derive(serde::Deserialize)]
struct Login {
    name: String,
    password: String,
}

fn log_in(
    session: Session,
    State(album): State<Arc<Album>>,
    Form(login): Form<Login>,
) -> Result<Response, SessionError> {
    let wrong = Rejection::new(StatusCode::FORBIDDEN, "wrong name or password");
    match album.users.verify(&login.name, &login.password) {
        Ok(true) => {
            // An attacker may know the id of the session so far.
            session.renew()?;
            session.insert("user", &login.name)?;
            Ok(Redirect::to("/").into_response())
        }
        Ok(false) => Ok(wrong.into_response()),
        Err(busy) => Ok(busy.into_response()),
    }
}

fn list(_: Member, State(album): State<Arc<Album>>) -> Json<Vec<Picture>> {
    Json(album.pictures.lock().expect(NO_PANIC).clone())
}

/// `None` is a 404.
fn show(
    _: Member,
    State(album): State<Arc<Album>>,
    Path(id): Path<usize>,
) -> Option<impl IntoResponse> {
    let picture = album.pictures.lock().expect(NO_PANIC).get(id)?.clone();
    Some(([(CONTENT_TYPE, picture.media_type)], picture.content))
}

#[derive(serde::Deserialize)]
struct Upload {
    title: String,
    picture: FileBytes,
}

/// The form is received only from a member, because that argument comes first.
fn add(
    Member(by): Member,
    State(album): State<Arc<Album>>,
    MultipartForm(upload): MultipartForm<Upload>,
) -> Result<Redirect, StatusCode> {
    let content = upload.picture.into_bytes();
    // The client may call a page with a script a picture, so the content decides.
    let media_type = match &content[..] {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        _ => return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    };
    let mut pictures = album.pictures.lock().expect(NO_PANIC);
    if pictures.len() == MOST_PICTURES {
        return Err(StatusCode::INSUFFICIENT_STORAGE);
    }
    let picture = Picture {
        id: pictures.len(),
        title: upload.title,
        by,
        media_type,
        content,
    };
    let event = Event::json(&picture).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    album.news.send(event);
    pictures.push(picture);
    Ok(Redirect::to("/"))
}

/// An open stream of events occupies no worker.
fn events(_: Member, State(album): State<Arc<Album>>, headers: HeaderMap) -> Events {
    album.news.subscribe(last_event_id(&headers))
}

fn router(news: Broadcast) -> Router {
    let policy = HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'");
    let album = Album {
        users: PasswordHashes::parse(USERS).expect("the line is valid"),
        pictures: Mutex::default(),
        news,
    };
    // A client may guess ten passwords a minute.
    let guesses = RateLimit::new(10, Duration::from_secs(60));
    // A picture occupies a worker while it arrives. Others respond to the rest of the album.
    let uploads = ConcurrencyLimit::new(2);
    Router::new()
        .layer(SecurityHeaders::new().with(CONTENT_SECURITY_POLICY, policy))
        .layer(CsrfProtection::new())
        .layer(Sessions::new(MemoryStore::new()))
        .get("/", home)
        .get("/album.js", || {
            ([(CONTENT_TYPE, "text/javascript")], SCRIPT)
        })
        .post("/login", Layered::new(log_in).layer(guesses))
        .post("/logout", |session: Session| {
            session.destroy().map(|()| Redirect::to("/"))
        })
        .get("/pictures", list)
        .post("/pictures", Layered::new(add).layer(uploads))
        .get("/pictures/{id}", show)
        .get("/events", events)
        .with_state(Arc::new(album))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    let news = Broadcast::new();
    let router = router(news.clone());
    server.handle().on_shutdown(move || news.close());
    println!("{}", server.run_until_signal(router)?);
    Ok(())
}

#[cfg(test)]
mod tests;
