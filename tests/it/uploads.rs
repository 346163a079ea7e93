/// A client that uploads a form, piece by piece.
mod client;

use std::path::PathBuf;
use std::sync::Arc;

use client::Framing::{self, Chunked, Length};
use client::{Upload, file, text};
use crossbeam_channel::{Receiver, bounded};
use httpool::http::StatusCode;
use httpool::multipart::{
    DefaultLimits, Multipart, MultipartError, MultipartForm, MultipartLimits, TempFile,
};
use httpool::{BodyMode, Builder, Router, defaults};

use crate::support::{
    Gate, GateWaiter, NEVER, Random, SOON, TIMEOUT, TempDir, TestServer, request,
};

/// Larger than any buffer on the way.
const LARGE: usize = 3_000_000;

/// Runs tests that take a [`Framing`] with each of them.
macro_rules! in_every_framing {
    ($($case:ident),+ $(,)?) => {$(
        mod $case {
            use super::client::Framing;

            #[test]
            fn length() {
                super::$case(Framing::Length);
            }

            #[test]
            fn chunked() {
                super::$case(Framing::Chunked);
            }

            #[test]
            fn http2() {
                super::$case(Framing::Http2);
            }
        }
    )+};
}

in_every_framing! {
    forms_arrive_whole_and_in_pieces,
    large_files_are_saved_unchanged,
    slow_uploads_get_408_and_leave_nothing,
    slow_forms_get_408,
    cut_uploads_leave_nothing,
    limits_get_413,
    ten_thousand_parts_get_413,
    other_types_get_415_before_the_body,
    drain_waits_for_an_upload,
    drain_aborts_an_upload_at_the_deadline,
    buffered_forms_occupy_no_worker,
}

fn spawn(configure: impl FnOnce(Builder) -> Builder, router: Router) -> TestServer {
    TestServer::spawn(configure, router)
}

#[derive(serde::Deserialize)]
struct Photo {
    title: String,
    stars: u8,
    photo: TempFile,
}

fn describe(MultipartForm(form): MultipartForm<Photo>) -> String {
    let (title, stars, photo) = (form.title, form.stars, form.photo);
    let content = std::fs::read(photo.path()).expect("the file exists");
    let content = content.escape_ascii();
    format!("{title} {stars} {:?} {content}", photo.file_name())
}

fn forms_arrive_whole_and_in_pieces(framing: Framing) {
    let server = spawn(|builder| builder, Router::new().post("/", describe));
    let body = [
        text("title", "Sonne"),
        text("stars", "5"),
        file("photo", "../sonne.jpg", b"\xff\xd8\r\n--x"),
    ];
    let body = [&body.concat()[..], b"--b--\r\n"].concat();
    let expected = "Sonne 5 Some(\"../sonne.jpg\") \\xff\\xd8\\r\\n--x";
    for size in [1, 7, body.len()] {
        let mut upload = Upload::begin(&server, framing, body.len());
        for piece in body.chunks(size) {
            upload.send(piece);
        }
        assert_eq!(upload.finish().expect(200), expected);
    }
}

/// A server that saves the files of forms in a folder, each under the name of its field. It sends the
/// result of each form, and waits at the gate before it reads the second part.
struct Saving {
    server: TestServer,
    folder: Arc<TempDir>,
    results: Receiver<Result<u64, StatusCode>>,
}

impl Saving {
    fn new(configure: impl FnOnce(Builder) -> Builder, waiter: Option<GateWaiter>) -> Self {
        let folder = Arc::new(TempDir::new());
        let (sender, results) = bounded(16);
        let into = Arc::clone(&folder);
        let router = Router::new().get("/beside", || "");
        let router = router.post("/", move |mut form: Multipart| {
            let saved = save(&mut form, &into, waiter.as_ref());
            let result = saved.as_ref().copied().map_err(MultipartError::status);
            sender.send(result).expect("the test receives");
            saved.map(|count| format!("{count} bytes"))
        });
        Self {
            server: spawn(configure, router),
            folder,
            results,
        }
    }

