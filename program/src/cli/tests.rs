use std::time::Duration;

use clap::ArgAction;

use super::*;
use crate::config;
use crate::exit::Exit;

/// Parses these arguments and variables.
fn parse_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Args, CliExit> {
    let typed = ["httpool"].iter().chain(arguments).map(OsString::from);
    config::load(typed, environment_of(variables)).map(|config| config.args)
}

fn environment_of<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    move |name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.into())
    }
}

#[track_caller]
fn parsed(arguments: &[&str], variables: &[(&str, &str)]) -> Args {
    parse_with(arguments, variables).expect("the arguments are valid")
}

#[track_caller]
fn error_line(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    match parse_with(arguments, variables) {
        Err(CliExit::Error(line)) => line,
        other => panic!("{arguments:?} {variables:?} gave {other:?}"),
    }
}

#[track_caller]
fn help() -> String {
    match parse_with(&["--help"], &[]) {
        Err(CliExit::Print(text)) => text,
        other => panic!("--help gave {other:?}"),
    }
}

#[test]
fn clap_accepts_the_flags() {
    command().debug_assert();
}

#[test]
fn no_arguments_give_the_defaults() {
    let args = parsed(&[], &[]);
    let addresses = args.addresses(environment_of(&[]));
    assert_eq!(
        addresses,
        Ok(vec![LISTEN.parse().expect("the default is an address")])
    );
    assert_eq!(args.workers, defaults::workers());
    assert_eq!(args.max_body, Size(defaults::MAX_BODY));
    assert_eq!(args.drain_timeout, Span(defaults::DRAIN_TIMEOUT));
    assert_eq!(args.log_level, LevelFilter::Info);
    assert_eq!(args.log_format, LogFormat::Text);
    assert_eq!(args.echo_json, Json::Strict);
}

#[test]
fn every_flag_has_a_variable() {
    assert_eq!(environment::variable("max-body"), "HTTPOOL_MAX_BODY");
    // A valid value for each flag. A new flag without one fails here.
    let values = [
        ("port", "80"),
        ("listen", "[::1]:80"),
        ("workers", "3"),
        ("quiet", "true"),
        ("qr", "true"),
        ("open", "true"),
        ("admin", "127.0.0.1:4001"),
        ("reuse-port", "true"),
        ("root", "/srv/www"),
        ("symlinks", "never"),
        ("dotfiles", "true"),
        ("precompressed", "true"),
        ("index", "index.htm"),
        ("pretty-urls", "true"),
        ("listing", "true"),
        ("archive", "true"),
        ("max-archive", "1GiB"),
        ("upload", "true"),
        ("max-upload", "1GiB"),
        ("upload-overwrite", "true"),
        ("fallback", "index.html"),
        ("spa", "true"),
        ("cache-control", "max-age=60"),
        ("immutable", "/assets/"),
        ("etag", "content"),
        ("media-type", "ts=text/plain;charset=utf-8"),
        ("echo-json", "raw"),
        ("inspect", "true"),
        ("allow-faults", "true"),
        ("fault", "reset=5%,delay=p50:20ms,p99:1s"),
        ("fault-seed", "7"),
        ("max-delay", "2s"),
        ("max-bytes", "1KiB"),
        ("inspect-history", "9"),
        ("inspect-token", "0123456789abcdef"),
        ("inspect-db", "/var/lib/x.db"),
        ("inspect-db-age", "1d"),
        ("inspect-log", "true"),
        ("error-pages", "/srv/errors"),
        ("request-ids", "true"),
        ("server-timing", "true"),
        ("header", "/a/ X-A: b, c"),
        ("compress", "true"),
        ("auth-file", "/etc/users"),
        ("rate-limit", "100/1m"),
        ("cors", "https://shop.example"),
        ("security-headers", "true"),
        ("check", "true"),
        ("config", "/dev/null"),
        ("print-config", "true"),
        ("listen-proxy-protocol", "127.0.0.1:4002"),
        ("trusted-proxy", "10.0.0.0/8"),
        ("forwarded-by", "forwarded"),
        ("listen-tls", "127.0.0.1:4003"),
        ("listen-tls-proxy-protocol", "127.0.0.1:4005"),
        ("tls-cert", "/etc/ssl/x.pem"),
        ("tls-key", "/etc/ssl/x.key"),
        ("tls-client-ca", "/etc/ssl/ca.pem"),
        ("tls-client-auth", "optional"),
        ("redirect-http", "127.0.0.1:4004"),
        ("hsts", "365d"),
        ("hsts-include-subdomains", "true"),
        ("hsts-preload", "true"),
        ("max-connections", "7"),
        ("max-body", "1KiB"),
        ("max-header-size", "2KiB"),
        ("max-buffered-memory", "64KiB"),
        ("queue-limit", "9"),
        ("http2", if defaults::HTTP2 { "off" } else { "on" }),
        ("max-streams", "7"),
        ("stream-window", "128KiB"),
        ("connection-window", "2MiB"),
        ("handlers-per-connection", "3"),
        ("handshake-timeout", "1m"),
        ("head-timeout", "1s"),
        ("body-timeout", "2s"),
        ("idle-timeout", "3s"),
        ("write-timeout", "4s"),
        ("queue-timeout", "9s"),
        ("min-rate", "4KiB"),
        ("min-rate-grace", "8s"),
        ("drain-timeout", "5s"),
        ("drain-delay", "6s"),
        ("drain-idle", "7s"),
        ("log-level", "debug"),
        ("log-format", "json"),
        ("access-log", "/var/log/y"),
        ("access-log-format", "common"),
        ("log-file", "/var/log/x"),
    ];
    let command = command();
    let flags: Vec<&str> = environment::flags(&command).map(|(_, name)| name).collect();
    assert_eq!(flags.len(), values.len(), "{flags:?}");
    for (name, value) in values {
        assert!(flags.contains(&name), "{name}");
        let flag = match value {
            "true" => format!("--{name}"),
            value => format!("--{name}={value}"),
        };
        let typed = parsed(&[&flag], &[]);
        let set = parsed(&[], &[(&environment::variable(name), value)]);
        assert_eq!(format!("{typed:?}"), format!("{set:?}"), "{name}");
        assert_ne!(
            format!("{typed:?}"),
            format!("{:?}", parsed(&[], &[])),
            "{name}"
        );
    }
}

