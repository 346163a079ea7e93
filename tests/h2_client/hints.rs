//! Early hints, as the crate `h2` receives them.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use httpool::http::header::LINK;
use httpool::http::{self, StatusCode};
use httpool::{Later, Request, Server};
use tokio::net::TcpStream;

use crate::TIMEOUT;

const STYLE: &str = "</style.css>; rel=preload; as=style";

/// Makes the response when the test says that the hints have arrived.
fn page(arrived: &Arc<Mutex<Receiver<()>>>) -> Later {
    let arrived = Arc::clone(arrived);
    Later::early_hints([(LINK, STYLE)], move || {
        let arrived = arrived.lock().expect("no thread panics with it");
        arrived.recv_timeout(TIMEOUT).is_ok().to_string()
    })
}

async fn exchange(address: &str, hints_arrived: Sender<()>) -> Bytes {
    let socket = TcpStream::connect(address).await;
    let socket = socket.expect("the server listens");
    let (client, connection) = h2::client::handshake(socket).await.expect("it is HTTP/2");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("the connection is open");
    let request = http::Request::get("http://it/").body(());
    let request = request.expect("the request is valid");
    let (mut response, _) = client.send_request(request, true).expect("it is sent");
    let hints = poll_fn(|context| response.poll_informational(context)).await;
    let hints = hints.expect("hints come first").expect("they are valid");
    assert_eq!(hints.status().as_u16(), 103);
    assert_eq!(hints.headers()[LINK], STYLE);
    hints_arrived.send(()).expect("the handler waits");
    let response = response.await.expect("the response follows");
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let content = body.data().await.expect("there is content");
    content.expect("it is whole")
}

#[test]
fn h2_client_gets_hints_before_the_response() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .workers(1)
        .http2(true);
    let server = server.bind().expect("the system has ports");
    let (address, handle) = (server.local_addrs()[0].to_string(), server.handle());
    let (hints_arrived, arrived) = channel();
    let arrived = Arc::new(Mutex::new(arrived));
    let server = thread::spawn(move || server.run(move |_: Request| page(&arrived)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has descriptors");
    let content = runtime
        .block_on(async { tokio::time::timeout(TIMEOUT, exchange(&address, hints_arrived)).await });
    assert_eq!(content.expect("it does not hang"), "true");
    drop(runtime);
    handle.shutdown();
    let report = server.join().expect("it does not panic").expect("it ran");
    assert_eq!((report.answered, report.aborted), (1, 0));
}
