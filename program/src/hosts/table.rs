//! Finds the virtual host of a request.

use std::collections::HashMap;

use httpool::http::header::{HOST, HeaderMap};

use super::name::{HostName, host_in};

/// The names of all hosts, with the number of each host.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostTable {
    exact: HashMap<String, usize>,
    beneath: HashMap<String, usize>,
}

impl HostTable {
    /// Adds a name. Returns the number of the host that has it already, if one does.
    pub(crate) fn add(&mut self, name: HostName, host: usize) -> Option<usize> {
        let (names, name) = match name {
            HostName::Exact(name) => (&mut self.exact, name),
            HostName::Beneath(name) => (&mut self.beneath, name),
        };
        let known = names.get(&name).copied();
        names.entry(name).or_insert(host);
        known
    }

    /// The host of a request with these headers. A name goes before a star, and a longer name after
    /// a star before a shorter one.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Option<usize> {
        // The server has checked that there is one valid header at most.
        let header = headers.get(HOST)?.to_str().ok()?;
        let name = host_in(header);
        if let Some(host) = self.exact.get(name.as_ref()) {
            return Some(*host);
        }
        if self.beneath.is_empty() {
            return None;
        }
        let mut rest = name.as_ref();
        while let Some((label, parent)) = rest.split_once('.') {
            if let Some(host) = self.beneath.get(parent).filter(|_| !label.is_empty()) {
                return Some(*host);
            }
            rest = parent;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use httpool::http::HeaderValue;

    use super::*;

    #[test]
    fn longest_name_is_found() {
        let mut table = HostTable::default();
        let names = [
            "example.org",
            "*.example.org",
            "*.a.example.org",
            "b.a.example.org",
            "*.org",
        ];
        for (host, name) in names.into_iter().enumerate() {
            let name = HostName::parse(name).expect("the name is valid");
            assert_eq!(table.add(name, host), None);
        }
        let again = HostName::parse("EXAMPLE.org.").expect("the name is valid");
        assert_eq!(table.add(again, 9), Some(0));

        for (header, expected) in [
            ("example.org", Some(0)),
            ("Example.Org.:443", Some(0)),
            ("www.example.org", Some(1)),
            ("x.y.example.org", Some(1)),
            ("x.a.example.org", Some(2)),
            ("a.example.org", Some(1)),
            ("b.a.example.org", Some(3)),
            (".example.org", Some(4)),
            ("notexample.org", Some(4)),
            ("org", None),
            ("example.com", None),
            ("", None),
        ] {
            let value = HeaderValue::from_static(header);
            let headers = HeaderMap::from_iter([(HOST, value)]);
            assert_eq!(table.find(&headers), expected, "{header}");
        }
        assert_eq!(table.find(&HeaderMap::new()), None);
    }
}