#[test]
fn help_names_flags_defaults_and_variables() {
    // Lines may break between any two words.
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    for flag in command().get_arguments() {
        let Some(name) = flag.get_long() else {
            assert!(flag.is_positional() || flag.get_short() == Some('h'));
            continue;
        };
        assert!(help.contains(&format!("--{name}")), "{name}");
        if matches!(flag.get_action(), ArgAction::Help | ArgAction::Version) {
            continue;
        }
        assert!(
            help.contains(&format!("[env: {}]", environment::variable(name))),
            "{name}"
        );
    }
    for value in [
        "[default: localhost:4000]",
        "[default: 10MiB]",
        "[default: 1m15s]",
    ] {
        assert!(help.contains(value), "{value}");
    }
    for exit in Exit::ALL {
        assert!(help.contains(exit.meaning()), "{exit:?}");
    }
}

#[test]
fn document_lists_every_flag_with_its_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flags.md");
    let document = std::fs::read_to_string(path).expect("the document exists");
    let command = command();
    let mut documented = Vec::new();
    for row in document.lines().filter(|line| line.starts_with("| `--")) {
        // A `|` between values is escaped.
        let row = row.replace("\\|", "/");
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (flags, default) = (cells.next(), cells.next());
        let default = default.expect("each row has a default").replace('`', "");
        for flag in flags.expect("each row has a flag").split(", ") {
            // A short flag follows its long one, and `DIR` follows --root.
            if !flag.starts_with("`--") {
                continue;
            }
            let name = flag.trim_matches('`').trim_start_matches("--");
            let name = name.split(' ').next().unwrap_or_default();
            documented.push(name.to_owned());
            let flag = command
                .get_arguments()
                .find(|flag| flag.get_long() == Some(name))
                .unwrap_or_else(|| panic!("there is no flag --{name}"));
            let help = flag.get_long_help().or_else(|| flag.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let in_help = help
                .split_once("[default: ")
                .map(|(_, text)| text.to_owned());
            let typed = flag.get_default_values().first();
            let typed = typed.map(|value| value.to_string_lossy().into_owned());
            // The number of workers depends on the machine.
            let takes_value = flag.get_action().takes_values() && name != "workers";
            if let Some(expected) = in_help.or(typed).filter(|_| takes_value) {
                assert!(
                    expected.starts_with(&default),
                    "--{name}: {default} and {expected}"
                );
            }
        }
    }
    let flags: Vec<&str> = environment::flags(&command).map(|(_, name)| name).collect();
    documented.sort();
    let mut flags = flags;
    flags.sort();
    assert_eq!(documented, flags);
}

