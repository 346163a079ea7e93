use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use httpool::ListenAddr;
use rcgen::date_time_ymd;
use rustix::process::Signal;
use rustls::ClientConfig;

use crate::support::tls::{CertificateAuthority, CertificateFiles, NAME, der};
use crate::support::{
    Client, Program, TempDir, TempPath, address_in, run_program, unique_loopback,
};

/// The program with a certificate, and clients that trust it.
struct TlsServer {
    program: Program,
    /// Its TLS listener and its plain listener.
    address: ListenAddr,
    plain: ListenAddr,
    authority: CertificateAuthority,
    files: CertificateFiles,
}

impl TlsServer {
    /// Starts the program with and without TLS, and with these arguments.
    #[track_caller]
    fn spawn(name: &str, arguments: &[&str]) -> Self {
        let authority = CertificateAuthority::new();
        let files = authority.issue(&[NAME]).files(name);
        let listen = format!("{}:0", unique_loopback());
        let (certificate, key) = (files.certificate.text(), files.key.text());
        let all = [
            "--listen",
            &listen,
            "--listen-tls",
            &listen,
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ];
        let mut program = Program::start(&[&all[..], arguments].concat(), &[]);
        let line = program.expect_line("listening on http://");
        let secure = line.find("https://").expect("the line names the address");
        Self {
            address: address_in(&line[secure..]),
            plain: address_in(&line),
            program,
            authority,
            files,
        }
    }

    fn connect(&self) -> Client {
        self.connect_as(&self.authority.client())
    }

    fn connect_as(&self, config: &Arc<ClientConfig>) -> Client {
        Client::connect(&self.address).with_tls(config, NAME)
    }
}

#[test]
fn tls_is_served_on_its_listeners_only() {
    let secure = TlsServer::spawn("speaks", &[]);
    let mut client = secure.connect();
    client.post("/", "over TLS").expect_body("over TLS");
    let client_info = client.get("/?origin").expect_status(200).text();
    let client_info: serde_json::Value =
        serde_json::from_str(&client_info).expect("the body is JSON");
    assert_eq!(client_info["scheme"], "https");
    assert_eq!(client_info["tls"]["version"], "TLSv1.3");
    assert_eq!(client_info["tls"]["server_name"], NAME);
    secure.program.signal(Signal::TERM);
    client.expect_closed();
    secure.program.expect_exit(0);
}

#[test]
fn certificates_are_reloaded_on_a_signal() {
    let mut secure = TlsServer::spawn("signal", &[]);
    let mut open = secure.connect();
    open.get("/").expect_status(200);
    let shown = |secure: &TlsServer| {
        let mut client = secure.connect();
        client
            .try_handshake()
            .expect("the program completes the handshake");
        client
            .tls()
            .peer_certificates()
            .expect("the server has a certificate")[0]
            .clone()
    };
    let before = shown(&secure);
    fs::write(&secure.files.certificate, "").expect("the folder is writable");
    secure.program.signal(Signal::USR1);
    let line = secure
        .program
        .expect_line("certificate reload failed, keeping the old ones");
    assert!(line.contains(secure.files.certificate.text()), "{line}");
    assert_eq!(shown(&secure), before);

    let new = secure.authority.issue(&[NAME]);
    secure.files.write(&new);
    secure.program.signal(Signal::USR1);
    secure.program.expect_line("certificates reloaded");
    assert_eq!(shown(&secure), der(&new.certificate));
    open.get("/").expect_status(200);
}

