//! The cookies of a test client (RFC 6265 section 5).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::HeaderMap;
use http::header::SET_COOKIE;

/// Cookies, the newest last.
#[derive(Debug, Default)]
pub(super) struct CookieJar(Mutex<Vec<Cookie>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    path: String,
}

impl CookieJar {
    /// The value of the cookie with this name.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let cookies = self.lock();
        let found = cookies.iter().rev().find(|cookie| cookie.name == name);
        found.map(|cookie| cookie.value.clone())
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Takes the cookies of a response to a request for this path.
    pub(super) fn store(&self, response: &HeaderMap, path: &str) {
        let mut cookies = self.lock();
        for line in response.get_all(SET_COOKIE) {
            let line = String::from_utf8_lossy(line.as_bytes());
            let Some((cookie, lives)) = parse(&line, path) else {
                continue;
            };
            if lives {
                replace(&mut cookies, cookie);
            } else {
                cookies.retain(|known| !known.is_same(&cookie));
            }
        }
    }

    /// Names and values of the cookies for a path, those with longer paths first.
    pub(super) fn matching(&self, path: &str) -> Vec<(String, String)> {
        let cookies = self.lock();
        let mut matching: Vec<&Cookie> = cookies
            .iter()
            .filter(|cookie| cookie.matches(path))
            .collect();
        matching.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = matching.into_iter();
        pairs
            .map(|cookie| (cookie.name.clone(), cookie.value.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Cookie>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replace(cookies: &mut Vec<Cookie>, cookie: Cookie) {
    match cookies.iter_mut().find(|known| known.is_same(&cookie)) {
        Some(known) => known.value = cookie.value,
        None => cookies.push(cookie),
    }
}

/// The cookie of a `Set-Cookie`, and whether it is kept rather than removed.
fn parse(line: &str, request_path: &str) -> Option<(Cookie, bool)> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut path = default_path(request_path);
    let (mut max_age, mut expires) = (None, None);
    for attribute in parts {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => path = value,
            "path" => path = default_path(request_path),
            "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
            "expires" => expires = httpdate::parse_http_date(value).ok().or(expires),
            _ => {}
        }
    }
    let cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        path: path.to_owned(),
    };
    let lives = match (max_age, expires) {
        (Some(seconds), _) => seconds > 0,
        (None, Some(at)) => at > SystemTime::now(),
        (None, None) => true,
    };
    (!cookie.name.is_empty()).then_some((cookie, lives))
}

/// The path of a cookie that names none (RFC 6265 section 5.1.4).
fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &request_path[..end],
    }
}

impl Cookie {
    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.path == other.path
    }

    /// Whether it is sent with requests for this path (RFC 6265 section 5.1.4).
    fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn jar(lines: &[&str], path: &str) -> CookieJar {
        let jar = CookieJar::default();
        store(&jar, lines, path);
        jar
    }

    fn store(jar: &CookieJar, lines: &[&str], path: &str) {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_str(line).expect("the line is valid");
            headers.append(SET_COOKIE, line);
        }
        jar.store(&headers, path);
    }

    #[track_caller]
    fn check(jar: &CookieJar, path: &str, expected: &str) {
        let pairs = jar.matching(path).into_iter();
        let pairs: Vec<String> = pairs.map(|(name, value)| name + "=" + &value).collect();
        assert_eq!(pairs.join("; "), expected, "{path}");
    }

    #[test]
    fn cookie_is_sent_with_matching_paths() {
        let jar = jar(&["a=1; Path=/", "b=2; Path=/shop", "c=3; path=/shop/"], "/");
        check(&jar, "/", "a=1");
        check(&jar, "/shop", "b=2; a=1");
        check(&jar, "/shop/7", "c=3; b=2; a=1");
        check(&jar, "/shopping", "a=1");
    }

    #[test]
    fn path_defaults_to_the_folder_of_the_request() {
        check(&jar(&["a=1"], "/shop/cart"), "/shop", "a=1");
        check(
            &jar(&["a=1; Path=elsewhere"], "/shop/cart"),
            "/shop/x",
            "a=1",
        );
        check(&jar(&["a=1"], "/shop/cart"), "/", "");
        check(&jar(&["a=1"], "/cart"), "/", "a=1");
    }

    #[test]
    fn newer_cookie_replaces_the_one_of_its_name_and_path() {
        let jar = jar(&["a=1; Path=/", "a=2; Path=/", "a=3; Path=/b"], "/");
        check(&jar, "/", "a=2");
        check(&jar, "/b", "a=3; a=2");
        assert_eq!(jar.get("a").as_deref(), Some("3"));
    }

    #[test]
    fn expired_cookie_is_removed() {
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        let future = "Sun, 06 Nov 2994 08:49:37 GMT";
        let all = ["a=1", "b=1", "c=1", "d=1", "e=1"];
        let jar = jar(&all, "/");
        store(&jar, &["a=; Max-Age=0"], "/");
        store(&jar, &[&format!("b=; Expires={past}")], "/");
        store(&jar, &[&format!("c=2; Expires={past}; Max-Age=9")], "/");
        store(&jar, &[&format!("d=2; Expires={future}")], "/");
        // It is another cookie.
        store(&jar, &["e=; Max-Age=-1; Path=/x"], "/");
        check(&jar, "/", "c=2; d=2; e=1");
    }

    #[test]
    fn lines_without_a_name_are_ignored() {
        check(
            &jar(&["a", "=1", " = 2", "", "b = 3 ; Secure"], "/"),
            "/",
            "b=3",
        );
    }
}
