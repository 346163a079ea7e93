//! The interface of the page, as routes. The same routes exist for all requests and for each inbox.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a router passes arguments by value"
)]

use std::sync::Arc;

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Shared, assets};
use crate::message::{Body, Handler, Problem, Response};
use crate::services::inspect::history::History;
use crate::services::inspect::history::entry::{Shown, Summary};
use crate::services::inspect::history::export::{Export, curl, har, json};
use crate::services::inspect::history::inboxes::{Inbox, InboxResponse, User};
use crate::services::inspect::masking::Secrets;
use crate::web::extract::{FromRequest, Path, Query, Rejection, RequestContext, State};
use crate::web::sse::{Events, last_event_id};
use crate::web::{Json, Router};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn router(shared: Arc<Shared>) -> impl Handler {
    let page = Router::new()
        .get("/inspect", assets::index)
        .get("/inspect/", assets::index)
        .get("/inspect/r/{id}", assets::index)
        .get("/inspect/inbox/{inbox}", assets::index)
        .get("/inspect/inbox/{inbox}/r/{id}", assets::index)
        .get("/inspect/assets/{name}", asset);
    let inbox = "/inspect/api/inbox/{inbox}";
    ["/inspect/api", inbox]
        .into_iter()
        .fold(page, |router, base| {
            router
                .get(&format!("{base}/events"), events)
                .get(&format!("{base}/requests"), list)
                .delete(&format!("{base}/requests"), clear)
                .post(&format!("{base}/hold"), hold)
                .delete(&format!("{base}/hold"), release)
                .get(&format!("{base}/requests/{{id}}"), details)
                .get(&format!("{base}/requests/{{id}}/body"), body)
                .get(&format!("{base}/requests/{{id}}/curl"), command)
                .get(&format!("{base}/export.har"), export_har)
                .get(&format!("{base}/export.json"), export_json)
        })
        .get(&format!("{inbox}/response"), response)
        .put(&format!("{inbox}/response"), set_response)
        .with_state(shared)
}

/// The history that the path names.
struct Scope(Arc<History>);

/// The inbox that the path names.
struct InboxScope(Arc<Inbox>);

impl FromRequest<Arc<Shared>> for InboxScope {
    fn from_request(context: &mut RequestContext<'_, Arc<Shared>>) -> Result<Self, Rejection> {
        let id = context.parameters().get("inbox").unwrap_or_default();
        let inbox = context.state().inboxes.get(id, User::Page);
        inbox.map(Self).ok_or_else(|| {
            let reason = "the id of an inbox has up to 64 letters, digits, - and _";
            Rejection::new(StatusCode::NOT_FOUND, reason)
        })
    }
}

impl FromRequest<Arc<Shared>> for Scope {
    fn from_request(context: &mut RequestContext<'_, Arc<Shared>>) -> Result<Self, Rejection> {
        if context.parameters().get("inbox").is_none() {
            return Ok(Self(Arc::clone(&context.state().history)));
        }
        let InboxScope(inbox) = InboxScope::from_request(context)?;
        Ok(Self(Arc::clone(&inbox.history)))
    }
}

/// The request that the path names.
struct NamedRequest(Shown);

impl FromRequest<Arc<Shared>> for NamedRequest {
    fn from_request(context: &mut RequestContext<'_, Arc<Shared>>) -> Result<Self, Rejection> {
        let Scope(history) = Scope::from_request(context)?;
        let id = context
            .parameters()
            .get("id")
            .and_then(|id| id.parse().ok());
        let found = id.and_then(|id| history.get(id));
        found.map(Self).ok_or_else(|| {
            Rejection::new(StatusCode::NOT_FOUND, "this request is not kept any more")
        })
    }
}

/// The parameters of a query.
#[derive(Deserialize)]
struct Parameters {
    secrets: Option<String>,
    after: Option<String>,
}

impl Parameters {
    /// Secrets are masked unless they are asked for.
    fn secrets(&self) -> Secrets {
        match self.secrets.as_deref() {
            Some("show") => Secrets::Shown,
            _ => Secrets::Masked,
        }
    }
}

fn asset(Path(name): Path<String>, request: HeaderMap) -> Response {
    assets::asset(&name, &request)
}

/// A browser that reconnects by itself sends the last id as a header, and a script in the query.
fn events(
    Scope(history): Scope,
    Query(parameters): Query<Parameters>,
    request: HeaderMap,
) -> Result<Events, Problem> {
    let last = last_event_id(&request).or(parameters.after.as_deref());
    history.follow(last).ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail("too many pages are open")
    })
}

fn list(Scope(history): Scope) -> Json<Vec<Summary>> {
    Json(history.all().iter().map(Shown::summary).collect())
}

/// Keeps the requests that a page shows while it is paused, and lists them.
fn hold(Scope(history): Scope) -> Json<Vec<Summary>> {
    Json(history.hold().iter().map(Shown::summary).collect())
}

fn release(Scope(history): Scope) -> StatusCode {
    history.release();
    StatusCode::NO_CONTENT
}

fn clear(Scope(history): Scope) -> StatusCode {
    history.clear();
    StatusCode::NO_CONTENT
}

fn details(
    NamedRequest(shown): NamedRequest,
    Query(parameters): Query<Parameters>,
) -> Json<serde_json::Value> {
    Json(json::request(&shown, parameters.secrets()))
}

/// The body as it came. It is a download, so that no browser renders it.
fn body(NamedRequest(shown): NamedRequest) -> Response {
    let body = Body::from(shown.entry.captured.body.clone());
    let bytes = HeaderValue::from_static("application/octet-stream");
    let name = format!("attachment; filename=\"body-{}\"", shown.entry.id);
    attachment(body, bytes, &name)
}

fn command(NamedRequest(shown): NamedRequest, Query(parameters): Query<Parameters>) -> String {
    curl::command(&shown.entry, parameters.secrets())
}

fn export_har(Scope(history): Scope, Query(parameters): Query<Parameters>) -> Response {
    let secrets = parameters.secrets();
    let write = move |shown: &Shown| har::entry(shown, secrets);
    let export = Export::new(history.all(), har::start(), har::END, write);
    attachment(
        Body::from_reader(export),
        JSON,
        "attachment; filename=\"requests.har\"",
    )
}

fn export_json(Scope(history): Scope, Query(parameters): Query<Parameters>) -> Response {
    let secrets = parameters.secrets();
    let write = move |shown: &Shown| json::request(shown, secrets);
    let export = Export::new(history.all(), json::START.into(), json::END, write);
    attachment(
        Body::from_reader(export),
        JSON,
        "attachment; filename=\"requests.json\"",
    )
}

fn attachment(body: Body, content_type: HeaderValue, disposition: &str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

fn response(InboxScope(inbox): InboxScope) -> Json<InboxResponse> {
    Json(inbox.response())
}

fn set_response(
    State(shared): State<Arc<Shared>>,
    InboxScope(inbox): InboxScope,
    Json(response): Json<InboxResponse>,
) -> Result<StatusCode, Problem> {
    let set = inbox.set_response(response, shared.longest_delay);
    set.map_err(|reason| Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(reason))?;
    Ok(StatusCode::NO_CONTENT)
}
