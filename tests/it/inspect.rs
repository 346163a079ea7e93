use httpool::services::inspect::{Inspect, Settings};
use httpool::{Builder, ClientCertificates, ForwardedBy, ListenAddr, Server, Tls, TrustedProxy};
use serde_json::{Value, json};

use crate::support::http2::{END_STREAM, Http2Client, request_fields};
use crate::support::request::{PROXY_V1, get, get_and_close};
use crate::support::tls::{self, CertificateAuthority, NAME, for_http2};
use crate::support::{BoundServer, Client, Response, TempPath, TestServer};

fn inspect() -> Inspect {
    Inspect::new(Settings::default())
}

fn server(configure: impl FnOnce(Builder) -> Builder) -> TestServer {
    TestServer::spawn(|builder| configure(builder.request_times(true)), inspect())
}

#[track_caller]
fn document(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    serde_json::from_slice(&response.body).expect("the document is JSON")
}

#[track_caller]
fn inspected(client: &mut Client, request: impl AsRef<[u8]>) -> Value {
    client.send(request);
    document(&client.expect_status(200))
}

#[test]
fn chunked_request_is_described_as_it_came() {
    let request = "PATCH /a/%62?x=1&x=2 HTTP/1.1\r\nhOST: it\r\nX-A:  1\r\nx-a: 2\r\n\
                   Transfer-Encoding: chunked\r\n\r\n\
                   5;ext=1\r\nhello\r\n0\r\nSum: 1\r\n\r\n";
    let server = server(|builder| builder);
    let mut client = server.connect();
    let document = inspected(&mut client, request);
    let names: Vec<_> = document["header_lines"]
        .as_array()
        .expect("the lines are a list")
        .iter()
        .map(|line| line["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["hOST", "X-A", "x-a", "Transfer-Encoding"]);
    assert_eq!(document["target"]["path"], "/a/b");
    assert_eq!(document["body"]["text"], "hello");
    assert_eq!(document["chunks"]["lines"], json!(["5;ext=1", "0"]));
    assert_eq!(document["trailer_lines"][0]["name"], "Sum");
    assert!(document["times"]["read_us"].is_u64(), "{document}");

    let again = request.replace("/a/%62?x=1&x=2", "/?format=http");
    client.send(&again);
    assert_eq!(client.expect_status(200).text(), again);
}

#[test]
fn connection_shows_number_peer_and_continue() {
    let server = server(|builder| builder);
    let mut client = server.connect();
    let address = client.local_addr().to_string();
    let document = inspected(&mut client, get("/anything"));
    let expected = json!({
        "peer": address, "client": address, "client_from": "peer", "scheme": "http",
        "request_number": 1, "sent_100_continue": false,
    });
    assert_eq!(document["connection"], expected);
    client.send("PUT / HTTP/1.1\r\nHost: it\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    client.expect_status(100);
    let document = inspected(&mut client, "x");
    assert_eq!(document["connection"]["request_number"], 2);
    assert_eq!(document["connection"]["sent_100_continue"], true);
}

#[test]
fn every_method_is_described() {
    let server = server(|builder| builder);
    let mut client = server.connect();
    for method in ["GET", "POST", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let request = format!("{method} /other HTTP/1.1\r\nHost: it\r\n\r\n");
        let document = inspected(&mut client, request);
        assert_eq!(document["method"], method);
    }
    client.send("HEAD /other HTTP/1.1\r\nHost: it\r\n\r\n");
    assert_eq!(client.expect_response_to_head().status, 200);
}

#[test]
fn unix_client_has_no_address() {
    let path = TempPath::new("inspect.sock");
    let builder = Server::builder().listen(path.as_ref()).workers(2);
    let server = BoundServer::from(builder.bind().expect("the path is free")).run(inspect());
    let document = inspected(&mut server.connect(), get("/"));
    assert_eq!(document["connection"]["peer"], "unix");
    assert_eq!(document["times"].get("read_us"), None, "not measured");
}

#[test]
fn client_certificate_is_described() {
    let (authority, staff) = (CertificateAuthority::new(), CertificateAuthority::new());
    let issued = authority.issue(&[NAME]);
    let tls = Tls::builder()
        .certificate_pem(&*issued.certificate, &*issued.key)
        .client_authorities_pem(staff.certificate())
        .client_certificates(ClientCertificates::Optional)
        .build();
    let tls = tls.expect("the key matches");
    let server = tls::bind(tls, |builder| builder).run(inspect());
    let own = staff.issue_with(&["client"], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::CommonName, "ada");
    });
    let config = authority.client_with(rustls::ALL_VERSIONS, Some(&own));
    let mut client = server.connect().with_tls(&config, NAME);
    let document = inspected(&mut client, get("/"));
    let shown = &document["connection"]["tls"];
    assert_eq!(
        (&shown["version"], &shown["alpn"]),
        (&json!("TLSv1.3"), &json!("http/1.1"))
    );
    assert_eq!(shown["server_name"], NAME);
    assert_eq!(shown["client_certificate"]["subject"], "CN=ada");
    let sum = shown["client_certificate"]["sha256"].as_str();
    assert_eq!(sum.map(str::len), Some(64));

    let mut client = server.connect().with_tls(&authority.client(), NAME);
    let document = inspected(&mut client, get("/"));
    assert_eq!(
        document["connection"]["tls"].get("client_certificate"),
        None
    );

    let config = for_http2(&config);
    let connection = server.connect().with_tls(&config, NAME);
    let mut client = Http2Client::over(connection, &[]);
    let stream = client.get("/");
    let shown = self::document(&client.expect_status(stream, 200));
    assert_eq!(shown["connection"]["tls"]["alpn"], "h2");
    assert_eq!(
        shown["connection"]["tls"]["client_certificate"]["subject"],
        "CN=ada"
    );
    assert_eq!(shown["connection"]["http2"]["stream"], 1);
}

#[test]
fn http2_request_is_described() {
    let server = server(|builder| builder.client_settings(true));
    let mut client = Http2Client::connect_with(&server, &[(4, 70_000), (77, 1)]);
    let mut fields = request_fields("POST", "/x?a=b");
    fields.extend([("cookie", "a=1"), ("cookie", "b=2")]);
    let stream = client.open(&fields);
    client.data(stream, "hello", END_STREAM);
    let document = document(&client.expect_status(stream, 200));
    assert_eq!(document["version"], "HTTP/2.0");
    let cookies = json!([
        {"name": "cookie", "value": "a=1"}, {"name": "cookie", "value": "b=2"},
    ]);
    let lines = document["header_lines"].as_array().expect("it is a list");
    assert_eq!(json!(lines[lines.len() - 2..]), cookies);
    let http2 = json!({"stream": 1, "settings": [
        {"id": 4, "name": "INITIAL_WINDOW_SIZE", "value": 70_000}, {"id": 77, "value": 1},
    ]});
    assert_eq!(document["connection"]["http2"], http2);
    assert_eq!(document["body"]["text"], "hello");
}

#[test]
fn source_of_the_client_address_is_described() {
    let trusted: TrustedProxy = "127.0.0.0/8".parse().expect("the network is valid");
    let server = server(|builder| builder.trusted_proxy(trusted));
    let mut proxy = server.connect();
    let request = "GET / HTTP/1.1\r\nHost: it\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.2\r\n\r\n";
    let shown = &inspected(&mut proxy, request)["connection"];
    assert_eq!(
        (&shown["client"], &shown["proxy"]),
        (&json!("192.0.2.1"), &json!("127.0.0.2"))
    );
    assert_eq!(
        (&shown["client_from"], &shown["client_hop"]),
        (&json!("X-Forwarded-For"), &json!(2))
    );

    let server = self::server(|builder| {
        builder
            .trusted_proxy(trusted)
            .forwarded_by(ForwardedBy::Forwarded)
    });
    let request = "GET / HTTP/1.1\r\nHost: it\r\nForwarded: for=192.0.2.1;proto=https\r\n\r\n";
    let shown = &inspected(&mut server.connect(), request)["connection"];
    assert_eq!(
        (&shown["client_from"], &shown["client_hop"]),
        (&json!("Forwarded"), &json!(1))
    );
    assert_eq!(shown["scheme"], "https");

    let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
    let builder = Server::builder()
        .listen_proxy_protocol(address)
        .trusted_proxy(trusted);
    let server = builder.workers(2).bind().expect("some port is free");
    let server = BoundServer::from(server).run(inspect());
    let request = [PROXY_V1, &get_and_close("/")].concat();
    let shown = &inspected(&mut server.connect(), request)["connection"];
    assert_eq!(
        (&shown["client"], &shown["client_from"]),
        (&json!("192.0.2.1:4711"), &json!("PROXY protocol"))
    );
}
