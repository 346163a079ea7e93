//! The text formats of `/metrics`.

use http::{HeaderMap, HeaderValue};
use prometheus_client::encoding::prometheus_text;

use crate::message::headers::media_type::accepted;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own, which all collectors read.
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// Chooses OpenMetrics only if the client prefers it, as Prometheus does; other clients may not
    /// read it.
    pub(crate) fn preferred(request: &HeaderMap) -> Self {
        let quality_of = |name| {
            let ranges = accepted(request).filter(|(range, _)| range.is(name));
            ranges.map(|(_, quality)| quality).max().unwrap_or(0)
        };
        if quality_of("application/openmetrics-text") > quality_of("text/plain") {
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

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn open_metrics_is_only_for_clients_that_prefer_it() {
        #[track_caller]
        fn check(accept: &'static str, expected: Format) {
            let mut request = HeaderMap::new();
            request.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::preferred(&request), expected, "{accept}");
        }
        assert_eq!(Format::preferred(&HeaderMap::new()), Format::Prometheus);
        check("*/*", Format::Prometheus);
        check("text/plain", Format::Prometheus);
        check("application/openmetrics-text", Format::OpenMetrics);
        check("application/openmetrics-text;q=0, */*", Format::Prometheus);
        check(
            "text/plain;version=0.0.4, application/openmetrics-text;q=0.9",
            Format::Prometheus,
        );
        // The headers of Prometheus 2 and 3.
        check(
            "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Format::OpenMetrics,
        );
    }
}
