use std::fs;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::cli::Switch;
use crate::value_parsers::Span;

/// A file with this text, removed when it is dropped.
struct File(PathBuf);

impl File {
    fn new(text: impl AsRef<[u8]>) -> Self {
        static USED: AtomicUsize = AtomicUsize::new(0);
        let number = USED.fetch_add(1, Ordering::Relaxed);
        let name = format!("httpool-config-{}-{number}.toml", process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("the folder is writable");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("the name is UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn load_with(
    file: &File,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Config, CliExit> {
    let typed = ["httpool", "--config", file.name()].into_iter();
    let typed = typed.chain(arguments.iter().copied()).map(OsString::from);
    load(typed, |name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.into())
    })
}

#[track_caller]
fn loaded(text: &str) -> Config {
    let config = load_with(&File::new(text), &[], &[]);
    config.unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

/// The error of this text, with `FILE` instead of the name of the file.
#[track_caller]
fn error(text: &str) -> String {
    let file = File::new(text);
    let line = match load_with(&file, &[], &[]) {
        Err(CliExit::Error(line)) => line,
        Ok(config) => match config.check(false) {
            Err(line) => line,
            Ok(()) => panic!("{text:?} is no error"),
        },
        other => panic!("{text:?} gave {other:?}"),
    };
    assert_eq!(line.lines().count(), 1, "{line:?}");
    line.replace(file.name(), "FILE")
}

#[test]
fn keys_are_the_names_of_flags() {
    let config = loaded(
        "listen = [\"*:80\", \"unix:/run/x\"]\nworkers = 8\nadmin = \"localhost:1\"\n\
         idle-timeout = \"75s\"\nmax-body = 0x400\nhttp2 = false\nreuse-port = true\n\
         min-rate = 1_000\nlog-level = \"debug\"\ntrusted-proxy = []\nerror-pages = false\n",
    );
    let args = &config.args;
    assert_eq!(args.listen.len(), 2);
    assert_eq!(
        (args.workers, args.max_body.0, args.min_rate.0),
        (8, 1024, 1000)
    );
    assert_eq!(args.admin.len(), 1);
    assert_eq!(args.idle_timeout, Span(std::time::Duration::from_secs(75)));
    assert_eq!(args.http2, Switch::Off);
    assert!(args.reuse_port && args.error_pages.is_none() && args.trusted_proxy.is_empty());
    let table = loaded("[[host]]\nname = \"a\"");
    assert_eq!(table.hosts.len(), 1);
}

#[test]
fn command_line_precedes_variables_and_file() {
    let file =
        File::new("workers = 1\nmax-body = \"1KiB\"\nlog-level = \"off\"\nreuse-port = true\n");
    let variables = [("HTTPOOL_WORKERS", "2"), ("HTTPOOL_MAX_BODY", "2KiB")];
    let config = load_with(&file, &["--workers", "3"], &variables).expect("it is valid");
    assert_eq!((config.args.workers, config.args.max_body.0), (3, 2048));
    assert_eq!(config.args.log_level, log::LevelFilter::Off);
    assert!(config.args.reuse_port);

    let off = load_with(&file, &[], &[("HTTPOOL_REUSE_PORT", "no")]).expect("it is valid");
    assert!(!off.args.reuse_port);
    let other = File::new("workers = 5");
    let lists = [("HTTPOOL_CONFIG", other.name())];
    let typed = load_with(&file, &[], &lists).expect("it is valid");
    assert_eq!(typed.args.workers, 1);
}

#[test]
fn file_of_a_variable_is_read() {
    let file = File::new("workers = 5");
    let name = file.name().to_owned();
    let config = load([OsString::from("httpool")], |variable| {
        (variable == "HTTPOOL_CONFIG").then(|| name.clone().into())
    });
    assert_eq!(config.expect("it is valid").args.workers, 5);
}

#[test]
fn relative_paths_begin_at_the_file() {
    let config = loaded(
        "root = \"site\"\nfallback = \"index.html\"\nerror-pages = \"/srv/errors\"\n\
         access-log = \"-\"\ntls-cert = [\"a.pem\", \"/b.pem\"]\n",
    );
    let folder = std::env::temp_dir();
    assert_eq!(config.args.root, Some(folder.join("site")));
    assert_eq!(config.args.fallback, Some("index.html".into()));
    assert_eq!(config.args.error_pages, Some("/srv/errors".into()));
    assert_eq!(config.args.access_log, Some("-".into()));
    assert_eq!(
        config.args.tls_cert,
        [folder.join("a.pem"), "/b.pem".into()]
    );
}

#[test]
fn wrong_values_name_line_key_and_reason() {
    for (text, expected) in [
        (
            "\nworkers = 0",
            "FILE:2: workers \"0\": not a whole number from 1 to 4096",
        ),
        ("workers = [1]", "FILE:1: workers: takes one value"),
        (
            "workers = \"\"",
            "FILE:1: workers \"\": not a whole number from 1 to 4096",
        ),
        (
            "workers = true",
            "FILE:1: workers \"true\": not a whole number from 1 to 4096",
        ),
        (
            "workers = 1979-05-27",
            "FILE:1: workers: not a text or a number",
        ),
        (
            "idle-timeout = 75",
            "FILE:1: idle-timeout \"75\": no unit: write 75s for seconds, 75ms for milliseconds",
        ),
        (
            "listen = [\"*:80\",\n \"[x]\",\n]",
            "FILE:2: listen \"[x]\": ",
        ),
        (
            "listen = [[\"*:80\"]]",
            "FILE:1: listen: not a text or a number",
        ),
        (
            "log-level = \"loud\"",
            "FILE:1: log-level \"loud\": not one of error, warn, ",
        ),
        (
            "reuse-port = \"yes\"",
            "FILE:1: reuse-port: \"yes\": not true or false",
        ),
        (
            "reuse-port = 1",
            "FILE:1: reuse-port: \"1\": not true or false",
        ),
        (
            "reuse-port = [true]",
            "FILE:1: reuse-port: not true or false",
        ),
        ("[reuse-port]", "FILE:1: reuse-port: not true or false"),
        (
            "\n[workers]\na = 1",
            "FILE:2: workers: not a text or a number",
        ),
        (
            "root = \"a\\u0000b\"",
            "FILE:1: root: contains a NUL character",
        ),
        (
            "cache-control = \"a\\nb\"",
            "FILE:1: cache-control \"a\\nb\": ",
        ),
        (
            "symlinks = \"none\"",
            "FILE:1: symlinks \"none\": renamed, use never",
        ),
        ("\n\ninspect = true\nroot = \".\"", "FILE:"),
    ] {
        let line = error(text);
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn unknown_keys_get_a_suggestion() {
    for (text, expected) in [
        (
            "worker = 1",
            "FILE:1: worker: no such setting, did you mean workers?",
        ),
        (
            "max_body = 1",
            "FILE:1: max_body: no such setting, did you mean max-body?",
        ),
        (
            "Workers = 1",
            "FILE:1: Workers: no such setting, did you mean workers?",
        ),
        (
            "[[hosts]]",
            "FILE:1: hosts: no such setting, did you mean host?",
        ),
        (
            "help = true",
            "FILE:1: help: no such setting, httpool --help lists them",
        ),
        (
            "qqqq = 1",
            "FILE:1: qqqq: no such setting, httpool --help lists them",
        ),
        (
            "\"a\\nb\" = 1",
            "FILE:1: \"a\\nb\": no such setting, httpool --help lists them",
        ),
        (
            "\"\" = 1",
            "FILE:1: \"\": no such setting, httpool --help lists them",
        ),
        ("help = true", "FILE:1: help: no such setting"),
        (
            "max-head = 1",
            "FILE:1: max-head: renamed, use max-header-size",
        ),
        ("check = true", "FILE:1: check: belongs to the command line"),
        (
            "config = \"x\"",
            "FILE:1: config: belongs to the command line",
        ),
        ("name = \"x\"", "FILE:1: name: belongs into a [[host]]"),
    ] {
        let line = error(text);
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn rules_between_flags_name_the_line() {
    assert_eq!(
        error("workers = 1\nlisting = true"),
        "FILE:2: listing: needs root"
    );
    assert_eq!(
        error("[[host]]\nname = \"a\"\nlisting = true"),
        "FILE:3: listing: needs root"
    );
    assert_eq!(
        error("tls-cert = \"a.pem\""),
        "FILE:1: tls-cert and tls-key: give one key for each certificate"
    );
    let line = error("inspect = true\nroot = \".\"");
    assert!(
        line.contains("inspect: excludes FILE:2: root, give one of them")
            || line.contains("root: excludes FILE:1: inspect, give one of them"),
        "{line}"
    );
}

#[test]
fn wrong_toml_names_line_and_column() {
    for (text, place) in [
        ("workers = ", "FILE:1:"),
        ("a = 1\nworkers 8", "FILE:2:"),
        ("listen = [\"a\"", "FILE:1:"),
        ("workers = 1\nworkers = 2", "FILE:2:1: not TOML: "),
        ("\n\"\u{e9}\" = é", "FILE:2:7: not TOML: "),
    ] {
        let line = error(text);
        assert!(
            line.starts_with(place) && line.contains(": not TOML: "),
            "{line}"
        );
    }
}

#[test]
fn files_that_are_no_text_are_one_line() {
    #[track_caller]
    fn check(path: &str, expected: &str) {
        let typed = ["httpool", "-c", path].map(OsString::from);
        match load(typed, |_| None) {
            Err(CliExit::Failed(line)) => {
                assert_eq!(line, format!("configuration {path}: {expected}"));
            }
            other => panic!("{path} gave {other:?}"),
        }
    }
    check("/nowhere/x.toml", "No such file or directory (os error 2)");
    check("/tmp", "it is a folder");
    let pipe = File::new("");
    fs::remove_file(&pipe.0).expect("the file exists");
    mknodat(CWD, &pipe.0, FileType::Fifo, Mode::RWXU, 0).expect("the folder is writable");
    check(pipe.name(), "it is not a regular file");
    check(File::new(b"a\n\xff").name(), "line 2 is not UTF-8");
    let large = File::new("");
    let opened = fs::File::options().write(true).open(&large.0);
    let resized = opened.and_then(|file| file.set_len(100 << 20));
    resized.expect("sparse files are supported");
    check(large.name(), "it is larger than 1MiB");
}

#[test]
fn hosts_have_the_settings_of_the_top_and_their_own() {
    let config = loaded(
        "root = \"/srv\"\nlisting = true\ncache-control = \"max-age=60\"\nerror-pages = \"/e\"\n\
         [[redirect]]\nfrom = \"/a\"\nto = \"/b\"\n\
         [[host]]\nname = [\"A.example\", \"*.b.example\"]\nlisting = false\nerror-pages = false\n\
         [[host]]\nname = \"c.example\"\nroot = \"c\"\nrewrite = [{ from = \"/x\", to = \"/y\" }]\n",
    );
    let [one, two] = &config.hosts[..] else {
        panic!("there are two hosts");
    };
    assert!(config.args.listing && !one.args.listing && two.args.listing);
    assert_eq!(one.args.root, Some("/srv".into()));
    assert_eq!(one.args.error_pages, None);
    assert_eq!(two.args.root, Some(std::env::temp_dir().join("c")));
    assert_eq!(two.args.cache_control, config.args.cache_control);
    assert_eq!(one.rules, config.rules);
    assert_eq!(
        two.rules.as_ref().map(|rules| rules.rewrites.len()),
        Some(1)
    );
    assert_eq!(
        two.rules.as_ref().map(|rules| rules.redirects.len()),
        Some(0)
    );
}

#[test]
fn host_with_a_folder_is_no_inspector() {
    let config = loaded("inspect = true\nmax-delay = \"1s\"\n[[host]]\nname = \"a\"\nroot = \"/\"");
    assert!(config.args.inspect && !config.hosts[0].args.inspect);
    config.check(false).expect("the rules between flags hold");
}

#[test]
fn host_replaces_what_its_settings_exclude() {
    let config = loaded(
        "root = \"/\"\nfallback = \"x\"\n[[host]]\nname = \"a\"\nspa = true\n\
         [[host]]\nname = \"b\"\n",
    );
    assert!(config.hosts[0].args.spa && config.hosts[0].args.fallback.is_none());
    assert!(!config.hosts[1].args.spa && config.hosts[1].args.fallback.is_some());
}

#[test]
fn server_has_the_certificates_of_all_hosts() {
    let config = loaded(
        "listen-tls = \"*:443\"\n[[host]]\nname = \"a\"\ntls-cert = \"/a.pem\"\ntls-key = \"/a.key\"\n\
         [[host]]\nname = \"b\"\ntls-cert = \"/b.pem\"\ntls-key = \"/b.key\"\n",
    );
    assert_eq!(
        config.args.tls_cert,
        [PathBuf::from("/a.pem"), "/b.pem".into()]
    );
    assert_eq!(
        config.args.tls_key,
        [PathBuf::from("/a.key"), "/b.key".into()]
    );
    config.check(false).expect("the server has certificates");
}

#[test]
fn wrong_hosts_are_errors() {
    for (text, expected) in [
        (
            "[[host]]\nroot = \"/\"",
            "FILE:1: host: needs a name, for example name = \"example.org\"",
        ),
        ("[[host]]\nname = []", "FILE:1: host: needs a name"),
        ("[[host]]\nname = 1", "FILE:2: name: not a text"),
        (
            "[host]\nname = \"a\"",
            "FILE:1: host: write [[host]], because there may be several",
        ),
        (
            "host = 1",
            "FILE:1: host: write [[host]], because there may be several",
        ),
        (
            "host = [1]",
            "FILE:1: host: write [[host]], because there may be several",
        ),
        (
            "[[host]]\nname = \"a:80\"",
            "FILE:2: name \"a:80\": a name without a port",
        ),
        (
            "[[host]]\nname = \"a\"\n[[host]]\nname = [\"b\",\n\"A.\"]",
            "FILE:5: name \"A.\": the host a has it already",
        ),
        (
            "[[host]]\nname = [\"a\", \"a\"]",
            "FILE:2: name \"a\": this host has it already",
        ),
        (
            "[[host]]\nname = \"a\"\nworkers = 1",
            "FILE:3: workers: belongs to the top of the file",
        ),
        (
            "[[host]]\nname = \"a\"\n[[host.host]]",
            "FILE:3: host: belongs to the top of the file",
        ),
        (
            "[[host]]\nname = \"a\"\nroots = 1",
            "FILE:3: roots: no such setting, did you mean root?",
        ),
        (
            "[[host]]\nname = \"a\"\ntls-cert = \"x\"",
            "FILE:1: host: give one tls-key for each tls-cert",
        ),
        (
            "[[host]]\nname = \"a\"\nroot = \"\"",
            "FILE:3: root: needs a value",
        ),
        (
            "unknown-host = true",
            "FILE:1: unknown-host: not one of default, reject",
        ),
        (
            "[[redirect]]\nfrom = \"/a\"",
            "FILE:1: redirect: needs from and to",
        ),
        (
            "[[redirect]]\nfrom = 1\nto = \"/b\"",
            "FILE:2: redirect: from: not a text",
        ),
        (
            "[[redirect]]\nfrom = \"a\"\nto = \"/b\"",
            "FILE:2: redirect: from \"a\": not a path",
        ),
        (
            "[[redirect]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 200",
            "FILE:4: redirect: status 200: not one of 301, 302, 303, 307, 308",
        ),
        (
            "[[redirect]]\nfrom = \"/a\"\nto = \"/a\"",
            "FILE:3: redirect: \"/a\" leads to itself again",
        ),
        (
            "[[rewrite]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 301",
            "FILE:4: rewrite: status: no such setting, there are from, to",
        ),
        (
            "[[host]]\nname = \"a\"\n[[host.rewrite]]\nfrom = \"/a\"\nto = \"https://b/\"",
            "FILE:5: rewrite: to \"https://b/\": not a path",
        ),
    ] {
        let line = error(text);
        assert!(line.starts_with(expected), "{text:?}: {line}");
    }
}

#[test]
fn printed_configuration_is_a_file_with_the_same_settings() {
    let file = File::new(
        "root = \"site\"\nlisting = true\nimmutable = [\"/a/\", \"/b/\"]\nlog-level = \"warn\"\n\
         unknown-host = \"reject\"\n\
         [[redirect]]\nfrom = \"/a\"\nto = \"/b\\u007f\"\nstatus = 301\n\
         [[host]]\nname = \"a\"\nlisting = false\ncache-control = \"\\\"x\\\\\\\"\"\n\
         [[host.redirect]]\nfrom = \"/c/{r...}\"\nto = \"https://d/{r}\"\n\
         [[host.rewrite]]\nfrom = \"/e\"\nto = \"/f\"\n",
    );
    let variables = [("HTTPOOL_ETAG", "content"), ("HTTPOOL_PRECOMPRESSED", "no")];
    let config = load_with(&file, &["--workers", "3"], &variables).expect("it is valid");
    let text = print(&config, None);
    for line in [
        "workers = 3  # command line".to_owned(),
        "etag = \"content\"  # HTTPOOL_ETAG".into(),
        "precompressed = false  # HTTPOOL_PRECOMPRESSED".into(),
        format!("listing = true  # {}:2", file.name()),
        format!("immutable = [\"/a/\", \"/b/\"]  # {}:3", file.name()),
        format!(
            "root = \"{}\"  # {}:1",
            std::env::temp_dir().join("site").display(),
            file.name()
        ),
        "max-body = \"10MiB\"  # default".into(),
        "dotfiles = false  # default".into(),
        "# fallback is not set; default: none".into(),
        format!("listing = false  # {}:12", file.name()),
    ] {
        assert!(
            text.lines().any(|printed| printed == line),
            "{line} in {text}"
        );
    }
    let again = loaded(&text);
    assert_eq!(
        format!(
            "{:?}",
            Args {
                config: None,
                ..again.args.clone()
            }
        ),
        format!(
            "{:?}",
            Args {
                config: None,
                ..config.args.clone()
            }
        )
    );
    assert_eq!(again.rules, config.rules);
    assert_eq!(again.hosts[0].rules, config.hosts[0].rules);
    assert_eq!(
        format!(
            "{:?}",
            Args {
                config: None,
                ..again.hosts[0].args.clone()
            }
        ),
        format!(
            "{:?}",
            Args {
                config: None,
                ..config.hosts[0].args.clone()
            }
        )
    );
    again.check(false).expect("the rules between flags hold");
    assert_eq!(again.unknown_host, UnknownHost::Reject);
}

#[test]
fn secrets_are_not_printed() {
    let token = "0123456789abcdef";
    let config = loaded(&format!("inspect = true\ninspect-token = \"{token}\""));
    let text = print(&config, None);
    assert!(!text.contains(token) && text.contains("# inspect-token is set, and not printed"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_configuration_or_one_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        expect_one_line(&bytes);
    }

    #[test]
    fn any_text_of_pieces_is_a_configuration_or_one_line(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..24)
    ) {
        expect_one_line(pieces.concat().as_bytes());
    }
}

/// Parts of files, right and wrong.
const PIECES: [&str; 30] = [
    "\n",
    "\n\n",
    " = ",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "#",
    ".",
    ",",
    "host",
    "redirect",
    "rewrite",
    "name",
    "from",
    "to",
    "\"/a/{rest...}\"",
    "\"/{rest}\"",
    "workers",
    "root",
    "listing",
    "true",
    "8",
    "\"example.org\"",
    "1979-05-27",
    "\u{e9}",
];

fn expect_one_line(bytes: &[u8]) {
    let line = match load_with(&File::new(bytes), &[], &[]) {
        Ok(config) => print(&config, None)
            .lines()
            .next()
            .map(String::from)
            .unwrap_or_default(),
        Err(CliExit::Error(line) | CliExit::Failed(line) | CliExit::Print(line)) => line,
    };
    assert_eq!(line.lines().count(), 1, "{line:?}");
}
