//! The figures of `/metrics`, under names and in units that are usual for them.

#[cfg(feature = "metrics")]
pub(crate) mod request_metrics;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use procfs::WithCurrentSystemInfo;
use procfs::process::{LimitValue, Process};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use self::request_metrics::{Counts, DURATIONS, Histogram, SIZES};
use super::RequestMetrics;
use crate::message::headers::media_type::accepted;
use crate::server::Phase;
use crate::server::{Handle, QueueTimes};

/// A form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prometheus' own, which everything reads that reads figures.
    Prometheus,
    OpenMetrics,
}

impl Form {
    /// OpenMetrics for those who prefer it, as Prometheus does: others could not read it.
    pub(crate) fn preferred(request: &HeaderMap) -> Self {
        let weight_of = |name| {
            let weights = accepted(request).filter(|(range, _)| range.is(name));
            weights.map(|(_, weight)| weight).max().unwrap_or(0)
        };
        if weight_of("application/openmetrics-text") > weight_of("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        })
    }
}

/// All of them, in this form.
pub(crate) fn text(
    form: Form,
    handle: &Handle,
    meter: Option<&Arc<RequestMetrics>>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(OfServer(handle.clone())));
    if let Some(meter) = meter {
        registry.register_collector(Box::new(OfRequests(Arc::clone(meter))));
    }
    registry.register_collector(Box::new(OfProcess));
    let mut written = String::new();
    match form {
        Form::Prometheus => prometheus_text::encode(&mut written, &registry)?,
        Form::OpenMetrics => text::encode(&mut written, &registry)?,
    }
    Ok(written)
}

/// The figures of a server.
#[derive(Debug)]
struct OfServer(Handle);

/// The figures of its requests.
#[derive(Debug)]
struct OfRequests(Arc<RequestMetrics>);

/// The figures of this process, by the names that are usual for them.
#[derive(Debug)]
struct OfProcess;

impl Collector for OfServer {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let progress = self.0.snapshot();
        let mut figures = Figures(encoder);
        figures.count(
            "httpool_connections_accepted",
            "Connections accepted",
            progress.accepted,
        )?;
        figures.count_each(
            "httpool_connections_ended",
            "Connections that have ended, by the reason",
            self.0
                .close_counts()
                .map(|(reason, count)| ([("reason", reason.as_str())], count)),
        )?;
        figures.level_each(
            "httpool_connections",
            "Connections open now: driven by a worker, waiting for one, or for the client",
            [
                ("driven", progress.busy),
                ("queued", progress.queued),
                (
                    "parked",
                    progress
                        .open
                        .saturating_sub(progress.busy + progress.queued),
                ),
            ]
            .map(|(state, count)| ([("state", state)], count)),
        )?;
        figures.level(
            "httpool_connections_limit",
            "Connections that may be open",
            progress.max_connections,
        )?;
        figures.count(
            "httpool_connections_limit_reached",
            "How often as many connections were open as may be",
            progress.limit_reached,
        )?;
        figures.count(
            "httpool_requests_answered",
            "Requests answered in full that came to a handler or were shed",
            progress.answered,
        )?;
        figures.count(
            "httpool_requests_cut",
            "Requests that the end of the server has cut",
            progress.aborted,
        )?;
        figures.level(
            "httpool_workers",
            "Threads that run handlers",
            progress.workers,
        )?;
        figures.level(
            "httpool_workers_busy",
            "Workers that have a connection in hand",
            progress.busy,
        )?;
        figures.waits(
            "httpool_queue_wait_seconds",
            "How long connections that could go on waited for a worker",
            &self.0.queue_times(),
        )?;
        figures.level(
            "httpool_buffered_bytes",
            "Memory kept of unfinished requests and of answers that are not taken",
            progress.buffered,
        )?;
        figures.level(
            "httpool_draining",
            "Whether the server is stopping",
            usize::from(progress.phase > Phase::Running),
        )
    }
}

impl Collector for OfRequests {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts: Counts = self.0.counts();
        let mut figures = Figures(encoder);
        figures.count_each(
            "httpool_requests",
            "Requests whose answer was made, by method and class of status",
            counts.requests(),
        )?;
        figures.count_each(
            "httpool_requests_refused",
            "Requests that were answered without a handler, by the reason",
            counts.refused(),
        )?;
        figures.count(
            "httpool_handler_panics",
            "Requests whose handler panicked",
            counts.panicked,
        )?;
        figures.spread(
            "httpool_request_duration_seconds",
            "From a request's first byte until its answer was made",
            (&DURATIONS, 1e-9),
            &counts.durations,
        )?;
        figures.spread(
            "httpool_request_size_bytes",
            "Content of requests",
            (&SIZES, 1.0),
            &counts.received,
        )?;
        figures.spread(
            "httpool_response_size_bytes",
            "Content of responses whose length was known",
            (&SIZES, 1.0),
            &counts.sent,
        )
    }
}

