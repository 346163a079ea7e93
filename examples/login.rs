//! A login form: users with hashed passwords, sessions, a message for the next page (a flash
//! message), and protection against forms of other sites.
//!
//! Run it with `cargo run --example login --all-features [ADDR [FILE]]`, and open it in a browser.
//! The only user is `ada` with the password `lovelace`. FILE replaces the users; its lines are those
//! that `htpasswd -nB NAME` prints.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a function of a route owns its arguments"
)]

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use httpool::extract::{Form, State};
use httpool::layers::{CsrfProtection, PasswordHashes, RateLimit, SecurityHeaders};
use httpool::sessions::{MemoryStore, Session, SessionError, Sessions};
use httpool::{Html, IntoResponse, Redirect, Response, Router, Server};

/// The password is `lovelace`.
const USERS: &str = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";

const LOGIN_FORM: &str = "<form method=post action=/login>
<p><label>Name <input name=name autocomplete=username required></label>
<p><label>Password <input name=password type=password autocomplete=current-password></label>
<p><button>Log in</button>
</form>";

const LOGOUT_FORM: &str = "<form method=post action=/logout><button>Log out</button></form>";

type Users = Arc<PasswordHashes>;

#[derive(serde::Deserialize)]
struct Login {
    name: String,
    password: String,
}

/// Leaves a message for the next page.
fn flash(session: &Session, message: &str) -> Result<(), SessionError> {
    session.insert("message", message)
}

/// Takes the message, so that it is shown once.
fn take_message(session: &Session) -> Result<String, SessionError> {
    let message = session.get("message")?;
    session.remove("message")?;
    Ok(message.unwrap_or_default())
}

fn home(session: Session) -> Result<Html<String>, SessionError> {
    let message = take_message(&session)?;
    let user: Option<String> = session.get("user")?;
    let content = match user {
        Some(user) => format!("<h1>Hello, {}</h1>{LOGOUT_FORM}", escape(&user)),
        None => format!("<h1>Hello, stranger</h1>{LOGIN_FORM}"),
    };
    Ok(Html(format!(
        "<!doctype html><title>Login</title><p role=status>{}</p>{content}\n",
        escape(&message)
    )))
}

fn log_in(
    session: Session,
    State(users): State<Users>,
    Form(login): Form<Login>,
) -> Result<Response, SessionError> {
    match users.verify(&login.name, &login.password) {
        Ok(true) => {
            // An attacker may know the id of the session so far.
            session.renew()?;
            session.insert("user", &login.name)?;
            flash(&session, "You are logged in.")?;
        }
        Ok(false) => flash(&session, "Name or password is wrong.")?,
        Err(busy) => return Ok(busy.into_response()),
    }
    Ok(Redirect::to("/").into_response())
}

fn log_out(session: Session) -> Result<Redirect, SessionError> {
    // Without a user there is nothing to say, and a client could create any number of sessions.
    if session.get::<String>("user")?.is_some() {
        session.destroy()?;
        flash(&session, "You are logged out.")?;
    }
    Ok(Redirect::to("/"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:4000".into());
    let users = match arguments.next() {
        Some(file) => PasswordHashes::open(file)?,
        None => PasswordHashes::parse(USERS)?,
    };
    let login = Router::new()
        .layer(RateLimit::new(20, Duration::from_secs(60)))
        .post("/", log_in);
    let router: Router = Router::new()
        .layer(SecurityHeaders::new())
        .layer(CsrfProtection::new())
        .layer(Sessions::new(MemoryStore::new()))
        .get("/", home)
        .post("/logout", log_out)
        .nest("/login", login)
        .with_state(Arc::new(users));

    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(router)?;
    Ok(())
}
