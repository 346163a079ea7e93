use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use httpool::{BodyMode, Handler, IntoResponse as _, Layered, Next, Request, Response};

use crate::support::{Http2Client, Transport, over_every_transport, request};

over_every_transport! {
    what_a_request_was_prepared_with_reaches_its_handler,
    request_without_a_body_is_not_prepared,
}

/// Gives each request with a body a number.
#[derive(Default)]
struct Numbered(AtomicUsize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number(usize);

impl Handler for Numbered {
    fn prepare(&self, request: &mut Request) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let earlier = request.extensions_mut().insert(Number(number));
        assert_eq!(earlier, None, "the request is prepared once");
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        let number = request.extensions().get::<Number>();
        assert!(number.is_some(), "the request is prepared");
        match request.uri().path() {
            "/streamed" => BodyMode::STREAMING,
            "/head" => BodyMode::HeadOnly,
            _ => BodyMode::Buffered,
        }
    }

    fn handle(&self, request: &mut Request) -> Response {
        let number = request.extensions_mut().remove::<Number>();
        let mut text = String::new();
        match request.uri().path() {
            "/none" => {}
            // The second call has the body that the first one wanted.
            _ => drop(request.body_mut().read_to_string(&mut text)),
        }
        match number {
            Some(Number(number)) => format!("{number} {text}").into_response(),
            None => "not prepared".into_response(),
        }
    }
}

fn what_a_request_was_prepared_with_reaches_its_handler(transport: Transport) {
    let layer = |request: Request, next: Next<'_>| next.run(request);
    let server = transport.spawn(
        |builder| builder,
        Layered::new(Numbered::default()).layer(layer),
    );
    let mut client = server.connect();
    let mut expected = 0..;
    for path in ["/buffered", "/streamed", "/head"] {
        // The body arrives with the head, later, and in chunks.
        let [one, two, three] = [(); 3].map(|()| expected.next().unwrap_or_default());
        client.post(path, "a").expect_body(format!("{one} a"));
        client.send(request::post_head(path, 2)).send("b");
        client.send("c").expect_body(format!("{two} bc"));
        client.send(request::post_chunked(path, "defg", 3));
        client.expect_body(format!("{three} defg"));
    }
    let mut client = Http2Client::connect(&server);
    for path in ["/buffered", "/streamed", "/head"] {
        let number = expected.next().unwrap_or_default();
        let stream = client.open_post(path);
        client.settle();
        client.send_body(stream, "later", crate::support::http2::END_STREAM);
        client.expect_body(stream, format!("{number} later"));
    }
}

fn request_without_a_body_is_not_prepared(transport: Transport) {
    let server = transport.spawn(|builder| builder, Numbered::default());
    server.connect().get("/none").expect_body("not prepared");
    let mut client = Http2Client::connect(&server);
    let stream = client.get("/none");
    client.expect_body(stream, "not prepared");
}