#[test]
fn client_certificates_can_be_required() {
    let staff = CertificateAuthority::new();
    let ca = TempPath::new("staff.pem");
    fs::write(&ca, staff.certificate()).expect("the folder is writable");
    let certificate = staff.issue(&["client"]);
    for (policy, status) in [("required", None), ("optional", Some(200))] {
        let secure = TlsServer::spawn(
            policy,
            &["--tls-client-ca", ca.text(), "--tls-client-auth", policy],
        );
        let with = secure
            .authority
            .client_with(rustls::ALL_VERSIONS, Some(&certificate));
        let client_info = secure
            .connect_as(&with)
            .get("/?origin")
            .expect_status(200)
            .text();
        assert!(client_info.contains(r#""certificates":1"#), "{client_info}");
        match status {
            Some(status) => {
                secure.connect().get("/").expect_status(status);
            }
            None => {
                let config = secure
                    .authority
                    .client_with(&[&rustls::version::TLS12], None);
                let handshake = secure.connect_as(&config).try_handshake();
                assert!(handshake.is_err(), "the client is rejected");
            }
        }
    }
}

#[test]
fn plain_http_is_redirected() {
    // No other test uses this address, so the port is free.
    let redirects = format!("{}:8080", unique_loopback());
    let secure = TlsServer::spawn("redirects", &["--redirect-http", &redirects]);
    let mut client = Client::connect(&redirects.parse().expect("the address is valid"));
    client.send("GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n");
    let response = client.expect_status(308);
    assert_eq!(response.header("location"), Some("https://example.org/a?b"));
    client.send("POST / HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 4\r\n\r\nbody");
    let ListenAddr::Tcp { port, .. } = secure.address else {
        panic!("{} is not a TCP address", secure.address);
    };
    let expected = format!("https://localhost:{port}/");
    assert_eq!(
        client.expect_status(308).header("location"),
        Some(&*expected)
    );
    client.send("GET / HTTP/1.0\r\n\r\n").expect_status(400);
    secure.program.signal(Signal::TERM);
    secure.program.expect_exit(0);
}

#[test]
fn redirect_rejects_malformed_hosts() {
    let redirects = format!("{}:8080", unique_loopback());
    let secure = TlsServer::spawn("hosts", &["--redirect-http", &redirects]);
    let address = redirects.parse().expect("the address is valid");
    let call = |host: &str| {
        let mut client = Client::connect(&address);
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.expect_response()
    };
    for host in [
        "[1..2]",
        "[:]",
        "[12345::1]",
        "[1.2.3.4]",
        "[v1.]",
        "[fe80::1%25eth0]",
        "it%00",
    ] {
        assert_eq!(call(host).status, 400, "{host}");
    }
    let location = |host| call(host).header("location").map(str::to_owned);
    assert_eq!(
        location("[2001:db8::1]").as_deref(),
        Some("https://[2001:db8::1]/")
    );
    secure.program.signal(Signal::TERM);
    secure.program.expect_exit(0);
}

#[test]
fn redirects_are_logged_and_counted() {
    let path = TempPath::new("sent-on");
    let (redirects, admin) = [unique_loopback(), unique_loopback()]
        .map(|host| format!("{host}:8080"))
        .into();
    let log = path.text();
    let secure = TlsServer::spawn(
        "sent-on",
        &[
            "--redirect-http",
            &redirects,
            "--admin",
            &admin,
            "--access-log",
            log,
            "--request-ids",
        ],
    );
    let connect = |address: &str| Client::connect(&address.parse().expect("the address is valid"));
    let redirected = connect(&redirects).get("/sent?on").expect_status(308);
    assert!(
        redirected.header("x-request-id").is_some(),
        "{redirected:?}"
    );
    let mut rejected = connect(&redirects);
    rejected.send("nonsense\r\n\r\n").expect_status(400);
    secure.connect().get("/served").expect_status(200);
    let metrics = connect(&admin).get("/metrics").expect_status(200).text();
    for line in [
        r#"httpool_requests_total{method="GET",status="3xx"} 1"#,
        r#"httpool_requests_total{method="other",status="4xx"} 1"#,
        r#"httpool_requests_total{method="GET",status="2xx"} 1"#,
    ] {
        assert!(
            metrics.lines().any(|one| one == line),
            "no {line} in {metrics}"
        );
    }
    secure.program.signal(Signal::TERM);
    secure.program.expect_exit(0);
    let log = fs::read_to_string(&path).expect("the log exists");
    for part in [
        r#""GET /sent?on HTTP/1.1" 308 0 "#,
        r#""-" 400 "#,
        r#""GET /served HTTP/1.1" 200 "#,
    ] {
        assert_eq!(log.matches(part).count(), 1, "{part} in {log}");
    }
}

#[test]
fn hsts_is_sent_over_tls() {
    let secure = TlsServer::spawn("hsts", &["--hsts", "365d"]);
    let header = |mut client: Client| {
        let response = client.get("/").expect_status(200);
        response
            .header("strict-transport-security")
            .map(str::to_owned)
    };
    assert_eq!(
        header(secure.connect()).as_deref(),
        Some("max-age=31536000")
    );
    assert_eq!(header(Client::connect(&secure.plain)), None);
    // Including responses that the server generates itself.
    let rejected = secure.connect().send("nonsense\r\n\r\n").expect_status(400);
    let header = rejected.header("strict-transport-security");
    assert_eq!(header, Some("max-age=31536000"));
}

#[test]
fn hsts_covers_subdomains_and_preload_lists_if_asked() {
    let hsts = |arguments: &[&str]| {
        let secure = TlsServer::spawn("hsts-options", arguments);
        let response = secure.connect().get("/").expect_status(200);
        let header = response.header("strict-transport-security");
        header.expect("the header is present").to_owned()
    };
    let mut arguments = vec!["--hsts", "2y", "--hsts-include-subdomains"];
    assert_eq!(hsts(&arguments), "max-age=63115200; includeSubDomains");
    arguments.push("--hsts-preload");
    assert_eq!(
        hsts(&arguments),
        "max-age=63115200; includeSubDomains; preload"
    );
    let run = |arguments: &[&str]| run_program(arguments, &[]);
    for wrong in [
        &["--hsts-preload"][..],
        &["--hsts-preload", "--hsts", "1y"],
        &[
            "--hsts-preload",
            "--hsts",
            "30d",
            "--hsts-include-subdomains",
        ],
    ] {
        run(wrong).expect_line(2, "--hsts-preload: needs --hsts 1y or longer");
    }
    run(&["--hsts-include-subdomains"]).expect_line(2, "--hsts-include-subdomains: needs --hsts");
}

#[test]
fn passed_socket_can_be_for_tls() {
    let authority = CertificateAuthority::new();
    let files = authority.issue(&[NAME]).files("passed");
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the address is free");
    let address = listener.local_addr().expect("the listener is bound");
    let arguments = [
        "--tls-cert",
        files.certificate.text(),
        "--tls-key",
        files.key.text(),
    ];
    let _program = Program::spawn_with_named_listener(&listener, "tls", &arguments);
    let client = Client::connect(&address.into());
    let mut client = client.with_tls(&authority.client(), NAME);
    client.get("/").expect_status(200);
}

#[test]
fn unix_socket_can_be_for_tls() {
    let authority = CertificateAuthority::new();
    let files = authority.issue(&[NAME]).files("unix");
    let path = TempPath::new("https.sock");
    let address = format!("unix:{}", path.text());
    let arguments = [
        "--listen-tls",
        &address,
        "--tls-cert",
        files.certificate.text(),
        "--tls-key",
        files.key.text(),
    ];
    let mut program = Program::start(&arguments, &[]);
    program.expect_line(&format!("listening on {address}"));
    let address = address.parse().expect("the address is valid");
    let mut client = Client::connect(&address).with_tls(&authority.client(), NAME);
    let client_info = client.get("/?origin").expect_status(200).text();
    let client_info: serde_json::Value =
        serde_json::from_str(&client_info).expect("the body is JSON");
    assert_eq!(client_info["scheme"], "https");
    assert_eq!(client_info["tls"]["server_name"], NAME);
    let mut clear = Client::connect(&address);
    clear.get("/").expect_status(400);
    program.signal(Signal::TERM);
    client.expect_closed();
    program.expect_exit(0);
}

#[test]
fn certificate_errors_are_one_line() {
    let authority = CertificateAuthority::new();
    let (files, others) = (
        authority.issue(&[NAME]).files("one"),
        authority.issue(&[NAME]).files("other"),
    );
    let (certificate, key) = (files.certificate.text(), files.key.text());
    let listen = ["--listen-tls", "127.0.0.1:0"];
    let folder = TempDir::new();
    folder.pipe("pipe");
    let run = |arguments: &[&str]| run_program(&[&listen[..], arguments].concat(), &[]);
    run(&[]).expect_line(2, "--listen-tls: needs --tls-cert");
    run(&["--tls-cert", certificate]).expect_line(2, "give one key for each certificate");
    for check in [&[][..], &["--check"]] {
        let run = |arguments: &[&str]| run(&[arguments, check].concat());
        let missing = format!("{key}.missing");
        let expected = format!("--tls-key {missing}: ");
        run(&["--tls-cert", certificate, "--tls-key", &missing]).expect_line(1, &expected);
        let pipe = folder.path("pipe").display().to_string();
        run(&["--tls-cert", &pipe, "--tls-key", key])
            .expect_line(1, &format!("--tls-cert {pipe}: "));
        let wrong = format!("--tls-key {}: the key does not belong", others.key.text());
        run(&["--tls-cert", certificate, "--tls-key", others.key.text()]).expect_line(1, &wrong);
    }
    let run = |arguments: &[&str]| run_program(arguments, &[]);
    let pair = ["--tls-cert", certificate, "--tls-key", key];
    run(&pair).expect_line(2, "--tls-cert: needs a --listen-tls");
    run(&["--tls-client-ca", certificate]).expect_line(2, "--tls-client-ca: needs a --listen-tls");
}

#[test]
fn expired_certificate_is_a_warning() {
    let authority = CertificateAuthority::new();
    let expired = authority.issue_with(&[NAME], |params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let files = expired.files("expired");
    let arguments = [
        "--listen-tls",
        "127.0.0.1:0",
        "--tls-cert",
        files.certificate.text(),
        "--tls-key",
        files.key.text(),
    ];
    let checked = run_program(&[&arguments[..], &["--check"]].concat(), &[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(checked.output, "configuration is valid, with warnings\n");
    let path = files.certificate.text();
    let warning = format!("httpool: warning: the certificate in {path} has expired\n");
    assert_eq!(checked.errors, warning);

    let mut program = Program::start(&arguments, &[]);
    let line = program.expect_line("has expired");
    assert!(line.contains(files.certificate.text()), "{line}");
    program.expect_line("listening on https://");
}

#[test]
fn failed_handshake_logging_is_rate_limited() {
    let mut secure = TlsServer::spawn("failed", &[]);
    let stranger = CertificateAuthority::new().client();
    for _ in 0..7 {
        let handshake = secure.connect_as(&stranger).try_handshake();
        handshake.expect_err("the client does not trust the certificate");
    }
    let line = secure.program.expect_line("TLS handshake failed");
    // Both authorities have the same name, so the client sees an invalid signature.
    let reason = "the client could not verify the server's signature (alert 51)";
    assert!(line.contains("INFO") && line.contains("127."), "{line}");
    assert!(line.ends_with(reason), "{line}");
    secure.connect().get("/").expect_status(200);
    secure.program.signal(Signal::TERM);
    let exit = secure.program.expect_exit(0);
    assert_eq!(
        exit.errors.matches("TLS handshake failed").count(),
        5,
        "{exit:?}"
    );
}

/// Runs the commands of docs/tls.md for a certificate, word by word.
#[test]
fn documented_certificate_commands_work() {
    let readme = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("docs/tls.md");
    let readme = fs::read_to_string(readme).expect("the file exists");
    let start = readme
        .find("openssl req -x509")
        .expect("docs/tls.md has the commands");
    let (recipe, _) = readme[start..]
        .split_once("\nhttpool")
        .expect("the page starts the program after the commands");
    let folder = TempDir::new();
    let ran = Command::new("/bin/sh")
        .args(["-c", recipe])
        .current_dir(&folder)
        .output()
        .expect("the shell can be run");
    if ran.status.code() == Some(127) {
        return println!("skipped: openssl not found");
    }
    assert!(ran.status.success(), "{ran:?}");
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path(name));
    let text = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
    let arguments = [
        ["--listen-tls", "127.0.0.1:0"],
        ["--tls-cert", &text(&certificate)],
        ["--tls-key", &text(&key)],
    ];
    let mut program = Program::start(arguments.as_flattened(), &[]);
    let address = address_in(&program.expect_line("listening on https://"));
    let certificate = fs::read_to_string(certificate).expect("openssl created it");
    let config = CertificateAuthority::client_trusting(&certificate);
    for name in ["localhost", "127.0.0.1", "::1"] {
        let mut client = Client::connect(&address).with_tls(&config, name);
        client.get("/").expect_status(200);
    }
}
