//! Renders Markdown that may come from anyone: its HTML is text, and its links and images are
//! checked.

use pulldown_cmark::html::push_html;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The schemes that a link may have.
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

/// Most quotes and lists in each other.
const MAX_DEPTH: usize = 100;

/// Whether a line begins more quotes and lists in each other than a person writes. Each following line
/// costs time for all of them.
pub(crate) fn is_deep(text: &str) -> bool {
    text.lines().any(|line| {
        let content = line.trim_start_matches([' ', '\t', '>', '-', '*', '+']);
        let marks = &line[..line.len() - content.len()];
        let lists = ["- ", "* ", "+ "].map(|mark| marks.matches(mark).count());
        marks.matches('>').count() + lists.iter().sum::<usize>() > MAX_DEPTH
    })
}

/// Adds the text as HTML.
pub(crate) fn render(text: &str, html: &mut String) {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut links = Vec::new();
    let events = Parser::new_ext(text, options).filter_map(|event| safe(event, &mut links));
    push_html(html, events);
}

/// Changes or drops what must not be on the page. `links` says for each open link and image whether
/// it is kept; the text of others is.
fn safe<'a>(event: Event<'a>, links: &mut Vec<Kept>) -> Option<Event<'a>> {
    Some(match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Heading { level, .. }) => Event::Start(Tag::Heading {
            level: below_title(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(below_title(level))),
        // An alignment becomes a style, which the policy of the page forbids.
        Event::Start(Tag::Table(_)) => Event::Start(Tag::Table(Vec::new())),
        Event::Start(Tag::Link { ref dest_url, .. }) => {
            return opened(may_be_linked(dest_url), event, links);
        }
        Event::Start(Tag::Image { ref dest_url, .. }) => {
            return opened(may_be_shown(dest_url), event, links);
        }
        Event::End(TagEnd::Link | TagEnd::Image) if links.pop() != Some(Kept::Yes) => return None,
        other => other,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

fn opened<'a>(is_safe: bool, event: Event<'a>, links: &mut Vec<Kept>) -> Option<Event<'a>> {
    links.push(if is_safe { Kept::Yes } else { Kept::No });
    is_safe.then_some(event)
}

/// The page has a title of its own.
fn below_title(level: HeadingLevel) -> HeadingLevel {
    HeadingLevel::try_from(level as usize + 1).unwrap_or(HeadingLevel::H6)
}

/// Whether a URL is relative or has one of these schemes.
fn may_be_linked(url: &CowStr<'_>) -> bool {
    match scheme(url) {
        None => true,
        Some(scheme) => SCHEMES
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(&scheme)),
    }
}

/// Whether a URL names something on this server.
fn may_be_shown(url: &CowStr<'_>) -> bool {
    let names_host = |url: &str| {
        let mut characters = url.chars();
        let mut is_slash = || matches!(characters.next(), Some('/' | '\\'));
        is_slash() && is_slash()
    };
    scheme(url).is_none() && !names_host(&without_spaces(url))
}

/// The scheme of a URL, if it has one.
fn scheme(url: &str) -> Option<String> {
    let url = without_spaces(url);
    let end = url.find([':', '/', '\\', '?', '#'])?;
    url[end..].starts_with(':').then(|| url[..end].to_owned())
}

/// Removes the characters that browsers ignore in URLs.
fn without_spaces(url: &str) -> String {
    url.chars()
        .filter(|character| !character.is_whitespace() && !character.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let mut html = String::new();
        render(text, &mut html);
        html
    }

    #[test]
    fn deep_nesting_is_not_rendered() {
        assert!(is_deep(&format!("{}a", ">".repeat(101))));
        assert!(is_deep(&format!("x\n{}a", "- ".repeat(101))));
        assert!(!is_deep(&format!("> a\n{}\n    - b", "-".repeat(500))));
    }

    #[test]
    fn markdown_is_rendered() {
        let page = html("# Title\n\nA *text* with `code`.\n\n* one\n\n|a|b|\n|:-|-:|\n|1|2|\n");
        for part in [
            "<h2>Title</h2>",
            "<em>text</em>",
            "<code>code</code>",
            "<li>one",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(
            page.contains("<th>a</th>") && !page.contains("style="),
            "{page}"
        );
        assert!(html("###### six").contains("<h6>six</h6>"));
    }

    #[test]
    fn html_in_markdown_is_text() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<!-- comment --> <?php ?>",
            "<style>*{display:none}</style>",
            "# <b onclick=x>h</b>",
            "`<i>`",
            "```<u>\n<u>\n```",
            "&lt;script&gt;",
            "![<b>](a.png \"\\\"onerror=x\")",
        ] {
            let page = html(text);
            for tag in [
                "<script",
                "<!--",
                "<?",
                "<style",
                "<b",
                "<i>",
                "<u",
                "\"onerror",
            ] {
                assert!(!page.contains(tag), "{tag} in {page}");
            }
        }
        assert!(!html("a <img src=x> b").contains("<img"));
    }

    #[test]
    fn links_with_other_schemes_are_text() {
        for url in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java&Tab;script:alert(1)",
            "java&NewLine;script:alert(1)",
            "&#1;javascript:alert(1)",
            "javascript&colon;alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "blob:x",
            "file:///etc/passwd",
            "x-y:z",
        ] {
            for text in [format!("[text]({url})"), format!("[text]\n\n[text]: {url}")] {
                let page = html(&text);
                assert!(
                    !page.contains("<a") && page.contains("text"),
                    "{url}: {page}"
                );
            }
        }
        assert!(!html("<javascript:alert(1)>").contains("<a"));
        for url in [
            "a.html",
            "./a:b",
            "/a",
            "?a:b",
            "#x",
            "//elsewhere.example/",
            "https://a.example/",
            "HTTP://a.example",
            "mailto:a@b.example",
            "",
        ] {
            let page = html(&format!("[text]({url})"));
            assert!(page.contains("<a href="), "{url}: {page}");
        }
    }

    #[test]
    fn images_come_from_this_server_only() {
        for url in [
            "https://elsewhere.example/a.png",
            "//elsewhere.example/a.png",
            "/&#9;/elsewhere.example/a.png",
            "\\\\\\\\elsewhere.example/a.png",
            "/\\\\elsewhere.example/a.png",
            "data:image/png;base64,x",
            "javascript:x",
        ] {
            let page = html(&format!("![alt **text**]({url}) after"));
            assert!(!page.contains("<img"), "{url}: {page}");
            assert!(page.contains("alt <strong>text</strong>"), "{page}");
        }
        assert!(html("![a](./a.png)").contains("<img src=\"./a.png\" alt=\"a\""));
        let nested = html("[![a](//x/a.png) b](javascript:x) [![c](c.png)](c)");
        assert!(
            nested.contains("<a href=\"c\"><img src=\"c.png\" alt=\"c\" /></a>"),
            "{nested}"
        );
        assert_eq!(nested.matches("<a").count(), 1, "{nested}");
    }
}
