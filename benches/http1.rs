//! What the protocol costs: bytes into requests, and responses into bytes, without a socket.
//! Buffers are reused from request to request as a worker does.

mod messages;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use httpool::Request;
use httpool::http::StatusCode;

use messages::{BROWSER_GET, CURL_GET, Decoding, Encoding, plain_response, post, rich_response};

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, message) in [
        ("get_curl", CURL_GET.as_bytes().to_vec()),
        ("get_browser", BROWSER_GET.as_bytes().to_vec()),
        ("post_1k", post(None)),
        ("post_1k_chunked", post(Some(256))),
    ] {
        let mut decoding = Decoding::new();
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| decoding.decode(&message)));
    }
    group.finish();
}

/// What a function that owns its request pays beside a handler that borrows it.
fn own(criterion: &mut Criterion) {
    let mut decoding = Decoding::new();
    criterion.bench_function("decode/get_curl_owned", |bencher| {
        bencher.iter(|| {
            decoding.decode(CURL_GET.as_bytes());
            black_box::<Request>(std::mem::take(&mut decoding.slot.request));
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let plain = plain_response();
    let rich = rich_response();
    let mut unchanged = rich_response();
    *unchanged.status_mut() = StatusCode::NOT_MODIFIED;

    let mut group = criterion.benchmark_group("encode");
    for (name, response) in [
        ("plain", &plain),
        ("six_fields", &rich),
        ("not_modified", &unchanged),
    ] {
        let mut encoding = Encoding::new();
        group.bench_function(name, |bencher| bencher.iter(|| encoding.encode(response)));
    }
    group.finish();
}

criterion_group! {
    name = http1;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = decode, own, encode
}
criterion_main!(http1);