#[test]
fn command_line_precedes_variables() {
    let args = parsed(&["--workers", "2"], &[("HTTPOOL_WORKERS", "5")]);
    assert_eq!(args.workers, 2);
    let args = parsed(
        &["--workers", "2"],
        &[("HTTPOOL_WORKERS", "wrong, but not read")],
    );
    assert_eq!(args.workers, 2);
    let args = parsed(
        &[],
        &[("HTTPOOL_WORKERS", ""), ("HTTPOOL_DRAIN_DELAY", "2s")],
    );
    assert_eq!(args.workers, defaults::workers());
    assert_eq!(args.drain_delay, Span(Duration::from_secs(2)));
    assert!(!parsed(&[], &[("HTTPOOL_CHECK", "no")]).check);
}

#[test]
fn addresses_are_repeated_flags_or_a_list() {
    let addresses = |texts: &[&str]| -> Vec<Listen> {
        let parse = |text: &&str| text.parse().expect("the text is an address");
        texts.iter().map(parse).collect()
    };
    let both = addresses(&["localhost:1", "unix:/a"]);
    assert_eq!(
        parsed(&["--listen", "localhost:1", "--listen", "unix:/a"], &[]).listen,
        both
    );
    for list in [
        "localhost:1,unix:/a",
        "localhost:1 unix:/a",
        " localhost:1,\n unix:/a, ",
    ] {
        assert_eq!(
            parsed(&[], &[("HTTPOOL_LISTEN", list)]).listen,
            both,
            "{list:?}"
        );
    }
    let args = parsed(
        &["--listen", "[::1]:2"],
        &[("HTTPOOL_LISTEN", "localhost:1")],
    );
    assert_eq!(args.listen, addresses(&["[::1]:2"]));
}

#[test]
fn any_listen_flag_replaces_port_and_default() {
    for flag in [
        "--listen-proxy-protocol",
        "--listen-tls",
        "--listen-tls-proxy-protocol",
    ] {
        let args = parsed(&[flag, "localhost:1"], &[]);
        assert_eq!(
            args.addresses(environment_of(&[("PORT", "80")])),
            Ok(vec![]),
            "{flag}"
        );
    }
}

#[test]
fn port_completes_the_addresses_that_have_none() {
    #[track_caller]
    fn check(arguments: &[&str], expected: &[&str]) {
        let args = parsed(arguments, &[]);
        let addresses = args.addresses(environment_of(&[("PORT", "80")]));
        let texts = addresses.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            texts,
            Ok(expected.iter().map(|text| (*text).to_owned()).collect())
        );
    }
    check(&["-p", "8080"], &["localhost:8080"]);
    check(&["-p8080", "-l", "0.0.0.0"], &["0.0.0.0:8080"]);
    check(&["-l", "*"], &["*:4000"]);
    check(
        &["-l::1", "-l", "localhost:1", "-p=2"],
        &["[::1]:2", "localhost:1"],
    );
    check(
        &["--port", "8080", "--listen-tls", "localhost:8443"],
        &["localhost:8080"],
    );
    let error = parsed(&["-p1", "-l", "localhost:2"], &[]).addresses(environment_of(&[]));
    let line = "--port 1: --listen localhost:2 takes no other port, leave one of them out";
    assert_eq!(error, Err(line.to_owned()));
}

