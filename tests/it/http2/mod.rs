//! HTTP/2 over TCP, Unix sockets and TLS, where clients choose it by ALPN.

/// Floods, stalls and other attacks end the attacker's connection or stream and nothing else.
mod attacks;
/// Request and response bodies of every kind and size.
mod bodies;
/// Responses whose content other threads send.
mod channels;
/// HTTP/1.1 and HTTP/2 on the same port, certificates, proxies and upgrades.
mod connections;
/// Graceful shutdown.
mod drain;
/// Many slow and greedy clients at once: they are closed, and a good client is served.
mod greedy;
/// Limits and malformed requests.
mod limits;
/// Load shedding.
mod overload;
/// The access log and observers.
mod records;
/// Methods, statuses and parallel streams.
mod requests;
/// Each stream and each connection has its timeouts.
mod timeouts;
/// WebSockets on streams (RFC 8441).
mod websockets;
