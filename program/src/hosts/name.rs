//! Names of hosts, and the host of a request.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The longest name (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;

/// The name of a virtual host, in lower case and without a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostName {
    /// One host.
    Exact(String),
    /// All hosts beneath this one, however deep; not this one itself.
    Beneath(String),
}

impl HostName {
    /// Parses `example.org`, `*.example.org` or an address.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_suffix('.').unwrap_or(text).to_lowercase();
        if let Some(parent) = name.strip_prefix("*.") {
            return check(parent).map(|()| Self::Beneath(parent.to_owned()));
        }
        if name.starts_with('[') {
            let address =
                literal(&name).ok_or("not an address: an IPv6 address is [::1], for example")?;
            return Ok(Self::Exact(address));
        }
        if name.parse::<Ipv6Addr>().is_ok() {
            return Err("an IPv6 address has brackets");
        }
        check(&name).map(|()| Self::Exact(name))
    }
}

fn check(name: &str) -> Result<(), &'static str> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() {
        return Err("not a name of a host");
    }
    if name.contains("://") || name.contains('/') {
        return Err("a name without scheme and path");
    }
    if name.contains(':') {
        return Err("a name without a port: a host is the same on all ports");
    }
    if name.contains('*') {
        return Err("a star stands for the first labels, as in *.example.org");
    }
    if !name.is_ascii() {
        return Err("write the name as clients send it, in the ASCII form that begins with xn--");
    }
    let mut labels = name.split('.');
    if name.len() > LONGEST || labels.any(|label| label.is_empty() || !label.bytes().all(is_letter))
    {
        return Err("not a name of a host");
    }
    Ok(())
}

/// An IPv6 address in brackets, in its usual form.
fn literal(text: &str) -> Option<String> {
    let address = text.strip_prefix('[')?.strip_suffix(']')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(format!("[{address}]"))
}

/// The host in the value of a `Host` header, in the form of a [`HostName`]. Case, port and a dot at
/// the end do not matter (RFC 9110 sections 4.2.3 and 7.2).
pub(super) fn host_in(header: &str) -> Cow<'_, str> {
    if header.starts_with('[') {
        let end = header.find(']').map_or(header.len(), |end| end + 1);
        return literal(&header[..end]).map_or(header.into(), Cow::Owned);
    }
    let name = header.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let exact = |name: &str| Ok(HostName::Exact(name.into()));
        assert_eq!(HostName::parse("Example.ORG."), exact("example.org"));
        assert_eq!(HostName::parse("localhost"), exact("localhost"));
        assert_eq!(HostName::parse("192.0.2.1"), exact("192.0.2.1"));
        assert_eq!(HostName::parse("[0:0::1]"), exact("[::1]"));
        assert_eq!(HostName::parse("my_host-1"), exact("my_host-1"));
        let beneath = HostName::Beneath("example.org".into());
        assert_eq!(HostName::parse("*.Example.org"), Ok(beneath));
    }

    #[test]
    fn wrong_names_are_errors() {
        for (text, part) in [
            ("", "not a name"),
            (".", "not a name"),
            ("a..b", "not a name"),
            ("a b", "not a name"),
            ("*..", "not a name"),
            ("*", "a star stands"),
            ("a.*", "a star stands"),
            ("*.*.a", "a star stands"),
            ("a*.org", "a star stands"),
            ("a:80", "without a port"),
            ("[::1]:80", "not an address"),
            ("::1", "brackets"),
            ("http://a", "scheme"),
            ("a/b", "path"),
            ("b\u{fc}cher.example", "xn--"),
            (&"a".repeat(254), "not a name"),
        ] {
            let error = HostName::parse(text).expect_err("the name is wrong");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn case_port_and_last_dot_do_not_matter() {
        for (header, expected) in [
            ("example.org", "example.org"),
            ("EXAMPLE.org:8080", "example.org"),
            ("example.org.:80", "example.org"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0::1]", "[::1]"),
            ("[v1.x]", "[v1.x]"),
            ("", ""),
        ] {
            assert_eq!(host_in(header), expected, "{header}");
        }
    }
}
