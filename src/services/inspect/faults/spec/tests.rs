use proptest::prelude::*;

use super::*;

#[track_caller]
fn list(text: &str) -> FaultList {
    text.parse().expect("the faults are valid")
}

#[track_caller]
fn error(text: &str) -> String {
    let error = text.parse::<FaultList>();
    error.expect_err("the faults are invalid").to_string()
}

#[test]
fn every_fault_is_written_as_it_is_parsed() {
    for text in [
        "status=503",
        "delay=100ms",
        "delay=10ms..200ms",
        "delay=p50:20ms,p99:1s",
        "header=retry-after:1",
        "size=65536",
        "drip=10s",
        "truncate=middle",
        "truncate=before",
        "reset=head",
        "reset=100",
        "stream-reset=refused_stream:before",
        "stream-reset=cancel:middle",
        "goaway=enhance_your_calm",
        "length=100",
        "chunk=size",
        "chunk=short",
        "chunk=end",
        "never",
        "none",
        "status=500@1%,status=503@0.1%,never@7%",
        "delay=p50:20ms,p99:1s@5%,reset=middle@5%",
    ] {
        assert_eq!(list(text).to_string(), text);
    }
}

#[test]
fn usual_values_can_be_left_out() {
    for (short, full) in [
        ("reset", "reset=before"),
        ("truncate", "truncate=middle"),
        ("stream-reset", "stream-reset=internal_error:before"),
        ("stream-reset=head", "stream-reset=internal_error:head"),
        (
            "stream-reset=REFUSED-STREAM",
            "stream-reset=refused_stream:before",
        ),
        ("goaway", "goaway=no_error"),
        ("chunk", "chunk=size"),
        ("reset=5%", "reset=before@5%"),
        ("chunk=5%", "chunk=size@5%"),
        (
            " reset = head @ 5% , status=503",
            "reset=head@5%,status=503",
        ),
        (
            "delay=p50:1ms, p90:1s, reset",
            "delay=p50:1ms,p90:1s,reset=before",
        ),
        ("header=from:me@example.com", "header=from:me@example.com"),
        ("header=x:me@5", "header=x:me@5"),
        ("delay=90s", "delay=1m30s"),
        ("delay=0.5s", "delay=500ms"),
        ("size=64KiB,truncate=1kB", "size=65536,truncate=1000"),
        ("never@100%", "never"),
    ] {
        assert_eq!(list(short).to_string(), full);
    }
}

#[test]
fn errors_name_the_part_and_what_is_allowed() {
    for (text, expected) in [
        (
            "reset,rset",
            "rset: \"rset\" is unknown: the faults are status, delay,",
        ),
        ("", "a fault is missing: the faults are status"),
        ("reset,,never", "a fault is missing"),
        ("status", "status: it needs a value: write status=503"),
        (
            "status=abc",
            "status=abc: \"abc\" is not a status: write a number",
        ),
        ("status=101", "status=101: \"101\" is not a status"),
        (
            "delay=5",
            "delay=5: \"5\" has no unit: write 5s for seconds",
        ),
        ("size=many", "size=many: \"many\" is not a size"),
        ("header=x", "header=x: \"x\" is not a header"),
        (
            "header=access-control-allow-origin:*",
            "header=access-control-allow-origin:*: access-control-allow-origin can't be chosen: pages",
        ),
        (
            "header=set-cookie:a=1@5%",
            "header=set-cookie:a=1@5%: set-cookie can't be chosen: a cookie is valid for every",
        ),
        (
            "header=connection:close",
            "header=connection:close: connection can't be chosen: the server sets it",
        ),
        ("header=a b:c", "header=a b:c: \"a b:c\" is not a header"),
        (
            "reset=end",
            "reset=end: \"end\" is not a place: write before",
        ),
        (
            "stream-reset=calm",
            "stream-reset=calm: \"calm\" is not a code of HTTP/2: the codes are no_error,",
        ),
        (
            "stream-reset=cancel:x",
            "stream-reset=cancel:x: \"x\" is not a place",
        ),
        (
            "chunk=x",
            "chunk=x: \"x\" is not a defect of a chunk: write size",
        ),
        ("never=1", "never=1: it has no value"),
        ("length", "length: it needs a value: write length=100"),
        (
            "reset@5",
            "reset@5: a share ends with a percent sign: write reset@5%",
        ),
        ("reset@x%", "reset@x%: \"x%\" is not a share of requests"),
        (
            "reset=200%",
            "reset=200%: \"200%\" is more than all requests",
        ),
        ("5%", "5%: a share follows the fault"),
        ("p99:1s", "p99:1s: \"p99:1s\" is unknown"),
        ("none,reset", "none: it stands alone, without other faults"),
        (
            "none@50%",
            "none@50%: it stands alone, without a value and a share",
        ),
        ("none=1", "none=1: it stands alone"),
        (
            "status=503@50",
            "status=503@50: a share ends with a percent sign: write status=503@50%",
        ),
    ] {
        let error = error(text);
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-z0-9=:,.@% -]{0,40}|.{0,40}") {
        if let Ok(list) = text.parse::<FaultList>() {
            let written = list.to_string();
            prop_assert_eq!(written.parse::<FaultList>(), Ok(list), "{}", written);
        }
    }

    #[test]
    fn known_words_in_any_order_are_parsed_or_refused(
        words in proptest::collection::vec(
            prop_oneof![
                Just("status"), Just("delay"), Just("header"), Just("size"), Just("drip"),
                Just("truncate"), Just("reset"), Just("stream-reset"), Just("goaway"),
                Just("length"), Just("chunk"), Just("never"), Just("none"), Just("="), Just("="),
                Just("@5%"), Just("0.3%"), Just(","), Just(":"), Just("503"), Just("10ms"),
                Just("10ms..1s"), Just("p50:1ms"), Just("p99:2s"), Just("head"), Just("middle"),
                Just("cancel"), Just("a:b"), Just("end"),
            ],
            0..12,
        ),
    ) {
        let text = words.concat();
        if let Ok(list) = text.parse::<FaultList>() {
            let written = list.to_string();
            prop_assert_eq!(written.parse::<FaultList>(), Ok(list), "{}", written);
        }
    }
}
