//! The frame, style and escaping of the built-in HTML pages: error pages, listings and descriptions of
//! requests. What the
//! pages say is made by their callers.

use http::HeaderValue;

/// The style of all pages, light and dark. It loads no font, image or script.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--line:#e2e5ea;--text:#1d2430;\
--quiet:#5c6675;--mark:#b3261e}\
@media(prefers-color-scheme:dark){:root{--page:#12151a;--card:#1b2027;--line:#2c333d;\
--text:#e7eaef;--quiet:#9aa5b4;--mark:#ff8a80}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem 1.5rem 12vh;\
background:var(--page);color:var(--text);font:1rem/1.6 system-ui,sans-serif}\
main{width:100%;min-width:0;max-width:38rem;padding:2.25rem 2.5rem;border:1px solid var(--line);\
border-radius:.75rem;box-shadow:0 1px 2px #0001,0 .75rem 2rem #0001;\
background:linear-gradient(var(--mark) 0 0) 0 0/.3rem 100% no-repeat var(--card)}\
h1{margin:0;font-size:clamp(1.4rem,5vw,2rem);line-height:1.2;font-weight:650;\
letter-spacing:-.015em}\
p{margin:1rem 0 0;white-space:pre-line;overflow-wrap:anywhere}\
small{color:var(--quiet);font-family:ui-monospace,monospace;font-size:.8rem}\
body:has(table){place-items:start center}\
main:has(table){max-width:60rem;--mark:var(--card)}\
body:has(pre){place-items:start center}\
main:has(pre){max-width:60rem;--mark:var(--card)}\
main:has(kbd){--mark:#2e7d4f}\
kbd{display:block}\
h2{margin:1.75rem 0 0;font-size:1rem;color:var(--quiet)}\
pre,kbd{margin:.5rem 0 0;padding:.75rem 1rem;border-radius:.5rem;background:var(--page);\
white-space:pre-wrap;overflow-wrap:anywhere;font:.85rem/1.5 ui-monospace,monospace}\
h1{overflow-wrap:anywhere}\
table{width:100%;margin:1.25rem 0 0;border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.4rem 1rem .4rem 0;border-bottom:1px solid var(--line);text-align:left}\
th{font-size:.85rem;white-space:nowrap}\
td:first-child{width:100%;overflow-wrap:anywhere}\
td:not(:first-child){color:var(--quiet);white-space:nowrap}\
a{color:inherit;text-decoration-color:var(--quiet);text-underline-offset:.2em}\
th[aria-sort=ascending] a::after{content:' \\2191'}\
th[aria-sort=descending] a::after{content:' \\2193'}\
@media(max-width:36rem){body{padding:.75rem}main{padding:1.25rem 1.5rem}\
:is(th,td):nth-child(3){display:none}}";

/// The content security policy: the page may use this style only. A test compares the hash with the
/// style.
pub(crate) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'sha256-SwSmN0v3G65Tu9UPP5C+1DQL1uENJK7mz//T7lRr41g='; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

/// An HTML page that is being written.
pub(crate) struct HtmlPage(String);

impl HtmlPage {
    /// Starts a page with this title.
    pub(crate) fn new(title: &str) -> Self {
        let mut page = Self::head(title);
        page.markup("</style>\n<main>\n");
        page
    }

    /// Starts a page with this title, and with a style beside that of all pages.
    #[cfg(feature = "files")]
    pub(crate) fn styled(title: &str, style: &'static str) -> Self {
        let mut page = Self::head(title);
        page.markup("</style>\n<style>");
        page.markup(style);
        page.markup("</style>\n<main>\n");
        page
    }

    fn head(title: &str) -> Self {
        let mut page = Self(String::with_capacity(STYLE.len() + 1024));
        // A browser that receives an icon does not request one.
        page.markup(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>",
        );
        page.text(title);
        page.markup("</title>\n<style>");
        page.markup(STYLE);
        page
    }

    /// Adds markup, which must come from this crate.
    pub(crate) fn markup(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds escaped text.
    pub(crate) fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(character),
            }
        }
    }

    /// Adds what this renderer of the crate writes. It must escape all text.
    #[cfg(feature = "readme")]
    pub(crate) fn rendered(&mut self, render: impl FnOnce(&mut String)) {
        render(&mut self.0);
    }

    /// Ends the page.
    pub(crate) fn finish(mut self) -> String {
        self.markup("</main>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn policy_contains_the_hash_of_the_style() {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let (policy, expected) = (POLICY, format!("'sha256-{hash}'"));
        let policy = policy.to_str().expect("the policy is ASCII");
        assert!(policy.contains(&expected), "{expected}");
    }
}
