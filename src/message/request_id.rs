//! Request ids, which identify a request from its first proxy to its last log.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id. There is no standard; proxies use this name.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is accepted from a client, so that ids can't fill logs.
const MAX_LENGTH: usize = 64;

/// Sets the request's id header: the client's own id if it is safe, otherwise a new one.
pub(crate) fn ensure(headers: &mut HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(REQUEST_ID).iter();
    if let (Some(id), None) = (given.next(), given.next())
        && is_safe(id)
    {
        return id.clone();
    }
    let id = new();
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// Whether the id is safe in a log, a page and a shell.
pub(crate) fn is_safe(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    let is_harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:=+/@".contains(byte);
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(is_harmless)
}

/// A random id of 128 bits.
pub(crate) fn new() -> HeaderValue {
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = KEYS.each_ref().map(|key| key.hash_one(number));
    HeaderValue::try_from(format!("{high:016x}{low:016x}")).expect("digits are valid in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(ids: &[&str]) -> HeaderMap {
        let value = |id: &&str| HeaderValue::from_str(id).expect("test values are valid");
        ids.iter().map(|id| (REQUEST_ID, value(id))).collect()
    }

    #[test]
    fn safe_id_stays_and_others_are_replaced() {
        let long = "a".repeat(MAX_LENGTH + 1);
        for (given, stays) in [
            (&["8c8a:Root=1-5759e988/b.c_d+e@f"][..], true),
            (&[&long[1..]], true),
            (&[&long], false),
            (&[""], false),
            (&["a b"], false),
            (&["a\"b"], false),
            (&["<b>"], false),
            (&["a", "a"], false),
            (&[], false),
        ] {
            let mut headers = headers(given);
            let id = ensure(&mut headers);
            let kept: Vec<_> = headers.get_all(REQUEST_ID).iter().collect();
            assert_eq!(kept, [&id], "{given:?}");
            assert_eq!(given.first().is_some_and(|given| id == **given), stays);
            assert!(is_safe(&id));
        }
    }

    #[test]
    fn new_ids_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
