//! actix-web, with a single-threaded runtime for each worker.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use peer_job::{BYTES, HTML, PAGE};

async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type(HTML).body(PAGE)
}

async fn echo(request: HttpRequest, body: Bytes) -> HttpResponse {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or(HeaderValue::from_static(BYTES));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .body(body)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let (address, threads) = peer_job::arguments();
    let routes = || {
        let root = web::resource("/")
            .route(web::get().to(page))
            .route(web::post().to(echo));
        App::new().service(root)
    };
    HttpServer::new(routes)
        .workers(threads)
        .tcp_nodelay(true)
        .bind_auto_h2c(address)?
        .run()
        .await
}
