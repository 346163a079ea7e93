//! The connection of a request, as it is shown and stored.

use serde::{Deserialize, Serialize};

use crate::message::ClientInfo;

#[cfg(feature = "_tls")]
use super::certificate;

/// The connection of a request, and the place of the request on it. Members that are not known have
/// no value; of a request without a connection, no member is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Connection {
    /// The other end of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<String>,
    /// The trusted proxy that the client connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// The client, as far as trusted proxies have named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<String>,
    /// The source of the client's address: `peer`, `PROXY protocol`, `Forwarded` or `X-Forwarded-For`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_from: Option<String>,
    /// Which element of that header, from the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_hop: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<String>,
    /// The number of the request on its connection of HTTP/1.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_number: Option<u32>,
    /// Whether the server has asked for the body with `100 Continue`.
    pub(super) sent_100_continue: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http2: Option<Http2>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls>,
}

/// The data of an HTTP/2 connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Http2 {
    pub(super) stream: u32,
    /// The settings of the client's first SETTINGS frame, in its order.
    pub(super) settings: Vec<Setting>,
}

/// A setting of RFC 9113 section 6.5.2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Setting {
    pub(super) id: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) value: u32,
}

/// The data of a TLS connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tls {
    pub(super) version: String,
    pub(super) cipher_suite: String,
    /// The server name of the client (SNI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_name: Option<String>,
    /// The negotiated protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alpn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_certificate: Option<Certificate>,
}

/// The certificate of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Certificate {
    /// As text of RFC 4514. `None`, as the next members, if the certificate can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    /// In hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial_number: Option<String>,
    /// The validity, as RFC 3339 has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_after: Option<String>,
    /// The fingerprint, in hexadecimal digits.
    pub(super) sha256: String,
    /// How many certificates the client has sent, with this one.
    pub(super) chain_length: usize,
}

impl Connection {
    pub(super) fn of(client_info: &ClientInfo) -> Self {
        let source = client_info.client_source();
        Self {
            peer: Some(client_info.peer().to_string()),
            proxy: client_info.proxy().map(|proxy| proxy.to_string()),
            client: client_info.client().map(|client| client.to_string()),
            client_from: Some(source.as_str().to_owned()),
            client_hop: source.hop(),
            scheme: client_info.scheme().map(ToString::to_string),
            request_number: client_info.request_number(),
            sent_100_continue: client_info.got_continue(),
            http2: http2(client_info),
            tls: tls(client_info),
        }
    }
}

#[cfg(feature = "http2")]
fn http2(client_info: &ClientInfo) -> Option<Http2> {
    let stream = client_info.stream_id()?;
    let settings = client_info.http2_settings().unwrap_or_default();
    Some(Http2 {
        stream,
        settings: settings
            .iter()
            .map(|(id, value)| Setting {
                id: *id,
                name: setting_name(*id).map(str::to_owned),
                value: *value,
            })
            .collect(),
    })
}

/// The registered names (RFC 9113 section 11.3, RFC 8441, RFC 9218).
#[cfg(feature = "http2")]
fn setting_name(id: u16) -> Option<&'static str> {
    Some(match id {
        1 => "HEADER_TABLE_SIZE",
        2 => "ENABLE_PUSH",
        3 => "MAX_CONCURRENT_STREAMS",
        4 => "INITIAL_WINDOW_SIZE",
        5 => "MAX_FRAME_SIZE",
        6 => "MAX_HEADER_LIST_SIZE",
        8 => "ENABLE_CONNECT_PROTOCOL",
        9 => "NO_RFC7540_PRIORITIES",
        _ => return None,
    })
}

#[cfg(not(feature = "http2"))]
fn http2(_: &ClientInfo) -> Option<Http2> {
    None
}

#[cfg(feature = "_tls")]
fn tls(client_info: &ClientInfo) -> Option<Tls> {
    let tls = client_info.tls()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Tls {
        version: tls.version().as_str().to_owned(),
        cipher_suite: tls.cipher_suite().to_owned(),
        server_name: tls.server_name().map(str::to_owned),
        alpn: tls.alpn().map(text),
        client_certificate: certificate::read(tls.peer_certificates()),
    })
}

#[cfg(not(feature = "_tls"))]
fn tls(_: &ClientInfo) -> Option<Tls> {
    None
}