    #[track_caller]
    fn expect_failure(&self, status: u16) {
        let result = self.results.recv_timeout(TIMEOUT);
        let result = result.expect("the handler returns");
        assert_eq!(result.map_err(|status| status.as_u16()), Err(status));
        let saved = self.saved();
        assert!(saved.is_empty(), "{saved:?}");
    }

    fn saved(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path("")).expect("the folder exists");
        let path = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("it is listed").path();
        entries.map(path).collect()
    }
}

fn save(
    form: &mut Multipart,
    folder: &TempDir,
    waiter: Option<&GateWaiter>,
) -> Result<u64, MultipartError> {
    let mut saved = 0;
    while let Some(mut part) = form.next_part()? {
        if part.file_name().is_some() {
            let path = folder.path(part.name());
            saved += part.save_to(path)?;
        } else if let Some(waiter) = waiter {
            waiter.wait();
        }
    }
    Ok(saved)
}

fn large_files_are_saved_unchanged(framing: Framing) {
    let saving = Saving::new(|builder| builder, None);
    let content = Random::new(1).bytes(LARGE);
    let body = [file("a", "a", &content), file("b", "b", &content)].concat();
    let body = [&body[..], b"--b--"].concat();
    let mut upload = Upload::begin(&saving.server, framing, body.len());
    for piece in body.chunks(100_000) {
        upload.send(piece);
    }
    assert_eq!(upload.finish().expect(200), format!("{} bytes", 2 * LARGE));
    for name in ["a", "b"] {
        let saved = std::fs::read(saving.folder.path(name)).expect("the file exists");
        assert!(saved == content, "{} bytes", saved.len());
    }
    assert_eq!(saving.saved().len(), 2);
}

/// The start of a form whose file has begun to arrive.
fn half() -> Vec<u8> {
    let mut half = file("a", "a", &[b'x'; 100_000]);
    half.truncate(half.len() - 2);
    half
}

fn slow_uploads_get_408_and_leave_nothing(framing: Framing) {
    let saving = Saving::new(|builder| builder.body_timeout(SOON), None);
    let mut upload = Upload::begin(&saving.server, framing, 1_000_000);
    upload.send(&half());
    upload.expect(408);
    saving.expect_failure(500);
}

fn slow_forms_get_408(framing: Framing) {
    let server = spawn(
        |builder| builder.body_timeout(SOON),
        Router::new().post("/", describe),
    );
    let mut upload = Upload::begin(&server, framing, 1_000_000);
    upload.send(&half());
    let response = upload.expect(408);
    assert!(response.contains("took too long"), "{response}");
}

fn cut_uploads_leave_nothing(framing: Framing) {
    let saving = Saving::new(|builder| builder, None);
    let mut upload = Upload::begin(&saving.server, framing, 1_000_000);
    upload.send(&half());
    upload.disconnect();
    saving.expect_failure(500);
    saving.server.expect_serving();
}

enum Tight {}

impl MultipartLimits for Tight {
    const TOTAL: u64 = 1000;
    const PARTS: usize = 2;
    const PART: u64 = 300;
}

fn read_tight(mut form: Multipart<Tight>) -> Result<(), MultipartError> {
    while form.next_part()?.is_some() {}
    Ok(())
}

fn limits_get_413(framing: Framing) {
    let server = spawn(|builder| builder, Router::new().post("/", read_tight));
    let large = |count: usize| file("a", "a", &vec![b'x'; count]);
    let epilogue = vec![b'x'; 300];
    for (body, reason) in [
        (large(301), "the limit for the bytes of a part is 300"),
        (
            text("a", "").repeat(3),
            "the limit for the parts of a form is 2",
        ),
        (
            [large(300).repeat(2), b"--b--\r\n".to_vec(), epilogue].concat(),
            "the request body is too large",
        ),
    ] {
        let body = [&body[..], b"--b--"].concat();
        let mut upload = Upload::begin(&server, framing, body.len());
        // The server may have responded before.
        upload.try_send(&body);
        let response = upload.try_finish().expect(413);
        assert!(response.contains(reason), "{response}");
    }
}

