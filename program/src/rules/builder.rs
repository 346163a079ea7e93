//! Reads redirects and rewrites.

use std::ops::Range;

use httpool::http::{StatusCode, Uri};

use super::pattern::Pattern;
use super::target::{Target, TargetKind};
use super::{Rule, Rules};

/// Temporary, and clients keep the method. Browsers keep a permanent redirect for years, also one
/// that was a mistake.
const DEFAULT_STATUS: StatusCode = StatusCode::TEMPORARY_REDIRECT;

const STATUSES: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// A text of the configuration file, with its place.
type Text<'a> = (&'a str, Range<usize>);

/// The place of a mistake, and the reason.
type Mistake = (Range<usize>, String);

/// Redirects and rewrites in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct RulesBuilder {
    rules: Rules,
    /// The places of the targets of the redirects.
    targets: Vec<Range<usize>>,
}

impl RulesBuilder {
    pub(crate) fn redirect(
        &mut self,
        from: Text<'_>,
        to: Text<'_>,
        status: Option<(String, Range<usize>)>,
    ) -> Result<(), Mistake> {
        let status = match status {
            None => DEFAULT_STATUS,
            Some((text, at)) => {
                let found = STATUSES.into_iter().find(|status| status.as_str() == text);
                let reason = || format!("status {text}: not one of 301, 302, 303, 307, 308");
                found.ok_or_else(|| (at, reason()))?
            }
        };
        self.targets.push(to.1.clone());
        let rule = rule(TargetKind::Redirect, from, to, status)?;
        self.rules.redirects.push(rule);
        Ok(())
    }

    pub(crate) fn rewrite(&mut self, from: Text<'_>, to: Text<'_>) -> Result<(), Mistake> {
        let rule = rule(TargetKind::Rewrite, from, to, DEFAULT_STATUS)?;
        self.rules.rewrites.push(rule);
        Ok(())
    }

    /// The rules, if there are any. A redirect to itself is a mistake.
    pub(crate) fn build(self) -> Result<Option<Rules>, Mistake> {
        let rules = self.rules;
        for (rule, at) in rules.redirects.iter().zip(self.targets) {
            if rules
                .first_redirect(&rule.example())
                .is_some_and(|first| std::ptr::eq(first, rule))
            {
                let reason = format!("redirect: {:?} leads to itself again", rule.to);
                return Err((at, reason));
            }
        }
        let is_empty = rules.redirects.is_empty() && rules.rewrites.is_empty();
        Ok((!is_empty).then_some(rules))
    }
}

impl Rules {
    /// The redirect of a target of another redirect, unless it is on another host.
    fn first_redirect(&self, target: &str) -> Option<&Rule> {
        let uri: Uri = target.parse().ok().filter(|_| target.starts_with('/'))?;
        let mut redirects = self.redirects.iter();
        redirects.find(|rule| rule.pattern.rest(uri.path()).is_some())
    }
}

impl Rule {
    /// The target of a request that the rule is for.
    fn example(&self) -> String {
        let target = self.target.expand(self.pattern.example(), None);
        let end = target.find('#').unwrap_or(target.len());
        target[..end].to_owned()
    }
}

fn rule(
    kind: TargetKind,
    (from, from_at): Text<'_>,
    (to, to_at): Text<'_>,
    status: StatusCode,
) -> Result<Rule, Mistake> {
    let pattern = Pattern::parse(from);
    let pattern = pattern.map_err(|reason| (from_at, format!("from {from:?}: {reason}")))?;
    let target = Target::parse(to, kind, pattern.capture.as_deref());
    let target = target.map_err(|reason| (to_at, format!("to {to:?}: {reason}")))?;
    Ok(Rule {
        from: from.to_owned(),
        to: to.to_owned(),
        status,
        pattern,
        target,
    })
}
