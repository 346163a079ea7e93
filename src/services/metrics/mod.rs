//! The metrics of `/metrics`, with the usual names and units.

mod format;
pub(crate) mod request_metrics;
mod writer;

use std::fmt;
use std::sync::Arc;

use procfs::WithCurrentSystemInfo;
use procfs::process::{LimitValue, Process};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

pub(crate) use self::format::Format;
use self::request_metrics::{Counts, DURATIONS, SIZES};
use self::writer::{MetricWriter, float};
use super::RequestMetrics;
use crate::server::Handle;
use crate::server::Phase;

/// All metrics in this format.
pub(crate) fn text(
    format: Format,
    handle: &Handle,
    requests: Option<&Arc<RequestMetrics>>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(ServerCollector(handle.clone())));
    if let Some(requests) = requests {
        registry.register_collector(Box::new(RequestCollector(Arc::clone(requests))));
    }
    registry.register_collector(Box::new(ProcessCollector));
    let mut output = String::new();
    match format {
        Format::Prometheus => prometheus_text::encode(&mut output, &registry)?,
        Format::OpenMetrics => text::encode(&mut output, &registry)?,
    }
    Ok(output)
}

/// Metrics of a server.
#[derive(Debug)]
struct ServerCollector(Handle);

/// Metrics of its requests.
#[derive(Debug)]
struct RequestCollector(Arc<RequestMetrics>);

/// Metrics of this process, with Prometheus' standard names.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ServerCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.0.snapshot();
        let mut writer = MetricWriter(encoder);
        writer.counter(
            "httpool_connections_accepted",
            "Connections accepted",
            snapshot.accepted,
        )?;
        writer.counters(
            "httpool_connections_ended",
            "Closed connections by reason",
            self.0
                .close_counts()
                .map(|(reason, count)| ([("reason", reason.as_str())], count)),
        )?;
        writer.gauges(
            "httpool_connections",
            "Open connections by state: driven by a worker, queued for one, or parked",
            [
                ("driven", snapshot.busy),
                ("queued", snapshot.queued),
                (
                    "parked",
                    snapshot
                        .open
                        .saturating_sub(snapshot.busy + snapshot.queued),
                ),
            ]
            .map(|(state, count)| ([("state", state)], count)),
        )?;
        writer.gauge(
            "httpool_connections_limit",
            "Largest number of open connections",
            snapshot.max_connections,
        )?;
        writer.counter(
            "httpool_connections_limit_reached",
            "How often the limit of open connections was reached",
            snapshot.limit_reached,
        )?;
        writer.counter(
            "httpool_requests_answered",
            "Requests with a complete response from a handler or from load shedding",
            snapshot.answered,
        )?;
        writer.counter(
            "httpool_requests_aborted",
            "Requests aborted by shutdown",
            snapshot.aborted,
        )?;
        writer.gauge(
            "httpool_workers",
            "Threads that run handlers",
            snapshot.workers,
        )?;
        writer.gauge(
            "httpool_workers_busy",
            "Workers that drive a connection",
            snapshot.busy,
        )?;
        writer.queue_times(
            "httpool_queue_wait_seconds",
            "Time that ready connections waited for a worker",
            &self.0.queue_times(),
        )?;
        writer.gauge(
            "httpool_buffered_bytes",
            "Memory of incomplete requests and unsent responses",
            snapshot.buffered,
        )?;
        writer.gauge(
            "httpool_draining",
            "1 while the server drains, otherwise 0",
            usize::from(snapshot.phase > Phase::Running),
        )?;
        #[cfg(feature = "http2")]
        write_http2(&self.0, &mut writer)?;
        Ok(())
    }
}

/// Metrics of its HTTP/2 connections.
#[cfg(feature = "http2")]
fn write_http2(handle: &Handle, writer: &mut MetricWriter<'_>) -> fmt::Result {
    let counts = handle.http2_counts();
    writer.gauge(
        "httpool_http2_streams",
        "Open streams of HTTP/2 connections",
        counts.streams,
    )?;
    writer.counter(
        "httpool_http2_streams_refused",
        "Streams refused because the client had too many open",
        counts.refused,
    )?;
    writer.counters(
        "httpool_http2_streams_reset",
        "Streams reset before their end, by side",
        [
            ("client", counts.reset_by_client),
            ("server", counts.reset_by_server),
        ]
        .map(|(side, count)| ([("side", side)], count)),
    )?;
    writer.counters(
        "httpool_http2_goaways",
        "GOAWAYs sent, by reason",
        handle
            .goaway_counts()
            .map(|(reason, count)| ([("reason", reason)], count)),
    )?;
    writer.counters(
        "httpool_http2_abuse",
        "Connections ended because of too much useless work, by its kind",
        handle
            .abuse_counts()
            .map(|(kind, count)| ([("kind", kind)], count)),
    )?;
    writer.counter(
        "httpool_http2_connections_stolen",
        "Connections that another worker took while one of their handlers ran",
        counts.stolen,
    )?;
    writer.counter(
        "httpool_http2_responses_posted",
        "Responses of handlers that returned after their connection was taken",
        counts.posted,
    )
}

