//! The client: it follows the plans with the crate `h2`.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use httpool::http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;

use crate::plan::{Ending, Plan, Session};
use crate::server::only;
use crate::{expect_body, expect_equal};

/// What a client has got.
#[derive(Debug)]
pub(crate) enum Outcome {
    Response(Received),
    /// The client has reset the stream.
    Aborted,
    Failed(h2::Error),
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Received {
    status: StatusCode,
    headers: HeaderMap,
    content: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// Sends all requests over one connection. The outcomes have the order of the plans.
pub(crate) async fn run(address: &str, session: &Session, plans: Arc<[Plan]>) -> Vec<Outcome> {
    let socket = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let (client, connection) = Builder::new()
        .initial_window_size(session.stream_window)
        .initial_connection_window_size(session.connection_window)
        .max_frame_size(session.max_frame_size)
        .header_table_size(session.header_table_size)
        // By default it closes connections with many small frames that wait for its user.
        .data_frame_budget(1 << 30)
        .enable_push(false)
        .handshake::<_, Bytes>(socket)
        .await
        .expect("the server speaks HTTP/2");
    let connection = tokio::spawn(connection);
    let next = Arc::new(Mutex::new(0..plans.len()));
    let senders: Vec<_> = (0..session.at_once)
        .map(|_| {
            tokio::spawn(send_some(
                client.clone(),
                Arc::clone(&plans),
                Arc::clone(&next),
            ))
        })
        .collect();
    drop(client);
    let mut outcomes = Vec::new();
    for sender in senders {
        outcomes.extend(sender.await.expect("no task panics"));
    }
    let end = connection.await.expect("no task panics");
    end.expect("the connection ends in order");
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Sends one request after another while there are more.
async fn send_some(
    client: SendRequest<Bytes>,
    plans: Arc<[Plan]>,
    next: Arc<Mutex<std::ops::Range<usize>>>,
) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::new();
    loop {
        let index = next.lock().expect("no task panics").next();
        let Some(index) = index else { return outcomes };
        let outcome = send(client.clone(), &plans[index], index).await;
        outcomes.push((index, outcome.unwrap_or_else(Outcome::Failed)));
    }
}

async fn send(client: SendRequest<Bytes>, plan: &Plan, index: usize) -> Result<Outcome, h2::Error> {
    let mut client = client.ready().await?;
    let head = plan.head(index);
    let (mut response, stream) = client.send_request(head, plan.content.is_none())?;
    drop(client);
    let mut sending = None;
    if plan.content.is_some() {
        if plan.expects_continue {
            // 100, or nothing if the response has come.
            poll_fn(|context| response.poll_informational(context))
                .await
                .transpose()?;
        }
        sending = Some(tokio::spawn(send_content(stream, plan.clone())));
    } else if let Ending::ResetAfterParts(_) = plan.ending {
        let mut stream = stream;
        stream.send_reset(Reason::CANCEL);
        return Ok(Outcome::Aborted);
    }
    if let (Ending::ResetAfterParts(_), Some(sending)) = (plan.ending, sending.take()) {
        // It may have failed because the response is complete.
        let _ = sending.await.expect("no task panics");
        return Ok(Outcome::Aborted);
    }
    let outcome = receive(response, plan).await?;
    if let Some(sending) = sending {
        match outcome {
            Outcome::Aborted => sending.abort(),
            // A handler that has not read its body may have responded before the end.
            _ => drop(sending.await.expect("no task panics")),
        }
    }
    Ok(outcome)
}

/// Sends content as the windows allow. May end with a reset.
async fn send_content(mut stream: SendStream<Bytes>, plan: Plan) -> Result<(), h2::Error> {
    for (sent, part) in plan.content.iter().flatten().enumerate() {
        if plan.ending == Ending::ResetAfterParts(sent) {
            stream.send_reset(Reason::CANCEL);
            return Ok(());
        }
        let mut rest = part.clone();
        if rest.is_empty() {
            stream.send_data(rest, false)?;
            continue;
        }
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let Some(room) = poll_fn(|context| stream.poll_capacity(context)).await else {
                return Ok(());
            };
            let count = room?.min(rest.len());
            stream.send_data(rest.split_to(count), false)?;
        }
    }
    if let Ending::ResetAfterParts(_) = plan.ending {
        stream.send_reset(Reason::CANCEL);
        return Ok(());
    }
    match plan.trailers {
        Some(trailers) => stream.send_trailers(trailers),
        None => stream.send_data(Bytes::new(), true),
    }
}

async fn receive(response: ResponseFuture, plan: &Plan) -> Result<Outcome, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let (mut content, mut taken) = (Vec::new(), 0);
    while let Some(part) = body.data().await {
        let part = part?;
        content.extend_from_slice(&part);
        if matches!(plan.ending, Ending::ResetAfterBytes(most) if content.len() > most) {
            // The stream is reset when nobody holds it.
            return Ok(Outcome::Aborted);
        }
        taken += part.len();
        // h2 tells the server when half of the window is free again.
        if taken >= plan.taken_at_once {
            body.flow_control().release_capacity(taken)?;
            taken = 0;
        }
    }
    body.flow_control().release_capacity(taken)?;
    Ok(Outcome::Response(Received {
        status: head.status,
        headers: head.headers,
        content,
        trailers: body.trailers().await?,
    }))
}

impl Plan {
    fn head(&self, index: usize) -> Request<()> {
        let target = format!("http://h2.test/{index}?{}", self.query);
        let mut head = Request::builder().method(self.method.clone()).uri(target);
        let headers = head.headers_mut().expect("the target is valid");
        headers.extend(self.headers.clone());
        if self.content.is_some() && self.states_length {
            headers.insert("content-length", self.content().len().into());
        }
        if self.expects_continue {
            headers.insert("expect", "100-continue".parse().expect("it is a value"));
        }
        head.body(()).expect("the request is valid")
    }
}

impl Received {
    /// Compares what the client has got with what the handler has returned.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), String> {
        let planned = &plan.response;
        expect_equal("the status", &self.status, &planned.status)?;
        let headers = only(&self.headers, |name| name.starts_with("x-response-"));
        expect_equal("the headers of the response", &headers, &planned.headers)?;
        if !planned.has_content(&plan.method) {
            expect_equal("the length of no content", &self.content.len(), &0)?;
            return expect_equal("the trailers of no content", &self.trailers, &None);
        }
        expect_body("the response", &self.content, &planned.content, plan.mode)?;
        let trailers = planned
            .trailers
            .clone()
            .filter(|trailers| !trailers.is_empty());
        expect_equal("the trailers of the response", &self.trailers, &trailers)
    }
}
