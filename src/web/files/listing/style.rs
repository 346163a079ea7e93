//! The style of listings, and their policy.

use std::sync::LazyLock;

use http::HeaderValue;

use crate::message::problem::html_page;

/// What listings add to the style of all pages. Icons are drawn by it, without images.
pub(crate) const STYLE: &str = "\
main{max-width:60rem;--mark:var(--card)}\
body{place-items:start center}\
h1 a{text-decoration-thickness:2px}\
h1 a:hover{text-decoration-color:var(--text)}\
:focus-visible{outline:2px solid var(--text);outline-offset:2px}\
.bar{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:center;margin:1rem 0 0;\
color:var(--quiet)}\
.bar p{margin:0}\
form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}\
form[role=search]{margin-left:auto}\
input,button{min-width:0;padding:.3rem .7rem;border:1px solid var(--quiet);border-radius:.4rem;\
background:var(--page);color:var(--text);font:inherit;font-size:.9rem}\
button{cursor:pointer}\
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\
.names td:first-child{white-space:pre-wrap;unicode-bidi:isolate}\
.names td a{display:inline-block;position:relative;padding-left:1.4rem;text-decoration:none}\
.names td a:hover{text-decoration:underline}\
.names tbody tr:hover{background:var(--page)}\
.names td:nth-child(2),.names th:nth-child(2){text-align:right}\
.names td a::before{content:'';position:absolute;top:.3rem;left:.1rem;box-sizing:border-box;\
width:.75rem;height:.95rem;border:1.5px solid var(--quiet);border-radius:.15rem .4rem .15rem .15rem}\
.names .folder a::before{top:.45rem;left:0;width:1rem;height:.75rem;border:0;\
border-radius:.1rem .2rem .15rem .15rem;\
background:linear-gradient(#c98a1b 0 0) 0 0/.5rem .2rem no-repeat,\
linear-gradient(#e0a83e 0 0) 0 .15rem/100% 100% no-repeat}\
.names .up a::before{content:'\\2191';top:0;border:0;color:var(--quiet)}\
.pages{display:flex;flex-wrap:wrap;gap:.25rem;margin:1.25rem 0 0;font-variant-numeric:tabular-nums}\
.pages>*{padding:.2rem .65rem;border:1px solid var(--line);border-radius:.4rem;\
text-decoration:none}\
.pages a:hover{border-color:var(--quiet)}\
.pages [aria-current]{border-color:var(--text);font-weight:650}\
.readme{margin-top:2rem;padding-top:.5rem;border-top:1px solid var(--line);overflow-wrap:anywhere}\
.readme p{white-space:normal}\
.readme :is(h2,h3,h4,h5,h6){margin:1.5rem 0 0;color:var(--text);line-height:1.3}\
.readme h2{font-size:1.4rem}.readme h3{font-size:1.15rem}.readme :is(h4,h5,h6){font-size:1rem}\
.readme code{font:.9em ui-monospace,monospace}\
.readme img{max-width:100%;height:auto}\
.readme blockquote{margin:1rem 0 0;padding-left:1rem;border-left:3px solid var(--line)}\
.readme table{width:auto;display:block;overflow-x:auto}\
.readme td:first-child{width:auto}\
.readme td{color:inherit!important;white-space:normal!important}\
.readme hr{margin:1.5rem 0;border:0;border-top:1px solid var(--line)}\
@media(max-width:36rem){form[role=search]{margin:0;width:100%}\
form[role=search] input{flex:1}\
.names tr{display:grid;grid-template-columns:auto 1fr;border-bottom:1px solid var(--line)}\
.names thead tr{grid-template-columns:auto auto 1fr}\
.names :is(th,td){display:block;border:0;padding:.35rem .75rem .35rem 0}\
.names :is(th,td):nth-child(n){text-align:left}\
.names td:first-child{grid-column:1/-1}\
.names td:not(:first-child){padding:0 .75rem .4rem 0;font-size:.85rem}\
.names .up td:not(:first-child){display:none}\
.names td:nth-child(2):not(:empty){margin-left:1.4rem}\
.names td:nth-child(2):empty+td{margin-left:.65rem}\
.readme :is(th,td):nth-child(3){display:table-cell}}";

/// The content security policy: what all pages may do, and also use this style and images of this
/// server, and send forms to it. A test compares the hash with the style.
pub(crate) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = html_page::POLICY;
    let policy = policy.to_str().unwrap_or_default();
    let policy = policy
        .replace(
            "style-src ",
            "style-src 'sha256-XIh0DsvQwBfWIQO1/QOaLWVM1P1WI8vOz5Pu3lmyhKw=' ",
        )
        .replace("img-src ", "img-src 'self' ")
        .replace("form-action 'none'", "form-action 'self'");
    HeaderValue::try_from(policy).unwrap_or(html_page::POLICY)
});

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn policy_allows_both_styles_images_and_forms() {
        let policy = POLICY.to_str().expect("the policy is ASCII");
        let rules: Vec<_> = policy.split("; ").collect();
        let own = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE)));
        let base = html_page::POLICY;
        let base = base.to_str().expect("the policy is ASCII");
        let base = base.split("; ").find(|rule| rule.starts_with("style-src"));
        let base = base
            .expect("it has a style")
            .trim_start_matches("style-src ");
        for rule in [
            "default-src 'none'",
            &format!("style-src {own} {base}"),
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(rules.contains(&rule), "{rule} in {policy}");
        }
    }
}
