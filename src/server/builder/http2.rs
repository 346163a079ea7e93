//! The settings of HTTP/2.

use crate::connection::config::{MAX_WINDOW, MIN_WINDOW};
use crate::server::Builder;

impl Builder {
    /// Sets whether clients may speak HTTP/2. Default: [`HTTP2`](crate::defaults::HTTP2).
    ///
    /// TLS clients choose between HTTP/2 and HTTP/1.1 in their handshake (ALPN). Other clients must
    /// know that the server speaks HTTP/2: a connection that begins with its preface speaks it, and
    /// any other one HTTP/1.1. Handlers, limits and the drain are the same in both. A handler finds
    /// the protocol of its request in [`Request::version`](http::Request::version).
    ///
    /// ```
    /// use httpool::{Request, Server};
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let handler = |request: Request| format!("you speak {:?}\n", request.version());
    /// # let _ = (server, handler);
    /// # Ok::<(), httpool::BindError>(())
    /// ```
    pub fn http2(mut self, enabled: bool) -> Self {
        self.config.http2 = enabled;
        self
    }

    /// Sets how many streams an HTTP/2 client may have open on a connection, at least one. A stream is
    /// a request with its response. Clients learn the limit and wait with further requests; those of a
    /// client that does not wait are refused before a handler sees them. Default:
    /// [`MAX_STREAMS`](crate::defaults::MAX_STREAMS).
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// // The only client is a proxy, which sends the requests of many clients on few connections.
    /// let builder = Server::builder().max_streams(1000);
    /// ```
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.config.max_streams = streams.max(1);
        self
    }

    /// Sets how many bytes of a request body an HTTP/2 client may send before the server has taken
    /// earlier ones, from 64 KiB - 1, the smallest window of a connection, to 2 GiB. A client sends at
    /// most this many bytes in one round trip. Default:
    /// [`STREAM_WINDOW`](crate::defaults::STREAM_WINDOW).
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// // For uploads at 40 MB/s from clients with a round trip of 100 ms.
    /// let builder = Server::builder().stream_window(4 << 20);
    /// ```
    pub fn stream_window(mut self, bytes: u32) -> Self {
        self.config.stream_window = bytes.clamp(MIN_WINDOW, MAX_WINDOW);
        self
    }

    /// Sets how many bytes all request bodies of one HTTP/2 connection together may have on their way,
    /// from 64 KiB - 1 to 2 GiB. Default:
    /// [`CONNECTION_WINDOW`](crate::defaults::CONNECTION_WINDOW).
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// // Uploads are small, so a connection needs no more than a single stream.
    /// let builder = Server::builder().stream_window(128 << 10).connection_window(128 << 10);
    /// assert!(builder.conflicts().is_empty());
    /// ```
    pub fn connection_window(mut self, bytes: u32) -> Self {
        self.config.connection_window = bytes.clamp(MIN_WINDOW, MAX_WINDOW);
        self
    }

    /// Sets how many handlers may run at once for the requests of one HTTP/2 connection, at least one.
    /// Further requests of that connection wait until a handler returns. A handler counts until it
    /// returns, also if its client has cancelled the request. Readers of response bodies are counted
    /// apart: one connection has at most as many at once as leave a worker for other clients, and at
    /// least one. Default: half of the [workers](Self::workers)
    /// ([`handlers_per_connection`](crate::defaults::handlers_per_connection)).
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// // The only client is a proxy with one connection, which may use all workers.
    /// let builder = Server::builder().workers(16).handlers_per_connection(16);
    /// ```
    pub fn handlers_per_connection(mut self, handlers: usize) -> Self {
        self.config.handlers_per_connection = Some(handlers.max(1));
        self
    }

    /// Keeps the settings with which each client of HTTP/2 opens its connection, for
    /// [`ClientInfo::http2_settings`](crate::ClientInfo::http2_settings). Default: no, because they take some
    /// 130 bytes for each connection.
    ///
    /// ```
    /// use httpool::{ClientInfo, Request, Server};
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").client_settings(true).bind()?;
    /// let handler = |request: Request| {
    ///     let settings = ClientInfo::of(&request).and_then(ClientInfo::http2_settings);
    ///     format!("you begin with {settings:?}\n")
    /// };
    /// # let _ = (server, handler);
    /// # Ok::<(), httpool::BindError>(())
    /// ```
    pub fn client_settings(mut self, enabled: bool) -> Self {
        self.config.client_settings = enabled;
        self
    }
}
