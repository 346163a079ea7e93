//! Receives forms with files: a small one as a struct, and large files while they arrive.
//!
//! Run it with `cargo run --example uploads --features multipart [ADDR [DIR]]`, open
//! `http://localhost:4000` in a browser, or:
//!
//! ```sh
//! curl -F title=Sunset -F picture=@sunset.jpg localhost:4000/pictures
//! curl -F one=@a.iso -F two=@b.iso localhost:4000/files    # saves both in DIR
//! ```
//!
//! DIR is by default the system's folder for temporary files.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handlers own the values that they take from a request"
)]

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use httpool::extract::State;
use httpool::http::StatusCode;
use httpool::layers::SecurityHeaders;
use httpool::multipart::{FileBytes, Multipart, MultipartError, MultipartForm, MultipartLimits};
use httpool::{Html, Router, Server};
use serde::Deserialize;

/// The folder of saved files.
#[derive(Clone)]
struct Folder(Arc<PathBuf>);

#[derive(Deserialize)]
struct Picture {
    title: String,
    /// `None` if no file was chosen.
    picture: Option<FileBytes>,
}

/// Large files, one or several.
enum Large {}

impl MultipartLimits for Large {
    const TOTAL: u64 = 8 << 30;
    const PARTS: usize = 100;
}

fn page() -> Html<&'static str> {
    Html(
        "<!doctype html><title>Uploads</title>\n\
         <form action=pictures method=post enctype=multipart/form-data>\n\
         <input name=title placeholder=Title><input name=picture type=file><button>Send</button>\n\
         </form>\n\
         <form action=files method=post enctype=multipart/form-data>\n\
         <input name=files type=file multiple><button>Save</button>\n\
         </form>\n",
    )
}

/// The client's file name is only shown, as text.
fn add_picture(MultipartForm(form): MultipartForm<Picture>) -> String {
    match form.picture {
        Some(file) => {
            let (name, length) = (file.file_name().unwrap_or_default(), file.bytes().len());
            format!("{}: {name:?} of {length} bytes\n", form.title)
        }
        None => format!("{}: no picture\n", form.title),
    }
}

/// Saves each file while it arrives. A file that exists is a 409, and the files before it stay.
fn save_files(
    State(Folder(folder)): State<Folder>,
    mut form: Multipart<Large>,
) -> Result<(StatusCode, String), MultipartError> {
    let mut saved = String::new();
    while let Some(mut part) = form.next_part()? {
        let Some(name) = part.safe_file_name() else {
            continue;
        };
        let length = part.save_to(folder.join(&name))?;
        saved.push_str(&format!("{name}: {length} bytes\n"));
    }
    Ok((StatusCode::CREATED, saved))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:4000".into());
    let folder = arguments.next().map_or_else(env::temp_dir, PathBuf::from);

    let router: Router = Router::new()
        .get("/", page)
        .post("/pictures", add_picture)
        .post("/files", save_files)
        .with_state(Folder(Arc::new(folder)))
        .layer(SecurityHeaders::new());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(router)?;
    Ok(())
}