#[test]
fn port_of_a_service_named_httpool_is_no_flag() {
    let discovered = parsed(&[], &[("HTTPOOL_PORT", "tcp://10.0.0.1:80")]);
    assert_eq!(discovered.port, None);
    assert_eq!(parsed(&[], &[("HTTPOOL_PORT", "80")]).port, Some(80));
}

#[test]
fn folder_argument_is_the_root() {
    let folder = Some(PathBuf::from("public"));
    assert_eq!(parsed(&["public"], &[]).root, folder);
    assert_eq!(parsed(&["-r", "public"], &[]).root, folder);
    assert_eq!(
        parsed(&["public", "-p", "1"], &[("HTTPOOL_ROOT", "other")]).root,
        folder
    );
    assert_eq!(parsed(&[], &[("HTTPOOL_ROOT", "public")]).root, folder);
    assert_eq!(parsed(&["--", "-x"], &[]).root, Some("-x".into()));
}

#[test]
fn short_help_is_a_screen_of_the_common_flags() {
    let text = match parse_with(&["-h"], &[]) {
        Err(CliExit::Print(text)) => text,
        other => panic!("-h gave {other:?}"),
    };
    assert!(text.lines().count() <= 36, "{text}");
    assert!(!text.contains("HTTPOOL_"), "{text}");
    for (name, _) in command::SHORT_HELP {
        assert!(text.contains(&format!("--{name} ")), "{name}");
    }
    for part in ["[DIR]", "-p, --port", "-l, --listen", "-h", "--help"] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn proxies_are_repeated_flags_or_a_list() {
    let typed = parsed(&["--trusted-proxy", "::1", "--trusted-proxy=unix"], &[]);
    let set = parsed(&[], &[("HTTPOOL_TRUSTED_PROXY", "::1, unix")]);
    assert_eq!(typed.trusted_proxy, set.trusted_proxy);
    let texts: Vec<_> = set.trusted_proxy.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["::1/128", "unix"]);
}

#[test]
fn port_counts_only_without_an_address() {
    let port = environment_of(&[("PORT", "8080")]);
    let wrong = environment_of(&[("PORT", "http")]);

    let addresses = parsed(&[], &[])
        .addresses(&port)
        .expect("the port is a number");
    assert_eq!(addresses, ["*:8080".parse().expect("an address")]);

    let given = parsed(&["--listen", "localhost:1"], &[]);
    let address: ListenAddr = "localhost:1".parse().expect("an address");
    assert_eq!(given.addresses(&port), Ok(vec![address.clone()]));
    assert_eq!(given.addresses(&wrong), Ok(vec![address]));
    let error = parsed(&[], &[])
        .addresses(&wrong)
        .expect_err("the port is a word");
    assert!(error.starts_with("PORT \"http\": "), "{error}");
    assert!(
        parsed(&[], &[])
            .addresses(environment_of(&[("PORT", "")]))
            .is_ok()
    );
}

