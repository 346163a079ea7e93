//! `files/` was made by OpenSSL 3 and ssh-keygen. `p-256.pem` is the key of `v3.pem`.

use std::path::{Path, PathBuf};

use httpool::Tls;

fn file(name: &str) -> PathBuf {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls/files");
    files.join(name)
}

/// Expects an error about the file `wrong` that begins with `start` and ends with `end`. `FILE`
/// stands for the file's path.
#[track_caller]
fn check(certificate: &str, key: &str, wrong: &str, start: &str, end: &str) {
    let builder = Tls::builder().certificate_files(file(certificate), file(key));
    let error = builder.build().expect_err("the files are invalid");
    assert_eq!(error.file(), Some(&*file(wrong)));
    let path = file(wrong).display().to_string();
    let text = error.to_string();
    assert!(text.starts_with(&format!("{path}: {start}")), "{text}");
    assert!(text.ends_with(&end.replace("FILE", &path)), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn key_errors_name_the_problem_and_the_fix() {
    let check = |key, start, end| check("v3.pem", key, key, start, end);
    for key in [
        "encrypted.pem",
        "encrypted-traditional.pem",
        "encrypted.der",
    ] {
        let end = "(openssl pkey -in FILE -out key.pem decrypts it)";
        check(key, "the private key is encrypted", end);
    }
    for (key, kind) in [
        ("rsa-1024.pem", "this is an RSA key of 1024 bits; supported"),
        ("p-521.pem", "this is a key of P-521; supported"),
        ("secp256k1.pem", "this is a key of secp256k1; supported"),
        ("ed448.pem", "this is an Ed448 key; supported"),
        #[cfg(not(feature = "aws-lc-rs"))]
        ("rsa-8192.pem", "this is an RSA key of 8192 bits; supported"),
    ] {
        // AWS-LC accepts the key, but it does not match the certificate.
        if cfg!(feature = "aws-lc-rs") && key == "p-521.pem" {
            continue;
        }
        check(key, kind, "which needs a certificate of its own)");
    }
    let end = "(openssl pkey -inform der -in FILE -out key.pem converts it)";
    check("p-256.der", "the private key is DER", end);
    check("both.p12", "the file is PKCS #12", "certificate and key)");
    let end = "(ssh-keygen -p -m PKCS8 -f FILE converts it in place)";
    check("openssh.pem", "the private key has the OpenSSH format", end);
    check(
        "public.pem",
        "the file contains a public key instead of a private key",
        "",
    );
    let start = "the file contains a certificate instead of a private key";
    check("v3.pem", start, "are certificate and key swapped?");
}

#[test]
fn certificate_errors_name_the_problem_and_the_fix() {
    let check = |certificate, start, end| check(certificate, "p-256.pem", certificate, start, end);
    let start = "the certificate is X.509 version 1; version 3 is required";
    check("v1.pem", start, "with -extfile signs one)");
    let end = "(openssl x509 -inform der -in FILE -out cert.pem converts it)";
    check("v3.der", "the certificate is DER", end);
    let end = "(openssl pkcs7 -print_certs -in FILE -out cert.pem converts them)";
    check("v3.p7b", "the certificates are PKCS #7", end);
    let end = "(openssl x509 -in FILE -out cert.pem converts it)";
    check(
        "trusted.pem",
        "the certificate is a TRUSTED CERTIFICATE",
        end,
    );
    let start = "the file contains a certificate request instead";
    check("request.pem", start, "signed by its own key)");
    check("both.p12", "the file is PKCS #12", "certificate and key)");
    let start = "the file contains a private key instead";
    check("p-256.pem", start, "are certificate and key swapped?");
    let start = "the certificate of the key is not the first";
    check("wrong-order.pem", start, "before those of its authorities");
}

#[test]
fn der_authority_is_reported() {
    let builder = Tls::builder().certificate_files(file("v3.pem"), file("p-256.pem"));
    let error = builder.client_authorities_file(file("v3.der")).build();
    let text = error.expect_err("DER is rejected").to_string();
    assert!(text.contains("the certificate is DER"), "{text}");
}

#[test]
fn mismatched_key_error_names_both_files() {
    let authority = crate::support::tls::CertificateAuthority::new();
    let other = authority.issue(&["other.example"]).files("wrong-key");
    let key = other.key.as_ref().display().to_string();
    let builder = Tls::builder().certificate_files(file("v3.pem"), &key);
    let text = builder
        .build()
        .expect_err("the key does not match the certificate")
        .to_string();
    let certificate = file("v3.pem").display().to_string();
    let expected = format!(
        "{key}: the key does not belong to the certificate (openssl pkey -in {key} -pubout and openssl \
         x509 -in {certificate} -noout -pubkey print the same for a pair)"
    );
    assert_eq!(text, expected);
}
