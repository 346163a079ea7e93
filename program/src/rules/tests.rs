use httpool::testing::Client;
use httpool::{Layered, Request};

use super::*;

/// Redirects and rewrites from pairs of paths.
fn rules(redirects: &[(&str, &str)], rewrites: &[(&str, &str)]) -> Result<Rules, String> {
    let mut builder = RulesBuilder::default();
    let reason = |(_, reason)| reason;
    for (from, to) in redirects {
        let added = builder.redirect((from, 0..0), (to, 0..0), None);
        added.map_err(reason)?;
    }
    for (from, to) in rewrites {
        builder.rewrite((from, 0..0), (to, 0..0)).map_err(reason)?;
    }
    builder
        .build()
        .map(Option::unwrap_or_default)
        .map_err(reason)
}

fn client(redirects: &[(&str, &str)], rewrites: &[(&str, &str)]) -> Client {
    let rules = rules(redirects, rewrites).expect("the rules are valid");
    let show = |request: Request| request.uri().to_string();
    Client::new(Layered::new(show).layer(rules))
}

#[test]
fn first_rule_counts_and_redirects_come_first() {
    let client = client(
        &[
            ("/a", "/one"),
            ("/a", "/two"),
            ("/b/{rest...}", "https://example.org/{rest}"),
        ],
        &[
            ("/a", "/never"),
            ("/c", "/d"),
            ("/d", "/e"),
            ("/f/{r...}", "/g/{r}?x"),
        ],
    );
    for (path, location) in [
        ("/a", "/one"),
        ("/a?q=%41", "/one?q=%41"),
        ("/b/x%2fy?z", "https://example.org/x%2Fy?z"),
    ] {
        let response = client.get(path).send();
        assert_eq!(response.status(), 307, "{path}");
        assert_eq!(response.headers()[LOCATION], location);
    }
    for (path, handled) in [
        ("/c?q", "/d?q"),
        ("/d", "/e"),
        ("/f/x?q", "/g/x?x"),
        ("/h", "/h"),
    ] {
        assert_eq!(client.get(path).send().text(), handled, "{path}");
    }
}

#[test]
fn redirects_to_themselves_are_errors() {
    for (from, to) in [
        ("/a", "/a"),
        ("/a", "/a?b"),
        ("/{rest...}", "/{rest}"),
        ("/{rest...}", "/new/{rest}"),
        ("/a/{rest...}", "/a/b/#c"),
    ] {
        let error = rules(&[(from, to)], &[]).expect_err("the redirect is endless");
        assert!(error.contains("leads to itself again"), "{error}");
    }
    // Another rule comes first.
    assert!(rules(&[("/new/x", "/y"), ("/{rest...}", "/new/x")], &[]).is_ok());
    assert!(rules(&[("/{rest...}", "https://example.org/{rest}")], &[]).is_ok());
}
