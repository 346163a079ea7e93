//! hyper's HTTP/2 connections, with a single-threaded runtime for each thread. They share the port
//! (`SO_REUSEPORT`). On tokio's multi-threaded runtime, hyper sends each response separately and
//! takes more time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::{io, thread};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use peer_job::{BYTES, HTML, tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio_rustls::TlsAcceptor;

const BACKLOG: u32 = 4096;

#[derive(Clone)]
struct Job {
    address: SocketAddr,
    page: &'static [u8],
    tls: Option<TlsAcceptor>,
}

async fn handle(
    request: Request<Incoming>,
    page: &'static [u8],
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match *request.method() {
        Method::GET => {
            *response.body_mut() = Full::from(page);
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

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    page: &'static [u8],
) {
    let service = service_fn(move |request| handle(request, page));
    // The client may leave at any time.
    let _ = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn serve(job: Job) {
    let listener = listen(job.address).expect("the port is free");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        match job.tls.clone() {
            None => tokio::spawn(serve_connection(stream, job.page)),
            Some(tls) => tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    serve_connection(stream, job.page).await;
                }
            }),
        };
    }
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let (page, tls) = peer_job::page_and_tls();
    let tls = tls.map(|files| TlsAcceptor::from(Arc::new(tls::config(files))));
    let job = Job { address, page, tls };
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let job = job.clone();
            thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("the runtime starts");
                runtime.block_on(runtime.spawn(serve(job)))
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
}
