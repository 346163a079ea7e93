//! A WebSocket that gives back every message.

use super::input::{Pairs, bad};
use super::table::{Shared, Table};
use crate::message::{IntoResponse, Problem, Request, Response};
use crate::web::extract::State;
use crate::web::websocket::Options;

/// The largest message unless the client asks for another limit: 1 MiB, as in go-httpbin.
const MAX_MESSAGE: usize = 1024 * 1024;

/// What the queue of messages counts beside the content of one.
const QUEUE_OVERHEAD: usize = 1024;

pub(super) fn add(table: Table) -> Table {
    table.get(
        "/websocket/echo",
        "a WebSocket that gives back every message (?max_message_size= &max_fragment_size=)",
        echo,
    )
}

fn echo(
    State(settings): State<Shared>,
    query: Pairs,
    request: Request,
) -> Result<Response, Problem> {
    let most = usize::try_from(settings.most_bytes()).unwrap_or(usize::MAX);
    let message = query.number("max_message_size", most.min(MAX_MESSAGE))?;
    let frame = query.number("max_fragment_size", message)?;
    if message == 0 || frame == 0 || frame > message || message > most {
        return Err(bad(format!(
            "max_fragment_size={frame} and max_message_size={message}: they are from 1 to {most}, and a \
             message is no smaller than a fragment"
        )));
    }
    // One message always fits.
    let options = Options::new()
        .max_message(message)
        .max_frame(frame)
        .max_queued(message.saturating_add(QUEUE_OVERHEAD));
    Ok(match options.accept(&request) {
        Ok(socket) => socket.on_message(|sender, message| {
            // An error says that the client is gone, or takes nothing.
            let _ = sender.try_send(message);
        }),
        Err(error) => error.into_response(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{expect_bad, get};

    #[test]
    fn other_requests_are_told_to_upgrade() {
        assert_eq!(get("/websocket/echo").status(), 426);
        expect_bad(&[
            "/websocket/echo?max_message_size=0",
            "/websocket/echo?max_message_size=-1",
            "/websocket/echo?max_message_size=10485761",
            "/websocket/echo?max_message_size=5&max_fragment_size=6",
            "/websocket/echo?max_fragment_size=x",
        ]);
    }
}
