//! The settings in `deploy/kubernetes.yaml` agree with each other and with the program.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytesize::ByteSize;
use httpool::ListenAddr;
use saphyr::{LoadableYamlNode, YamlOwned};

/// Time from the deadline of a drain to the end of the process, with a large margin.
const EXIT_TIME: Duration = Duration::from_secs(5);

/// Memory of the program without load, about 4 MiB, with a large margin.
const BASE_MEMORY: u64 = 32 << 20;

struct Manifest {
    deployment: YamlOwned,
    service: YamlOwned,
    budget: YamlOwned,
}

impl Manifest {
    fn read() -> Self {
        let path =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("deploy/kubernetes.yaml");
        let text = fs::read_to_string(path).expect("the manifest exists");
        let documents = YamlOwned::load_from_str(&text).expect("the manifest is YAML");
        let of_kind = |kind| {
            let mut found = documents.iter().filter(|one| text_of(&one["kind"]) == kind);
            let one = found
                .next()
                .unwrap_or_else(|| panic!("no document is a {kind}"));
            assert!(found.next().is_none(), "two documents are a {kind}");
            one.clone()
        };
        assert_eq!(documents.len(), 3, "the tests read three documents");
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
        assert_eq!(items(containers).len(), 1, "the pod has one container");
        &containers[0]
    }

    /// The environment variables of the program.
    fn variables(&self) -> HashMap<&str, &str> {
        let pairs = items(&self.container()["env"]).iter();
        pairs
            .map(|one| (text_of(&one["name"]), text_of(&one["value"])))
            .collect()
    }

    fn time(&self, name: &str) -> Duration {
        humantime::parse_duration(self.variables()[name]).expect("the variable is a time")
    }

    fn size(&self, name: &str) -> u64 {
        size(self.variables()[name])
    }

    /// The port of the container with this name.
    fn port(&self, name: &str) -> i64 {
        let ports = items(&self.container()["ports"]);
        let port = ports.iter().find(|port| text_of(&port["name"]) == name);
        number(&port.unwrap_or_else(|| panic!("no port has the name {name}"))["containerPort"])
    }
}

fn text_of(node: &YamlOwned) -> &str {
    node.as_str().expect("the node is text")
}

fn number(node: &YamlOwned) -> i64 {
    node.as_integer().expect("the node is a number")
}

fn items(node: &YamlOwned) -> &[YamlOwned] {
    node.as_vec().expect("the node is a list")
}

/// Parses a size of the program. Kubernetes writes Mi for MiB.
fn size(text: &str) -> u64 {
    let size: ByteSize = text.parse().expect("the text is a size");
    size.as_u64()
}

#[test]
fn program_accepts_the_settings() {
    let manifest = Manifest::read();
    let checked = Command::new(env!("CARGO_BIN_EXE_httpool"))
        .arg("--check")
        .env_clear()
        .envs(manifest.variables())
        .output()
        .expect("the program runs");
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{errors}");
}

#[test]
fn ports_match_the_addresses_of_the_program() {
    let manifest = Manifest::read();
    for (variable, name) in [("HTTPOOL_LISTEN", "http"), ("HTTPOOL_ADMIN", "admin")] {
        let address: ListenAddr = manifest.variables()[variable]
            .parse()
            .expect("the variable is an address");
        let ListenAddr::Tcp { host, port } = address else {
            panic!("{variable} is not a TCP address");
        };
        assert_eq!(host, "*", "{variable} listens on every interface");
        assert_eq!(manifest.port(name), i64::from(port), "{name}");
    }
    let ports = items(&manifest.service["spec"]["ports"]);
    let targets: Vec<_> = ports
        .iter()
        .map(|port| text_of(&port["targetPort"]))
        .collect();
    assert_eq!(targets, ["http"], "clients can't reach the admin port");
}

#[test]
fn probes_use_paths_of_the_admin_server() {
    let manifest = Manifest::read();
    // `tests/program/admin.rs` tests these paths.
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        let request = &manifest.container()[probe]["httpGet"];
        assert_eq!(text_of(&request["path"]), path, "{probe}");
        assert_eq!(text_of(&request["port"]), "admin", "{probe}");
    }
}

#[test]
fn grace_period_is_longer_than_a_drain() {
    let manifest = Manifest::read();
    let pod = &manifest.template()["spec"];
    let grace = number(&pod["terminationGracePeriodSeconds"]).unsigned_abs();
    let drain = manifest.time("HTTPOOL_DRAIN_DELAY") + manifest.time("HTTPOOL_DRAIN_TIMEOUT");
    assert!(Duration::from_secs(grace) >= drain + EXIT_TIME, "{drain:?}");
    // A preStop hook would delay the signal that starts the drain.
    assert!(!manifest.container().contains_mapping_key("lifecycle"));
}

#[test]
fn one_instance_at_a_time_may_be_unavailable() {
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
fn memory_limit_covers_the_settings() {
    let manifest = Manifest::read();
    let workers: u64 = manifest.variables()["HTTPOOL_WORKERS"]
        .parse()
        .expect("the variable is a number");
    // Each worker may hold a request body, its receive buffer and a response body.
    let of_workers = 3 * workers * manifest.size("HTTPOOL_MAX_BODY");
    // A margin of the same size for the allocator.
    let buffered = 2 * manifest.size("HTTPOOL_MAX_BUFFERED_MEMORY");
    let limit = text_of(&manifest.container()["resources"]["limits"]["memory"]);
    assert!(size(&format!("{limit}B")) >= of_workers + buffered + BASE_MEMORY);
}

#[test]
fn container_has_no_unneeded_rights() {
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
