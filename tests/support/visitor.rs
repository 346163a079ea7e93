//! A client that keeps cookies, over either protocol.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::http2::Http2Client;
use super::request::Field;
use super::{Client, ClientSetup, Response, TestServer};

/// A client with the cookies that it was given.
#[derive(Debug)]
pub(crate) struct Visitor {
    connection: Connection,
    scheme: &'static str,
    pub(crate) cookies: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Connection {
    Http1(Client),
    Http2(Box<Http2Client>),
}

impl Visitor {
    /// A client of HTTP/1.1 and one of HTTP/2.
    #[track_caller]
    pub(crate) fn of_both_protocols(server: &TestServer) -> [Self; 2] {
        [
            Connection::Http1(server.connect()),
            Connection::Http2(Box::new(Http2Client::connect(server))),
        ]
        .map(|connection| Self {
            connection,
            scheme: match server.client_setup() {
                ClientSetup::Tls(_) => "https",
                ClientSetup::Open | ClientSetup::File(_) => "http",
            },
            cookies: BTreeMap::new(),
        })
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[])
    }

    #[track_caller]
    pub(crate) fn post(&mut self, target: &str) -> Response {
        self.request("POST", target, &[])
    }

    /// Sends a request without content, and keeps the cookies of its response. In HTTP/2 each cookie is a
    /// header of its own, as browsers send it.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[Field<'_>],
    ) -> Response {
        let pairs = self.cookies.iter();
        let mut cookies: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if let Connection::Http1(_) = self.connection
            && !cookies.is_empty()
        {
            cookies = vec![cookies.join("; ")];
        }
        let cookies = cookies.iter().map(|cookie| ("cookie", cookie.as_str()));
        let headers: Vec<_> = headers.iter().copied().chain(cookies).collect();
        let response = (self.connection).exchange(self.scheme, method, target, &headers);
        for (name, value) in &response.headers {
            if name == "set-cookie" {
                self.keep(value);
            }
        }
        response
    }

    /// Gives the visitor the cookies `c0=0`, `c1=1` and so on.
    pub(crate) fn have_cookies(&mut self, count: usize) {
        let cookies = (0..count).map(|number| (format!("c{number}"), number.to_string()));
        self.cookies.extend(cookies);
    }

    fn keep(&mut self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once("; ").unwrap_or((set_cookie, ""));
        let (name, value) = pair.split_once('=').expect("a cookie has a name");
        match attributes
            .split("; ")
            .any(|attribute| attribute == "Max-Age=0")
        {
            true => drop(self.cookies.remove(name)),
            false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
        }
    }
}

impl Connection {
    #[track_caller]
    fn exchange(
        &mut self,
        scheme: &str,
        method: &str,
        target: &str,
        headers: &[Field<'_>],
    ) -> Response {
        match self {
            Self::Http1(client) => {
                let mut head = format!("{method} {target} HTTP/1.1\r\nHost: it\r\n");
                for (name, value) in headers {
                    write!(head, "{name}: {value}\r\n").expect("a string can be written");
                }
                client.send(head + "\r\n").expect_response()
            }
            Self::Http2(client) => {
                let mut fields = vec![
                    (":method", method),
                    (":scheme", scheme),
                    (":authority", "it"),
                    (":path", target),
                ];
                fields.extend(headers);
                let stream = client.request(&fields);
                client.expect_response(stream)
            }
        }
    }
}