#[test]
fn wrong_value_is_one_line_that_names_its_source() {
    #[track_caller]
    fn check(name: &str, value: &str, reason: &str) {
        let variable = environment::variable(name);
        let typed = error_line(&[&format!("--{name}"), value], &[]);
        let set = error_line(&[], &[(&variable, value)]);
        for (line, start) in [
            (typed, &format!("--{name} ")),
            (set, &format!("{variable} ")),
        ] {
            assert!(line.starts_with(start), "{line}");
            assert!(line.contains(&format!("{value:?}")), "{line}");
            assert!(line.contains(reason), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
    check("workers", "0", "1 to 4096");
    check("workers", "-1", "1 to 4096");
    check("workers", "4097", "1 to 4096");
    check("max-body", "10Q", "64KiB");
    check("max-body", "-5MiB", "64KiB");
    check("max-header-size", "10", "256B");
    check("head-timeout", "30", "write 30s");
    check("head-timeout", "0s", "must be greater than zero");
    check("handshake-timeout", "0s", "must be greater than zero");
    check("hsts", "11y", "longer than ten years");
    check("idle-timeout", "2000d", "longer than one year");
    check("tls-client-auth", "maybe", "required, optional");
    check("queue-timeout", "0s", "must be greater than zero");
    check("queue-limit", "many", "0 to 10000000");
    check("http2", "maybe", "on, off");
    check("max-streams", "0", "1 to 1000000");
    check("stream-window", "16KiB", "64KiB");
    check("connection-window", "2GiB", "less than 2GiB");
    check("handlers-per-connection", "0", "1 to 4096");
    check("drain-timeout", "for\never", "500ms");
    check("listen", "[x]", "the host is not a name");
    check("admin", "localhost", "host:port");
    check("port", "99999", "0 to 65535");
    check("port", "-1", "0 to 65535");
    check("log-level", "loud", "error, warn, info, debug, trace, off");
    check("log-format", "xml", "text, json");
    check("echo-json", "lax", "strict, raw");
    check(
        "fault",
        "rset=5%",
        "rset=5%: \"rset\" is unknown: the faults are status, delay,",
    );
    check("fault-seed", "many", "not a seed: write a whole number");
    check("symlinks", "all", "inside, never");
    check("immutable", "assets/", "/assets/");
    check("etag", "inode", "mtime, change, content");
    check("media-type", "ts", "EXT=TYPE");
    check("media-type", "ts=plain", "EXT=TYPE");
    check("media-type", "=text/plain", "EXT=TYPE");
    check("media-type", "tar.gz=text/plain", "EXT=TYPE");
    check("cache-control", "a\nb", "header value");
    check("trusted-proxy", "localhost", "a network such as 10.0.0.0/8");
    check(
        "forwarded-by",
        "via",
        "x-forwarded, x-forwarded-for, forwarded",
    );
}

#[test]
fn other_usage_errors_are_one_line() {
    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let line = error_line(arguments, &[]);
        assert!(line.contains(expected), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    check(
        &["--max-bodi", "1"],
        "--max-bodi: no such flag, did you mean --max-body?",
    );
    check(
        &["--bind", "x"],
        "--bind: no such flag, did you mean --listen?",
    );
    check(&["public", "80"], "for a port write -p 80");
    check(&["-d", "x"], "-d: no such flag, did you mean --root?");
    check(&["--qqq"], "--qqq: no such flag");
    check(&["a", "b"], "\"b\": unexpected argument, one folder");
    check(&["a", "--root", "b"], "excludes");
    check(&["a", "--inspect"], "DIR: excludes --inspect");
    check(&["--inspect", "a"], "excludes");
    check(&["--workers"], "--workers: needs a value");
    check(&["--log-level"], "--log-level: needs a value, one of error");
    check(&["--log-file", "--check"], "--log-file: needs a value");
    check(
        &["--workers", "1", "--workers", "2"],
        "--workers: given more than once",
    );
    check(&["--inspect", "--root", "."], "--inspect: excludes --root");
    check(&["--root", ".", "--inspect"], "excludes");
    check(
        &["--check=yes"],
        "--check \"yes\": this flag takes no value",
    );
    let line = error_line(&[], &[("HTTPOOL_CHECK", "maybe")]);
    assert_eq!(line, "HTTPOOL_CHECK \"maybe\": not true or false");
}

#[test]
fn renamed_flags_and_values_name_the_new_one() {
    use crate::cli_error::RENAMED_FLAGS;
    for (old, new) in RENAMED_FLAGS {
        for typed in [format!("--{old}"), format!("--{old}=1")] {
            let line = error_line(&[&typed], &[]);
            assert_eq!(line, format!("--{old}: renamed, use --{new}"));
        }
        let (before, now) = (environment::variable(old), environment::variable(new));
        let line = error_line(&[], &[(&before, "1")]);
        assert_eq!(line, format!("{before}: renamed, use {now}"));
    }
    for (old, new) in [("beneath", "inside"), ("none", "never")] {
        let line = error_line(&["--symlinks", old], &[]);
        assert_eq!(line, format!("--symlinks {old:?}: renamed, use {new}"));
        let line = error_line(&[], &[("HTTPOOL_SYMLINKS", old)]);
        assert_eq!(
            line,
            format!("HTTPOOL_SYMLINKS {old:?}: renamed, use {new}")
        );
    }
}
