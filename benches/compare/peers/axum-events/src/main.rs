//! Server-sent events by axum, each topic from a broadcast channel of tokio, for `benches/waiting.rs`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::broadcast::{self, Sender};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt};

/// As many as `benches/waiting.rs` has.
const TOPICS: usize = 1000;

/// Events that a listener may be behind, as httpool's default.
const HISTORY: usize = 1024;

type Topics = Arc<[Sender<Arc<str>>]>;

fn topic(topics: &Topics, query: Option<String>) -> Option<&Sender<Arc<str>>> {
    topics.get(query?.parse::<usize>().ok()?)
}

async fn events(
    State(topics): State<Topics>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let topic = topic(&topics, query).ok_or(StatusCode::NOT_FOUND)?;
    let events = BroadcastStream::new(topic.subscribe());
    // A listener that is too slow misses events.
    let events = events.filter_map(|text| Some(Ok(Event::default().data(&*text.ok()?))));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

async fn send(
    State(topics): State<Topics>,
    RawQuery(query): RawQuery,
    text: String,
) -> Result<&'static str, StatusCode> {
    let topic = topic(&topics, query).ok_or(StatusCode::NOT_FOUND)?;
    // This fails if there are no listeners.
    let _ = topic.send(text.into());
    Ok("Hello, World!")
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("the runtime starts");
    let serve = async move {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let topics: Topics = (0..TOPICS).map(|_| broadcast::channel(HISTORY).0).collect();
        let app = Router::new()
            .route("/", get(|| async { "Hello, World!" }))
            .route("/events", get(events))
            .route("/send", post(send))
            .with_state(topics);
        axum::serve(listener, app).await
    };
    // Spawned, because the main thread's future does not run on a worker.
    let _ = runtime.block_on(runtime.spawn(serve));
}
