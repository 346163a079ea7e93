//! Faults: responses that are slow, wrong, incomplete or missing, so that a client's retries and
//! timeouts can be tested.
//!
//! One grammar, [`FaultList`], is for all three places where faults are asked for: the header
//! `Fault` and the query parameter `fault` of a request, for that request alone, and the settings
//! (the program's `--fault`), for a share of all requests. It is parsed into rules (`spec.rs`). A
//! generator with a seed chooses from them (`choice.rs`), so the same requests one after another get
//! the same faults. The faults are applied to the response of the inspector (`apply.rs`) as far as a
//! response can show them. Those below it, for example a reset, are described by
//! [`Broken`](crate::message::broken::Broken), a kind of body that the connection sends as it says.
//! Nothing that waits holds a worker: delays are [`Later`](crate::Later)s, and content that drips is
//! polled by the clock.
//!
//! A request's own faults take the place of the settings', so `Fault: none` exempts one. They are
//! ignored unless they are allowed, because the inspector has to show any request, also one that has
//! a parameter of this name for its own reasons. The response header `Fault` then is `off`;
//! otherwise it lists the faults that the response has.

mod apply;
mod choice;
mod content;
mod distribution;
mod never;
mod spec;
mod values;

use http::{HeaderValue, StatusCode, Uri};

pub(super) use self::apply::AppliedFaults;
use self::apply::FAULT;
use self::choice::{Chosen, Limits};
use self::never::Unanswered;
use self::spec::Defect;
pub use self::spec::{FaultList, InvalidFault};
use super::live::is_cross_site;
use super::pairs::text_pairs;
use super::random::{Random, random_seed};
use super::settings::Settings;
use crate::message::{Later, Problem, Request, Response};
use crate::sync::{Mutex, ignore_poison};

/// The faults of an inspector.
#[derive(Debug)]
pub(super) struct Faults {
    /// The faults of requests that do not ask for others.
    usual: FaultList,
    policy: Policy,
    seed: u64,
    random: Mutex<Random>,
    limits: Limits,
    unanswered: Unanswered,
}

/// Whether requests may ask for faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Allow,
    Ignore,
}

/// The faults that a request asks for.
#[derive(Debug, PartialEq)]
enum Requested {
    Nothing,
    Ignored,
    Faults(FaultList),
    Invalid(InvalidFault),
}

impl Faults {
    pub(super) fn new(settings: &Settings) -> Self {
        let seed = settings.seed_of_faults().unwrap_or_else(random_seed);
        Self {
            usual: settings.usual_faults().clone(),
            policy: match settings.allows_faults() {
                true => Policy::Allow,
                false => Policy::Ignore,
            },
            seed,
            random: Mutex::new(Random::new(seed)),
            limits: Limits {
                delay: settings.longest_delay(),
                bytes: settings.most_bytes(),
            },
            unanswered: Unanswered::default(),
        }
    }

    /// Responds with faults, or with what `respond` returns.
    pub(super) fn respond(
        &self,
        request: &mut Request,
        respond: impl FnOnce(&mut Request) -> Response,
    ) -> Response {
        match self.requested(request) {
            Requested::Nothing => self.break_response(&self.usual, request, respond),
            Requested::Faults(faults) => self.break_response(&faults, request, respond),
            Requested::Ignored => {
                let response = self.break_response(&self.usual, request, respond);
                Later::map(response, |mut response| {
                    let off = || HeaderValue::from_static("off");
                    response.headers_mut().entry(FAULT).or_insert_with(off);
                    response
                })
            }
            Requested::Invalid(error) => Problem::new(StatusCode::BAD_REQUEST)
                .detail(format!("fault: {error}"))
                .to_response(request.headers()),
        }
    }

    fn break_response(
        &self,
        faults: &FaultList,
        request: &mut Request,
        respond: impl FnOnce(&mut Request) -> Response,
    ) -> Response {
        if faults.rules.is_empty() {
            return respond(request);
        }
        let chosen = self.choose(faults);
        if chosen.defect == Some(Defect::Never) {
            return self.unanswered.response(self.limits.delay);
        }
        let version = request.version();
        let response = respond(request);
        match chosen.is_empty() {
            true => response,
            false => chosen.apply(response, version),
        }
    }

    fn choose(&self, faults: &FaultList) -> Chosen {
        let mut random = ignore_poison(self.random.lock());
        faults.choose(&mut random, self.limits)
    }

    fn requested(&self, request: &Request) -> Requested {
        let lines = request.headers().get_all(FAULT);
        let lines = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()));
        let lines: Vec<_> = lines.collect();
        let text = match lines.is_empty() {
            true => in_query(request.uri()),
            false => Some(lines.join(",")),
        };
        match (text, self.policy) {
            (None, _) => Requested::Nothing,
            (Some(_), Policy::Ignore) => Requested::Ignored,
            // A page of another site could otherwise read the description of a user's request.
            (Some(_), Policy::Allow) if is_cross_site(request.headers()) => Requested::Ignored,
            (Some(text), Policy::Allow) => match text.parse() {
                Ok(faults) => Requested::Faults(faults),
                Err(error) => Requested::Invalid(error),
            },
        }
    }

    /// The seed of the choice.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a function that ends the requests which never get a response.
    pub(super) fn on_shutdown(&self) -> impl FnOnce() + Send + 'static {
        let unanswered = self.unanswered.clone();
        move || unanswered.end_all()
    }
}

/// The faults in the query.
fn in_query(uri: &Uri) -> Option<String> {
    let query = uri.query().filter(|query| query.contains("fault"))?;
    let pairs = text_pairs(query.as_bytes()).into_iter();
    let faults = pairs.filter(|(name, _)| name == "fault");
    let faults: Vec<_> = faults.map(|(_, text)| text).collect();
    (!faults.is_empty()).then(|| faults.join(","))
}

#[cfg(test)]
mod tests;
