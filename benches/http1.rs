//! Measures the protocol: bytes into requests, and responses into bytes, without a socket. Buffers
//! are reused from request to request, as in a worker.

mod messages;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use httpool::Request;
use httpool::http::StatusCode;

use serde::de::IgnoredAny;

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

/// The extra cost of a function that owns its request, compared with a handler that borrows it.
fn own(criterion: &mut Criterion) {
    let mut decoding = Decoding::new();
    criterion.bench_function("decode/get_curl_owned", |bencher| {
        bencher.iter(|| {
            decoding.decode(CURL_GET.as_bytes());
            black_box::<Request>(std::mem::take(&mut decoding.buffer.request));
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

/// The cost of validating JSON without building a value, as the echo does.
fn json(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    let length = 65_536;
    let (head, tail) = (r#"{"id":12345,"name":"compare","data":""#, r#""}"#);
    let text = "a".repeat(length - head.len() - tail.len());
    let body = [head, &text, tail].concat();
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("ignored_any_64k", |bencher| {
        bencher.iter(|| {
            serde_json::from_str::<IgnoredAny>(black_box(&body)).expect("the body is JSON")
        });
    });
    group.finish();
}

criterion_group! {
    name = http1;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = decode, own, encode, json
}
criterion_main!(http1);
