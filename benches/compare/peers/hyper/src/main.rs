//! hyper's HTTP/1.1 connections on tokio's multi-threaded runtime.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use peer_job::{BYTES, HTML, PAGE};
use tokio::net::TcpListener;
use tokio::runtime;

async fn handle(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match *request.method() {
        Method::GET => {
            *response.body_mut() = Full::from(PAGE);
            let html = HeaderValue::from_static(HTML);
            response.headers_mut().insert(CONTENT_TYPE, html);
        }
        Method::POST => {
            let (mut head, body) = request.into_parts();
            match body.collect().await {
                Ok(body) => *response.body_mut() = Full::new(body.to_bytes()),
                Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
            }
            let kind = head.headers.remove(CONTENT_TYPE);
            let kind = kind.unwrap_or(HeaderValue::from_static(BYTES));
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        _ => *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED,
    }
    Ok(response)
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("the runtime starts");
    let accept = async move {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            tokio::spawn(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service_fn(handle)),
            );
        }
    };
    // Spawned, because the main thread's future does not run on a worker.
    let _ = runtime.block_on(runtime.spawn(accept));
}
