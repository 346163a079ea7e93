use std::io::Read as _;

use httpool::{ClientCertificates, ClientInfo, Request, Tls};
use rustls::version::{TLS12, TLS13};

use super::{expect_close_count, tls_parameters};
use crate::support::tls::{CertificateAuthority, NAME, bind, der};
use crate::support::{TempPath, describe, request};

#[test]
fn certificate_is_selected_by_server_name() {
    let authority = CertificateAuthority::new();
    let (first, second) = (
        authority.issue(&[NAME, "second.example"]),
        authority.issue(&["other.example", "*.wild.example"]),
    );
    let tls = Tls::builder()
        .certificate_pem(&*first.certificate, &*first.key)
        .certificate_pem(&*second.certificate, &*second.key)
        .build();
    let server = bind(tls.expect("the key matches the certificate"), |builder| {
        builder
    })
    .run(tls_parameters);
    for (asked, expected) in [
        (NAME, Some(&first)),
        ("second.example", Some(&first)),
        ("other.example", Some(&second)),
        ("any.wild.example", Some(&second)),
        ("unknown.example", None),
        ("127.0.0.1", None),
    ] {
        let mut client = server.connect().with_tls(&authority.client(), asked);
        let handshake = client.try_handshake();
        let Some(expected) = expected else {
            let error = handshake.expect_err("no certificate has this name");
            assert!(error.to_string().contains("not valid for name"), "{error}");
            continue;
        };
        handshake.expect("a certificate has this name");
        let shown = client
            .tls()
            .peer_certificates()
            .expect("the server has a certificate");
        assert_eq!(shown[0], der(&expected.certificate), "{asked}");
        client
            .get("/")
            .expect_body(format!("https TLSv1.3 {asked} http/1.1 0"));
    }
}

#[test]
fn client_certificates_can_be_required() {
    let (authority, staff, others) = (
        CertificateAuthority::new(),
        CertificateAuthority::new(),
        CertificateAuthority::new(),
    );
    let issued = authority.issue(&[NAME]);
    let serve = |policy| {
        let tls = Tls::builder()
            .certificate_pem(&*issued.certificate, &*issued.key)
            .client_authorities_pem(staff.certificate())
            .client_certificates(policy)
            .build();
        bind(tls.expect("the key matches the certificate"), |builder| {
            builder
        })
        .run(|request: Request| {
            let client_info = ClientInfo::of(&request).expect("the request came over a connection");
            let tls = client_info.tls().expect("the request came over TLS");
            tls.peer_certificates()
                .first()
                .map_or_else(Vec::new, |one| one.to_vec())
        })
    };
    let (required, optional) = (
        serve(ClientCertificates::Required),
        serve(ClientCertificates::Optional),
    );
    let (trusted, untrusted) = (staff.issue(&["client"]), others.issue(&["client"]));
    for version in [&TLS12, &TLS13] {
        for (certificate, accepted) in [
            (None, false),
            (Some(&trusted), true),
            (Some(&untrusted), false),
        ] {
            let config = authority.client_with(&[version], certificate);
            for server in [&required, &optional] {
                let is_optional = std::ptr::eq(server, &optional);
                // The second connection resumes the session.
                for _ in 0..2 {
                    let mut client = server.connect().with_tls(&config, NAME);
                    if accepted || (certificate.is_none() && is_optional) {
                        let shown = certificate.map_or_else(Vec::new, |certificate| {
                            der(&certificate.certificate).to_vec()
                        });
                        client.get("/").expect_body(shown);
                        continue;
                    }
                    // With TLS 1.3 the client sees the alert only after its own handshake is
                    // complete.
                    let sent = client.try_send(request::get("/"));
                    let mut buffer = [0; 100];
                    let (tls, socket) = client.tls_and_socket();
                    let mut stream = rustls::Stream::new(tls, socket);
                    let end = sent.and_then(|()| stream.read(&mut buffer));
                    let error = end.expect_err("the client is rejected").to_string();
                    assert!(error.contains("received fatal alert"), "{error}");
                }
            }
        }
    }
    expect_close_count(&required, "handshake_failed", 8);
    expect_close_count(&optional, "handshake_failed", 4);
}

