//! Writes single metrics in the types of Prometheus.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::request_metrics::Histogram;
use crate::server::QueueTimes;

/// Writes metrics.
pub(super) struct MetricWriter<'a>(pub(super) DescriptorEncoder<'a>);

impl MetricWriter<'_> {
    /// A counter.
    pub(super) fn counter<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        self.write(name, help, &ConstCounter::new(value))
    }

    /// A gauge.
    pub(super) fn gauge<N: TryInto<i64>>(
        &mut self,
        name: &str,
        help: &str,
        value: N,
    ) -> fmt::Result {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.write(name, help, &ConstGauge::new(value))
    }

    /// A counter with labels.
    pub(super) fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        self.write_each(name, help, MetricType::Counter, values, |value| {
            ConstCounter::new(value)
        })
    }

    /// A gauge with labels.
    pub(super) fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, usize)>,
    ) -> fmt::Result {
        self.write_each(name, help, MetricType::Gauge, values, |value| {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
        })
    }

    /// A histogram. `unit` is the value of 1 in the metric's unit.
    pub(super) fn histogram<const BOUNDS: usize>(
        &mut self,
        name: &str,
        help: &str,
        (bounds, unit): (&[u64; BOUNDS], f64),
        values: &Histogram<BOUNDS>,
    ) -> fmt::Result {
        let buckets = buckets(bounds, unit, values);
        self.buckets(name, help, float(values.sum()) * unit, buckets.into_iter())
    }

    /// Histograms with labels.
    pub(super) fn histograms<'h, L: EncodeLabelSet, const BOUNDS: usize>(
        &mut self,
        name: &str,
        help: &str,
        (bounds, unit): (&[u64; BOUNDS], f64),
        values: impl IntoIterator<Item = (L, &'h Histogram<BOUNDS>)>,
    ) -> fmt::Result {
        let kind = MetricType::Histogram;
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, histogram) in values {
            let buckets = buckets(bounds, unit, histogram);
            let count = buckets.iter().map(|(_, count)| count).sum();
            let sum = float(histogram.sum()) * unit;
            encoder
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    /// A histogram of times in the queue.
    pub(super) fn queue_times(
        &mut self,
        name: &str,
        help: &str,
        times: &QueueTimes,
    ) -> fmt::Result {
        let bounded: u64 = times.classes.iter().map(|(_, count)| count).sum();
        let longer = (f64::INFINITY, times.count - bounded);
        let classes = times.classes.iter();
        let classes = classes.map(|(bound, count)| (bound.as_secs_f64(), *count));
        let buckets = classes.chain([longer]);
        self.buckets(name, help, times.total.as_secs_f64(), buckets)
    }

    /// A histogram from buckets that are not cumulative.
    fn buckets(
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

    fn write_each<L: EncodeLabelSet, V, M: EncodeMetric>(
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

    fn write(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }
}

/// The bounds and counts of the buckets, which are not cumulative.
fn buckets<const BOUNDS: usize>(
    bounds: &[u64; BOUNDS],
    unit: f64,
    values: &Histogram<BOUNDS>,
) -> Vec<(f64, u64)> {
    let bounds = bounds.iter().map(|bound| float(*bound) * unit);
    bounds.chain([f64::INFINITY]).zip(values.counts()).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the values stay far below 2^52, or need not be exact"
)]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}