impl Collector for OfProcess {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Figures(encoder);
        // Where /proc does not tell, there are no such figures; the others are told all the same.
        let Ok(process) = Process::myself() else {
            return Ok(());
        };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second();
            figures.count(
                "process_cpu_seconds",
                "Time that this process has used, in user space and in the system",
                float(stat.utime + stat.stime) / float(ticks),
            )?;
            figures.level(
                "process_resident_memory_bytes",
                "Memory of this process that is in use",
                stat.rss_bytes().get(),
            )?;
            figures.level(
                "process_virtual_memory_bytes",
                "Addresses that this process has",
                stat.vsize,
            )?;
            figures.level(
                "process_threads",
                "Threads of this process",
                stat.num_threads,
            )?;
            if let Ok(boot) = procfs::boot_time_secs() {
                figures.level(
                    "process_start_time_seconds",
                    "When this process was started, since 1970",
                    boot + stat.starttime / ticks,
                )?;
            }
        }
        if let Ok(open) = process.fd_count() {
            figures.level("process_open_fds", "Descriptors open", open)?;
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            figures.level("process_max_fds", "Descriptors that may be open", most)?;
        }
        Ok(())
    }
}

/// Where figures are written.
struct Figures<'a>(DescriptorEncoder<'a>);

impl Figures<'_> {
    /// A figure that only grows.
    fn count<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        self.tell(name, help, &ConstCounter::new(value))
    }

    /// A figure that goes up and down.
    fn level<N: TryInto<i64>>(&mut self, name: &str, help: &str, value: N) -> fmt::Result {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.tell(name, help, &ConstGauge::new(value))
    }

    /// Figures that only grow, one for each of some labels.
    fn count_each<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.tell_each(name, help, MetricType::Counter, values, |value| {
            ConstCounter::new(value)
        })
    }

    /// Figures that go up and down, one for each of some labels.
    fn level_each<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, usize)>,
    ) -> fmt::Result {
        self.tell_each(name, help, MetricType::Gauge, values, |value| {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
        })
    }

    /// How values are spread, of which one is so many of the unit.
    fn spread<const BOUNDS: usize>(
        &mut self,
        name: &str,
        help: &str,
        (bounds, unit): (&[u64; BOUNDS], f64),
        values: &Histogram<BOUNDS>,
    ) -> fmt::Result {
        let bounds = bounds.iter().map(|bound| float(*bound) * unit);
        let buckets = bounds.chain([f64::INFINITY]).zip(values.counts());
        self.histogram(name, help, float(values.sum()) * unit, buckets)
    }

    /// Times by their length.
    fn waits(&mut self, name: &str, help: &str, waits: &QueueTimes) -> fmt::Result {
        let known: u64 = waits.classes.iter().map(|(_, count)| count).sum();
        let longer = (f64::INFINITY, waits.count - known);
        let classes = waits.classes.iter();
        let classes = classes.map(|(bound, count)| (bound.as_secs_f64(), *count));
        let buckets = classes.chain([longer]);
        self.histogram(name, help, waits.total.as_secs_f64(), buckets)
    }

    /// How many values are at most as large as each bound, and larger than the one before.
    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        sum: f64,
        buckets: impl Iterator<Item = (f64, u64)>,
    ) -> fmt::Result {
        let buckets: Vec<_> = buckets.collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let kind = MetricType::Histogram;
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn tell_each<L: EncodeLabelSet, V, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (L, V)>,
        metric: impl Fn(V) -> M,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            metric(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn tell(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is counted here stays far below 2^52, or need not be exact"
)]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use http::header::ACCEPT;

    use super::*;
    use crate::server::ListenAddr;
    use crate::server::Server;

    /// The figures of a text, by their names and labels. It must keep the rules of its form.
    #[track_caller]
    fn figures(form: Form, text: &str) -> HashMap<&str, f64> {
        let (text, total) = match form {
            Form::Prometheus => (text, ""),
            Form::OpenMetrics => {
                let text = text.strip_suffix("# EOF\n");
                (text.expect("the text has an end"), "_total")
            }
        };
        assert!(
            !text.contains("# EOF") && !text.contains("# UNIT"),
            "{text}"
        );
        let families = text.split("# HELP ").skip(1);
        let mut names = HashSet::new();
        let mut figures = HashMap::new();
        for family in families {
            let mut lines = family.lines();
            let (name, help) = lines
                .next()
                .and_then(|line| line.split_once(' '))
                .expect("help");
            assert!(help.len() > 10, "{help}");
            let kind = lines.next().and_then(|line| {
                let rest = line.strip_prefix("# TYPE ")?.strip_prefix(name)?;
                rest.strip_prefix(' ')
            });
            let kind = kind.expect("the type follows");
            let is_named = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.bytes().all(is_named), "{name}");
            let is_total = kind == "counter" && form == Form::Prometheus;
            assert_eq!(name.ends_with("_total"), is_total, "{name}");
            assert!(!name.ends_with("_count"), "{name}");
            assert!(names.insert(name), "{name} comes once");
            let samples: Vec<(&str, f64)> = lines.map(sample).collect();
            for (series, value) in &samples {
                let suffix = series
                    .split('{')
                    .next()
                    .and_then(|series| series.strip_prefix(name));
                match (kind, suffix.expect("it is of its family")) {
                    ("counter", suffix) if suffix == total => assert!(*value >= 0.0),
                    ("gauge", "") | ("histogram", "_sum" | "_count" | "_bucket") => {}
                    other => panic!("{series}: {other:?}"),
                }
                assert!(
                    figures.insert(*series, *value).is_none(),
                    "{series} comes once"
                );
            }
            if kind == "histogram" {
                let unit = ["_seconds", "_bytes"]
                    .iter()
                    .any(|unit| name.ends_with(unit));
                assert!(unit, "{name}");
                let buckets = samples
                    .iter()
                    .filter(|(series, _)| series.contains("_bucket"));
                let buckets: Vec<f64> = buckets.map(|(_, count)| *count).collect();
                assert!(buckets.is_sorted(), "{buckets:?}");
                let count = figures[&*format!("{name}_count")];
                let all = figures[&*format!("{name}_bucket{{le=\"+Inf\"}}")];
                assert_eq!([*buckets.last().expect("buckets"), all], [count; 2]);
            }
        }
        figures
    }

    fn sample(line: &str) -> (&str, f64) {
        let (series, value) = line.rsplit_once(' ').expect("a figure has a value");
        (series, value.parse().expect("a value is a number"))
    }

    #[test]
    fn metrics_are_well_formed() {
        let address: ListenAddr = "127.0.0.1:0".parse().expect("it is an address");
        let server = Server::builder().listen(address).workers(3).bind();
        let server = server.expect("a port is free");
        let meter = Arc::new(RequestMetrics::new());
        for (form, bound) in [(Form::Prometheus, "1024"), (Form::OpenMetrics, "1024.0")] {
            let text = text(form, &server.handle(), Some(&meter)).expect("it can be written");
            let figures = figures(form, &text);
            assert!((figures["httpool_workers"] - 3.0).abs() < f64::EPSILON);
            assert!(figures["process_resident_memory_bytes"] > 1e5);
            assert!(figures["process_open_fds"] >= 3.0);
            for name in [
                r#"httpool_requests_total{method="other",status="5xx"}"#,
                r#"httpool_requests_total{method="GET",status="1xx"}"#,
                r#"httpool_requests_refused_total{reason="line_end"}"#,
                r#"httpool_requests_refused_total{reason="late"}"#,
                r#"httpool_connections{state="parked"}"#,
                r#"httpool_connections_ended_total{reason="slow_reader"}"#,
                r#"httpool_request_duration_seconds_bucket{le="0.00025"}"#,
                &format!(r#"httpool_response_size_bytes_bucket{{le="{bound}"}}"#),
            ] {
                assert!(figures.contains_key(name), "no {name} in {text}");
            }
        }
    }

    #[test]
    fn open_metrics_are_for_those_who_prefer_them() {
        #[track_caller]
        fn check(accept: &'static str, expected: Form) {
            let mut request = HeaderMap::new();
            request.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Form::preferred(&request), expected, "{accept}");
        }
        assert_eq!(Form::preferred(&HeaderMap::new()), Form::Prometheus);
        check("*/*", Form::Prometheus);
        check("text/plain", Form::Prometheus);
        check("application/openmetrics-text", Form::OpenMetrics);
        check("application/openmetrics-text;q=0, */*", Form::Prometheus);
        check(
            "text/plain;version=0.0.4, application/openmetrics-text;q=0.9",
            Form::Prometheus,
        );
        // What Prometheus 2 and 3 send.
        check(
            "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Form::OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Form::OpenMetrics,
        );
    }
}
