//! axum on tokio's runtime with many threads.

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::serve::ListenerExt;
use peer_job::{BYTES, PAGE};
use tokio::net::TcpListener;
use tokio::runtime;

async fn page() -> Html<&'static str> {
    Html(PAGE)
}

async fn echo(mut fields: HeaderMap, body: Bytes) -> impl IntoResponse {
    let kind = fields.remove(CONTENT_TYPE);
    let kind = kind.unwrap_or(HeaderValue::from_static(BYTES));
    ([(CONTENT_TYPE, kind)], body)
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
        let app = Router::new().route("/", get(page).post(echo));
        axum::serve(listener, app).await
    };
    // Spawned, because the main thread's future does not run on a worker.
    let _ = runtime.block_on(runtime.spawn(serve));
}