#[test]
fn certificate_reload_keeps_open_connections() {
    let authority = CertificateAuthority::new();
    let (old, new) = (authority.issue(&[NAME]), authority.issue(&[NAME]));
    let files = old.files("reloaded");
    let builder = Tls::builder().certificate_files(files.certificate.as_ref(), files.key.as_ref());
    let tls = builder.build().expect("the key matches the certificate");
    let server = bind(tls.clone(), |builder| builder).run(describe);
    let shown = || {
        let mut client = server.connect().with_tls(&authority.client(), NAME);
        client.try_handshake().expect("the handshake succeeds");
        client
            .tls()
            .peer_certificates()
            .expect("the server has a certificate")[0]
            .clone()
    };
    let mut open = server.connect().with_tls(&authority.client(), NAME);
    open.get("/").expect_body("GET / ");

    std::fs::write(&files.key, &new.key).expect("the folder is writable");
    let error = tls
        .reload()
        .expect_err("the key does not match the certificate");
    assert_eq!(error.file(), Some(files.key.as_ref()));
    assert_eq!(shown(), der(&old.certificate));

    files.write(&new);
    tls.reload()
        .expect("the new key matches the new certificate");
    assert_eq!(shown(), der(&new.certificate));
    open.get("/still").expect_body("GET /still ");
    open.tls()
        .refresh_traffic_keys()
        .expect("the connection uses TLS 1.3");
    open.get_and_close("/still").expect_body("GET /still ");
}

#[test]
fn file_errors_are_one_line_that_names_the_file() {
    let authority = CertificateAuthority::new();
    let (one, other) = (authority.issue(&[NAME]), authority.issue(&[NAME]));
    let files = one.files("wrong");
    #[track_caller]
    fn check(certificate: &TempPath, key: &TempPath, wrong: &TempPath, part: &str) {
        let builder = Tls::builder().certificate_files(certificate.as_ref(), key.as_ref());
        let error = builder.build().expect_err("the files are invalid");
        assert_eq!(error.file(), Some(wrong.as_ref()));
        let expected = format!("{}: {part}", wrong.as_ref().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    let (empty, missing, broken) = (
        TempPath::new("empty.pem"),
        TempPath::new("missing.pem"),
        TempPath::new("broken.pem"),
    );
    std::fs::write(&empty, "").expect("the folder is writable");
    let text = one.certificate.replacen('M', "\u{1}", 1);
    std::fs::write(&broken, text).expect("the folder is writable");
    let (certificate, key) = (&files.certificate, &files.key);
    check(&empty, key, &empty, "the file contains no certificate");
    check(key, key, key, "the file contains a private key");
    check(
        certificate,
        &empty,
        &empty,
        "the file contains no private key",
    );
    check(
        certificate,
        certificate,
        certificate,
        "the file contains a certificate",
    );
    check(&missing, key, &missing, "No such file");
    check(certificate, &missing, &missing, "No such file");
    check(&broken, key, &broken, "the file is not well-formed PEM");
    std::fs::write(key, &other.key).expect("the folder is writable");
    check(
        certificate,
        key,
        key,
        "the key does not belong to the certificate",
    );
    assert!(Tls::builder().build().is_err(), "there is no certificate");
}

/// RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1.
#[test]
fn client_without_a_usable_certificate_gets_handshake_failure() {
    use rustls::SignatureScheme::{ECDSA_NISTP384_SHA384, ED25519};
    use rustls::{AlertDescription, Error};

    let authority = CertificateAuthority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(describe);
    let mut failures = 0;
    for version in [&TLS12, &TLS13] {
        for scheme in [ED25519, ECDSA_NISTP384_SHA384] {
            let config = authority.client_with_scheme(version, scheme);
            let mut client = server.connect().with_tls(&config, NAME);
            let error = client.try_handshake().expect_err("the key is of P-256");
            let error = error.get_ref().and_then(|error| error.downcast_ref());
            let alert = Error::AlertReceived(AlertDescription::HandshakeFailure);
            assert_eq!(error, Some(&alert), "{version:?}");
            failures += 1;
        }
    }
    expect_close_count(&server, "handshake_failed", failures);
}
