//! Signed and encrypted cookies.

use super::{Change, Cookie, Cookies, Key};

impl Cookies {
    /// The value of a cookie that [`set_signed`](Self::set_signed) has set, if its signature is valid.
    /// If the client sends the name several times, this is the first valid value.
    ///
    /// ```
    /// use httpool::cookies::{Cookies, Key};
    ///
    /// let key = Key::generate();
    /// let cookies = Cookies::default().set(("user", "admin"));
    /// assert_eq!(cookies.get_signed("user", &key), None);
    /// ```
    #[must_use]
    pub fn get_signed(&self, name: &str, key: &Key) -> Option<String> {
        self.find(name, |value| key.verify(name, value).map(ToOwned::to_owned))
    }

    /// Sets a cookie that the client can read but not change. It takes 44 bytes more.
    ///
    /// The client can send an old value again, at any time. If it must expire, or if it must be valid
    /// once, put a time or a number into it, or use a session.
    ///
    /// ```
    /// use httpool::cookies::{Cookies, Key};
    ///
    /// let key = Key::generate();
    /// let cookies = Cookies::default().set_signed(("user", "ada"), &key);
    /// assert_eq!(cookies.get_signed("user", &key).as_deref(), Some("ada"));
    /// assert!(cookies.get("user").is_some_and(|value| value.starts_with("ada.")));
    /// ```
    #[must_use = "cookies are set by the response that is returned with them"]
    pub fn set_signed(self, cookie: impl Into<Cookie<'static>>, key: &Key) -> Self {
        let mut cookie = cookie.into();
        let signed = key.sign(cookie.name(), cookie.value());
        cookie.set_value(signed);
        self.set(cookie)
    }

    /// The value of a cookie that [`set_private`](Self::set_private) has set, if it was not changed. If
    /// the client sends the name several times, this is the first valid value.
    ///
    /// ```
    /// use httpool::cookies::{Cookies, Key};
    ///
    /// let key = Key::generate();
    /// let cookies = Cookies::default().set_signed(("user", "ada"), &key);
    /// assert_eq!(cookies.get_private("user", &key), None);
    /// ```
    #[must_use]
    pub fn get_private(&self, name: &str, key: &Key) -> Option<String> {
        self.find(name, |value| key.decrypt(name, value))
    }

    /// Sets a cookie that the client can neither read nor change. It takes a third more, and 54 bytes.
    /// The client can send an old value again, as with [`set_signed`](Self::set_signed).
    ///
    /// ```
    /// use httpool::cookies::{Cookies, Key};
    ///
    /// let key = Key::generate();
    /// let cookies = Cookies::default().set_private(("discount", "20"), &key);
    /// assert_eq!(cookies.get_private("discount", &key).as_deref(), Some("20"));
    /// assert!(cookies.get("discount").is_some_and(|value| value.len() == 56));
    /// ```
    #[must_use = "cookies are set by the response that is returned with them"]
    pub fn set_private(self, cookie: impl Into<Cookie<'static>>, key: &Key) -> Self {
        let mut cookie = cookie.into();
        let encrypted = key.encrypt(cookie.name(), cookie.value());
        cookie.set_value(encrypted);
        self.set(cookie)
    }

    /// The first value of this name that `read` accepts, after the changes so far.
    pub(in crate::web) fn find<T>(
        &self,
        name: &str,
        read: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        match self.change(name) {
            Some(Change::Set(cookie)) => Some(cookie.value()).and_then(read),
            Some(Change::Remove(_)) => None,
            None => self.received.get_all(name).find_map(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HeaderMap, HeaderValue};

    use super::super::received::Received;
    use super::*;

    #[test]
    fn first_valid_value_is_found() {
        let (key, other) = (Key::generate(), Key::generate());
        let header = format!(
            "id=x; id={}; id={}; id={}; id=y",
            other.sign("id", "foreign"),
            key.sign("id", "first"),
            key.encrypt("id", "second"),
        );
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(header).expect("the header is valid");
        headers.insert(COOKIE, value);
        let cookies = Cookies {
            received: Received::of(&headers),
            ..Cookies::default()
        };
        assert_eq!(cookies.get_signed("id", &key).as_deref(), Some("first"));
        assert_eq!(cookies.get_private("id", &key).as_deref(), Some("second"));
        let removed = cookies.remove("id");
        assert_eq!(removed.get_signed("id", &key), None);
        assert_eq!(removed.get_private("id", &key), None);
    }
}