impl Collector for RequestCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts: Counts = self.0.counts();
        let mut writer = MetricWriter(encoder);
        writer.counters(
            "httpool_requests",
            "Requests with a response, by method and status class",
            counts.requests(),
        )?;
        writer.counters(
            "httpool_requests_by_route",
            "Requests with a response, by path of the route, method and status class",
            counts.requests_by_route(),
        )?;
        writer.counters(
            "httpool_requests_by_version",
            "Requests with a response, by version of HTTP; unknown if the head is malformed",
            counts.versions(),
        )?;
        writer.counters(
            "httpool_requests_rejected",
            "Requests rejected without a handler, by reason",
            counts.rejected(),
        )?;
        writer.counter(
            "httpool_handler_panics",
            "Requests whose handler panicked",
            counts.panicked,
        )?;
        writer.counters(
            "httpool_later_responses_missed",
            "Requests whose response was to come later and did not come, by reason",
            counts.late(),
        )?;
        writer.histogram(
            "httpool_request_duration_seconds",
            "Time from the first byte of a request until its response was made",
            (&DURATIONS, 1e-9),
            &counts.durations,
        )?;
        writer.histograms(
            "httpool_request_duration_by_route_seconds",
            "Time from the first byte of a request until its response was made, by path of the route",
            (&DURATIONS, 1e-9),
            counts.durations_by_route(),
        )?;
        writer.histogram(
            "httpool_request_size_bytes",
            "Size of the content of requests",
            (&SIZES, 1.0),
            &counts.received,
        )?;
        writer.histogram(
            "httpool_response_size_bytes",
            "Size of the content of responses with a known length",
            (&SIZES, 1.0),
            &counts.sent,
        )
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = MetricWriter(encoder);
        // Metrics that /proc does not provide are omitted.
        let Ok(process) = Process::myself() else {
            return Ok(());
        };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second();
            writer.counter(
                "process_cpu_seconds",
                "User and system CPU time of this process",
                float(stat.utime + stat.stime) / float(ticks),
            )?;
            writer.gauge(
                "process_resident_memory_bytes",
                "Resident memory of this process",
                stat.rss_bytes().get(),
            )?;
            writer.gauge(
                "process_virtual_memory_bytes",
                "Virtual memory of this process",
                stat.vsize,
            )?;
            writer.gauge(
                "process_threads",
                "Threads of this process",
                stat.num_threads,
            )?;
            if let Ok(boot) = procfs::boot_time_secs() {
                writer.gauge(
                    "process_start_time_seconds",
                    "Start time of this process since the Unix epoch",
                    boot + stat.starttime / ticks,
                )?;
            }
        }
        if let Ok(open) = process.fd_count() {
            writer.gauge("process_open_fds", "Open file descriptors", open)?;
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            writer.gauge(
                "process_max_fds",
                "Largest number of open file descriptors",
                most,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::message::{
        ClientInfo, MatchedPath, Observer, Outcome, PeerAddr, RawRequest, RequestRecord,
    };
    use crate::server::ListenAddr;
    use crate::server::Server;

    /// The samples of a text, by their names and labels. Fails if the text breaks a rule of its
    /// format.
    #[track_caller]
    fn samples(format: Format, text: &str) -> HashMap<&str, f64> {
        let (text, total) = match format {
            Format::Prometheus => (text, ""),
            Format::OpenMetrics => {
                let text = text.strip_suffix("# EOF\n");
                (text.expect("the text ends with EOF"), "_total")
            }
        };
        assert!(
            !text.contains("# EOF") && !text.contains("# UNIT"),
            "{text}"
        );
        let families = text.split("# HELP ").skip(1);
        let mut names = HashSet::new();
        let mut all = HashMap::new();
        for family in families {
            let mut lines = family.lines();
            let (name, help) = lines
                .next()
                .and_then(|line| line.split_once(' '))
                .expect("each family begins with HELP");
            assert!(help.len() > 10, "{help}");
            let kind = lines.next().and_then(|line| {
                let rest = line.strip_prefix("# TYPE ")?.strip_prefix(name)?;
                rest.strip_prefix(' ')
            });
            let kind = kind.expect("TYPE follows HELP");
            let is_named =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(name.bytes().all(is_named), "{name}");
            let is_total = kind == "counter" && format == Format::Prometheus;
            assert_eq!(name.ends_with("_total"), is_total, "{name}");
            assert!(!name.ends_with("_count"), "{name}");
            assert!(names.insert(name), "{name} occurs once");
            let samples: Vec<(&str, f64)> = lines.map(sample).collect();
            for (series, value) in &samples {
                let suffix = series
                    .split('{')
                    .next()
                    .and_then(|series| series.strip_prefix(name));
                match (kind, suffix.expect("the sample is of its family")) {
                    ("counter", suffix) if suffix == total => assert!(*value >= 0.0),
                    ("gauge", "") | ("histogram", "_sum" | "_count" | "_bucket") => {}
                    other => panic!("{series}: {other:?}"),
                }
                assert!(
                    all.insert(*series, *value).is_none(),
                    "{series} occurs once"
                );
            }
            if kind == "histogram" {
                let has_unit = ["_seconds", "_bytes"]
                    .iter()
                    .any(|unit| name.ends_with(unit));
                assert!(has_unit, "{name}");
                check_buckets(name, &samples);
            }
        }
        all
    }

    /// Checks the buckets of a histogram, or of each one with the same labels.
    #[track_caller]
    fn check_buckets(name: &str, samples: &[(&str, f64)]) {
        let start = format!("{name}_count");
        for (series, count) in samples {
            let Some(labels) = series.strip_prefix(&start) else {
                continue;
            };
            let labels = labels.trim_matches(['{', '}']);
            let is_bucket = |series: &str| series.contains("_bucket{") && series.contains(labels);
            let buckets = samples.iter().filter(|(series, _)| is_bucket(series));
            let (names, counts): (Vec<_>, Vec<_>) = buckets.copied().unzip();
            assert!(counts.is_sorted(), "{counts:?}");
            assert_eq!(counts.last(), Some(count), "{series}");
            let last = names.last().expect("there are buckets");
            assert!(last.contains("le=\"+Inf\""), "{last}");
        }
    }

    fn sample(line: &str) -> (&str, f64) {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        (series, value.parse().expect("a value is a number"))
    }

    #[test]
    fn metrics_are_well_formed() {
        let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
        let server = Server::builder().listen(address).workers(3).bind();
        let server = server.expect("a port is free");
        let requests = Arc::new(RequestMetrics::new());
        for path in [None, Some(&MatchedPath::new("/\"{name}"))] {
            requests.on_response(&RequestRecord {
                worker: 0,
                raw_request: &RawRequest::new(b"GET / HTTP/1.1\r\n\r\n"[..].into(), None),
                client_info: &ClientInfo::new(PeerAddr::UNIX),
                matched_path: path,
                user: None,
                id: None,
                outcome: Outcome::Handled,
                status: StatusCode::OK,
                received: 0,
                sent: None,
                duration: Duration::from_micros(70),
            });
        }
        for (format, bound) in [
            (Format::Prometheus, "1024"),
            (Format::OpenMetrics, "1024.0"),
        ] {
            let text =
                text(format, &server.handle(), Some(&requests)).expect("metrics can be written");
            let samples = samples(format, &text);
            assert!((samples["httpool_workers"] - 3.0).abs() < f64::EPSILON);
            assert!(samples["process_resident_memory_bytes"] > 1e5);
            assert!(samples["process_open_fds"] >= 3.0);
            for name in [
                r#"httpool_requests_total{method="other",status="5xx"}"#,
                r#"httpool_requests_total{method="GET",status="1xx"}"#,
                r#"httpool_requests_by_route_total{route="none",method="GET",status="5xx"}"#,
                r#"httpool_requests_by_route_total{route="/\"{name}",method="GET",status="2xx"}"#,
                r#"httpool_request_duration_by_route_seconds_count{route="/\"{name}"}"#,
                r#"httpool_requests_by_version_total{version="2.0"}"#,
                r#"httpool_requests_rejected_total{reason="line_end"}"#,
                r#"httpool_requests_rejected_total{reason="late"}"#,
                r#"httpool_connections{state="parked"}"#,
                r#"httpool_connections_ended_total{reason="slow_reader"}"#,
                r#"httpool_request_duration_seconds_bucket{le="0.00025"}"#,
                &format!(r#"httpool_response_size_bytes_bucket{{le="{bound}"}}"#),
            ] {
                assert!(samples.contains_key(name), "no {name} in {text}");
            }
            #[cfg(feature = "http2")]
            for name in [
                "httpool_http2_streams",
                r#"httpool_http2_streams_reset_total{side="client"}"#,
                r#"httpool_http2_goaways_total{reason="ENHANCE_YOUR_CALM"}"#,
                r#"httpool_http2_abuse_total{kind="resets"}"#,
                "httpool_http2_responses_posted_total",
            ] {
                assert!(samples.contains_key(name), "no {name} in {text}");
            }
        }
    }
}
