//! hyper's HTTP/2 connections, with a single-threaded runtime for each thread. They share the port
//! (`SO_REUSEPORT`). On tokio's multi-threaded runtime, hyper sends each response separately and
//! takes more time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::{io, thread};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use peer_job::{BYTES, HTML, PAGE};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;

const BACKLOG: u32 = 4096;

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

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(address: SocketAddr) {
    let listener = listen(address).expect("the port is free");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        tokio::spawn(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(handle)),
        );
    }
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("the runtime starts");
                runtime.block_on(runtime.spawn(serve(address)))
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
}
