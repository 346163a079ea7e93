//! The settings that a bench passes to its server: `name=number`, with times in milliseconds.

use std::time::Duration;

use httpool::{Builder, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The first, second or third format, in a file that is deleted when the server ends.
#[cfg(feature = "access-log")]
fn access_log(format: usize) -> httpool::services::AccessLines {
    use httpool::services::{AccessFormat, AccessLog};

    let formats = [
        AccessFormat::Common,
        AccessFormat::Combined,
        AccessFormat::Json,
    ];
    let path = std::env::temp_dir().join(format!("httpool-bench-{}", std::process::id()));
    let file = std::fs::File::create_new(&path).expect("the file can be created");
    std::fs::remove_file(path).expect("the file exists");
    let log = AccessLog::start(formats[format - 1], file).expect("the thread can be started");
    log.lines()
}

pub(super) fn bind(builder: Builder, settings: impl Iterator<Item = String>) -> Server {
    let mut descriptors = None;
    // No response here comes from a file.
    let builder = builder.descriptors_per_connection(1);
    let builder = settings.fold(builder, |builder, setting| {
        let (name, number) = setting.split_once('=').expect("a setting has a name");
        let number: usize = number.parse().expect("a setting has a number");
        let time = Duration::from_millis(number as u64);
        let small = || u32::try_from(number).expect("the number has 32 bits");
        match name {
            "workers" => builder.workers(number),
            "max_body" => builder.max_body(number),
            "max_connections" => builder.max_connections(number),
            "head_timeout" => builder.head_timeout(time),
            "body_timeout" => builder.body_timeout(time),
            "idle_timeout" => builder.idle_timeout(time),
            "queue_timeout" => builder.queue_timeout(time),
            "queue_limit" => builder.queue_limit(number),
            "write_timeout" => builder.write_timeout(time),
            "min_rate_grace" => builder.min_rate_grace(time),
            "min_rate" => builder.min_rate(number),
            "max_buffered_memory" => builder.max_buffered_memory(number),
            "http2" => builder.http2(number > 0),
            "max_streams" => builder.max_streams(small()),
            "stream_window" => builder.stream_window(small()),
            "connection_window" => builder.connection_window(small()),
            "handlers_per_connection" => builder.handlers_per_connection(number),
            "request_ids" => builder.request_ids(number > 0),
            #[cfg(feature = "metrics")]
            "meter" => builder.observer(httpool::services::RequestMetrics::new()),
            #[cfg(feature = "access-log")]
            "access_log" => builder.observer(access_log(number)),
            // Chooses the handler, which the bench itself does.
            "service" => builder,
            "descriptors" => {
                descriptors = Some(number as u64);
                builder
            }
            _ => panic!("unknown setting {name}"),
        }
    });
    let server = builder.bind().expect("a port is free");
    // Set last, because the server fits its connections to this limit.
    if let Some(most) = descriptors {
        let limit = Rlimit {
            current: Some(most),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        setrlimit(Resource::Nofile, limit).expect("a limit can be lowered");
    }
    server
}
