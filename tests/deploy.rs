//! What `deploy/kubernetes.yaml` says fits together, and fits the program.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytesize::ByteSize;
use httpool::ListenAddr;
use saphyr::{LoadableYamlNode, YamlOwned};

/// From a drain's deadline to the end of the process, with much to spare.
const LAST: Duration = Duration::from_secs(5);

/// What the program has without any load, with much to spare; it is some 4 MiB.
const BASE: u64 = 32 << 20;

struct Manifest {
    deployment: YamlOwned,
    service: YamlOwned,
    budget: YamlOwned,
}

impl Manifest {
    fn read() -> Self {
        let path =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("deploy/kubernetes.yaml");
        let text = fs::read_to_string(path).expect("the manifest is there");
        let documents = YamlOwned::load_from_str(&text).expect("the manifest is YAML");
        let of_kind = |kind| {
            let mut found = documents.iter().filter(|one| text_of(&one["kind"]) == kind);
            let one = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
            assert!(found.next().is_none(), "there are two of kind {kind}");
            one.clone()
        };
        assert_eq!(documents.len(), 3, "each document is looked at");
        Self {
            deployment: of_kind("Deployment"),
            service: of_kind("Service"),
            budget: of_kind("PodDisruptionBudget"),
        }
    }

    fn template(&self) -> &YamlOwned {
        &self.deployment["spec"]["template"]
    }

    fn container(&self) -> &YamlOwned {
        let containers = &self.template()["spec"]["containers"];
        assert_eq!(items(containers).len(), 1, "there is one container");
        &containers[0]
    }

    /// The variables that the program gets.
    fn variables(&self) -> HashMap<&str, &str> {
        let pairs = items(&self.container()["env"]).iter();
        pairs
            .map(|one| (text_of(&one["name"]), text_of(&one["value"])))
            .collect()
    }

    fn time(&self, name: &str) -> Duration {
        humantime::parse_duration(self.variables()[name]).expect("it is a time")
    }

    fn size(&self, name: &str) -> u64 {
        size(self.variables()[name])
    }

    /// The container's port of this name.
    fn port(&self, name: &str) -> i64 {
        let ports = items(&self.container()["ports"]);
        let port = ports.iter().find(|port| text_of(&port["name"]) == name);
        number(&port.unwrap_or_else(|| panic!("no port is called {name}"))["containerPort"])
    }
}

fn text_of(node: &YamlOwned) -> &str {
    node.as_str().expect("it is text")
}

fn number(node: &YamlOwned) -> i64 {
    node.as_integer().expect("it is a number")
}

fn items(node: &YamlOwned) -> &[YamlOwned] {
    node.as_vec().expect("it is a list")
}

/// What the program calls MiB, Kubernetes calls Mi.
fn size(text: &str) -> u64 {
    let size: ByteSize = text.parse().expect("it is a size");
    size.as_u64()
}

#[test]
fn the_program_accepts_the_settings() {
    let manifest = Manifest::read();
    let checked = Command::new(env!("CARGO_BIN_EXE_httpool"))
        .arg("--check")
        .env_clear()
        .envs(manifest.variables())
        .output()
        .expect("the program runs");
    let complaint = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complaint}");
}

#[test]
fn ports_are_those_that_the_program_listens_on() {
    let manifest = Manifest::read();
    for (variable, name) in [("HTTPOOL_LISTEN", "http"), ("HTTPOOL_ADMIN", "admin")] {
        let address: ListenAddr = manifest.variables()[variable]
            .parse()
            .expect("it is an address");
        let ListenAddr::Tcp { host, port } = address else {
            panic!("{variable} is no TCP address");
        };
        assert_eq!(host, "*", "{variable} is for everyone");
        assert_eq!(manifest.port(name), i64::from(port), "{name}");
    }
    let ports = items(&manifest.service["spec"]["ports"]);
    let targets: Vec<_> = ports
        .iter()
        .map(|port| text_of(&port["targetPort"]))
        .collect();
    assert_eq!(targets, ["http"], "the admin port is for no client");
}

#[test]
fn probes_ask_what_the_admin_server_answers() {
    let manifest = Manifest::read();
    // `tests/it/admin.rs` asks for these.
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let asked = &manifest.container()[probe]["httpGet"];
        assert_eq!(text_of(&asked["path"]), path, "{probe}");
        assert_eq!(text_of(&asked["port"]), "admin", "{probe}");
    }
}

#[test]
fn a_drain_ends_before_it_is_killed() {
    let manifest = Manifest::read();
    let pod = &manifest.template()["spec"];
    let grace = number(&pod["terminationGracePeriodSeconds"]).unsigned_abs();
    let drain = manifest.time("HTTPOOL_DRAIN_DELAY") + manifest.time("HTTPOOL_DRAIN_TIMEOUT");
    assert!(Duration::from_secs(grace) >= drain + LAST, "{drain:?}");
    // Its sleep would come before the program knows of its end.
    assert!(!manifest.container().contains_mapping_key("lifecycle"));
}

#[test]
fn one_instance_at_a_time_may_be_away() {
    let manifest = Manifest::read();
    let labels = &manifest.template()["metadata"]["labels"];
    let pod = &manifest.template()["spec"];
    let selectors = [
        &manifest.deployment["spec"]["selector"]["matchLabels"],
        &manifest.service["spec"]["selector"],
        &manifest.budget["spec"]["selector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ];
    assert!(selectors.iter().all(|selector| *selector == labels));
    assert!(number(&manifest.deployment["spec"]["replicas"]) >= 2);
    assert_eq!(number(&manifest.budget["spec"]["maxUnavailable"]), 1);
    let rolling = &manifest.deployment["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(number(&rolling["maxUnavailable"]), 0);
}

#[test]
fn memory_is_enough_for_what_the_settings_allow() {
    let manifest = Manifest::read();
    let workers: u64 = manifest.variables()["HTTPOOL_WORKERS"]
        .parse()
        .expect("it is a number");
    // Each worker may have a request and its answer in hand, besides the buffer they came in.
    let in_hand = 3 * workers * manifest.size("HTTPOOL_MAX_BODY");
    // The allocator needs about as much again as is kept (README.md).
    let kept = 2 * manifest.size("HTTPOOL_MAX_BUFFERED_MEMORY");
    let limit = text_of(&manifest.container()["resources"]["limits"]["memory"]);
    assert!(size(&format!("{limit}B")) >= in_hand + kept + BASE);
}

#[test]
fn the_container_may_do_nothing_but_serve() {
    let manifest = Manifest::read();
    let own = &manifest.container()["securityContext"];
    assert_eq!(own["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(own["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(text_of(&own["capabilities"]["drop"][0]), "ALL");
    let pod = &manifest.template()["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    let profile = &pod["securityContext"]["seccompProfile"]["type"];
    assert_eq!(text_of(profile), "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"].as_bool(), Some(false));
}
