use super::{expect_ended, record, send_raw};
use crate::support::tls::Secure;
use crate::support::{SOON, tell};

#[test]
fn new_keys_are_no_request() {
    let secure = Secure::spawn(|builder| builder.idle_timeout(SOON), tell);
    let mut client = secure.connect();
    client.get("/").expect_answer("GET / ");
    client.tls().refresh_traffic_keys().expect("it is TLS 1.3");
    let keys = record(&mut client, "");
    send_raw(&mut client, &keys);
    client.expect_closed();
    expect_ended(&secure.server, "idle", 1);
}

#[test]
fn keys_may_be_changed_on_the_way() {
    let secure = Secure::spawn(|builder| builder, tell);
    let mut client = secure.connect();
    client.get("/").expect_answer("GET / ");
    for _ in 0..3 {
        client.tls().refresh_traffic_keys().expect("it is TLS 1.3");
        client.get("/new").expect_answer("GET /new ");
    }
}