fn ten_thousand_parts_get_413(framing: Framing) {
    let saving = Saving::new(|builder| builder, None);
    let body = text("a", "").repeat(10_000);
    let mut upload = Upload::begin(&saving.server, framing, body.len());
    upload.try_send(&body);
    let response = upload.try_finish().expect(413);
    assert!(
        response.contains("the limit for the parts of a form is 1000"),
        "{response}"
    );
    saving.expect_failure(413);
}

fn other_types_get_415_before_the_body(framing: Framing) {
    let server = spawn(|builder| builder, Router::new().post("/", describe));
    let upload = Upload::begin_as(&server, framing, "text/plain", 1000);
    let response = upload.expect(415);
    assert!(response.contains("multipart/form-data"), "{response}");
}

/// A server that has received the first half of an upload, and the rest.
fn half_received(
    framing: Framing,
    configure: impl FnOnce(Builder) -> Builder,
) -> (Saving, Upload, Vec<u8>) {
    let gate = Gate::new();
    let saving = Saving::new(configure, Some(gate.waiter()));
    let rest = [file("b", "b", b"rest"), b"--b--".to_vec()].concat();
    let start = text("a", "1");
    let mut upload = Upload::begin(&saving.server, framing, start.len() + rest.len());
    upload.send(&start);
    gate.expect_arrived(1);
    gate.open();
    (saving, upload, rest)
}

fn drain_waits_for_an_upload(framing: Framing) {
    let (saving, mut upload, rest) = half_received(framing, |builder| builder.drain_timeout(NEVER));
    saving.server.begin_drain();
    upload.send(&rest);
    assert_eq!(upload.finish().expect(200), "4 bytes");
    assert_eq!(saving.saved().len(), 1);
    let report = saving.server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

fn drain_aborts_an_upload_at_the_deadline(framing: Framing) {
    let (saving, upload, rest) = half_received(framing, |builder| builder.drain_timeout(SOON));
    let mut upload = upload;
    upload.send(&rest[..rest.len() - 8]);
    saving.server.handle().shutdown();
    saving.expect_failure(500);
    let report = saving.server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 1));
    drop(upload);
}

enum Buffered {}

impl MultipartLimits for Buffered {
    const BODY_MODE: BodyMode = BodyMode::Buffered;
}

fn buffered_forms_occupy_no_worker(framing: Framing) {
    let parts = |mut form: Multipart<Buffered>| -> Result<String, MultipartError> {
        let mut names = String::new();
        while let Some(part) = form.next_part()? {
            names.push_str(part.name());
        }
        Ok(names)
    };
    let router = Router::new().post("/", parts).get("/", || "free");
    let server = spawn(|builder| builder.workers(1), router);
    let body = [text("a", "1"), text("b", "2"), b"--b--".to_vec()].concat();
    let (start, rest) = body.split_at(body.len() / 2);
    let mut upload = Upload::begin(&server, framing, body.len());
    upload.send(start);
    server.connect().get("/").expect_body("free");
    upload.send(rest);
    assert_eq!(upload.finish().expect(200), "ab");
}

#[test]
fn a_rejected_type_gets_no_continue() {
    let server = spawn(|builder| builder, Router::new().post("/", describe));
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client.expect_status(415);
}

#[test]
fn connections_stay_open_after_forms() {
    let server = spawn(|builder| builder, Router::new().post("/", read_tight));
    let mut client = server.connect();
    for _ in 0..3 {
        let body = [text("a", "1"), b"--b--\r\nepilogue".to_vec()].concat();
        client.send(client::head(
            Length,
            "multipart/form-data; boundary=b",
            body.len(),
        ));
        assert!(!client.send(&body).expect_status(200).announces_close());
        client.send(client::head(Chunked, "multipart/form-data; boundary=b", 0));
        let chunked = request::post_chunked("/", &body, 10);
        let start = request::chunked_head("/").len();
        assert!(
            !client
                .send(&chunked[start..])
                .expect_status(200)
                .announces_close()
        );
    }
}

#[test]
fn default_memory_is_that_of_other_bodies() {
    assert_eq!(DefaultLimits::IN_MEMORY, defaults::MAX_BODY as u64);
}
