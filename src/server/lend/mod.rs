//! Runs calls while their connections are lent.
//!
//! A handler on a multiplexed connection must not block the connection's other requests. So a worker
//! lends the connection to its slot in the poller, runs the call, and takes the connection back. While
//! calls are quick, that costs two uncontended locks and no wake-up. If a call blocks and the
//! connection is ready, the [load shedder](super::load_shedder) takes the connection at its second
//! tick, for another worker or for itself. The worker then posts the reply.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use log::error;

use super::ServerState;
use super::poller::lending::{Lent, Posted};
use super::poller::{Events, Token};
use super::state::guarded;
use super::task::Task;
use crate::connection::call::{Call, Reply};
use crate::connection::{
    Admission, CloseReason, DriveResult, Lending, Phase, WakeReason, WorkerBuffers,
};
use crate::sync;

/// A connection with the result of its last drive.
pub(super) type Driven = (Box<Task>, DriveResult);

impl ServerState {
    /// Runs the calls of a connection on worker `index` until the connection makes no more. Returns
    /// nothing if it is closed, or if another thread has it.
    pub(super) fn run_calls(
        self: &Arc<Self>,
        index: usize,
        buffers: &mut WorkerBuffers,
        mut task: Box<Task>,
        mut lending: Lending,
    ) -> Option<Driven> {
        loop {
            let Some(call) = buffers.take_call() else {
                return Some((task, DriveResult::Close(CloseReason::Panicked)));
            };
            let driven = self.run_call(index, buffers, task, lending, call);
            match driven {
                Some((lent, DriveResult::Lend(again))) => (task, lending) = (lent, again),
                driven => return driven,
            }
        }
    }

    fn run_call(
        self: &Arc<Self>,
        index: usize,
        buffers: &mut WorkerBuffers,
        task: Box<Task>,
        lending: Lending,
        call: Call,
    ) -> Option<Driven> {
        let Some(token) = self.lend(index, task, lending) else {
            discard(buffers, call);
            return None;
        };
        buffers.set_token(Some(token.number()));
        let mut reply = Some(call.run(buffers, &self.service));
        self.activity.end_lend(index);
        match self.poller.reclaim(token) {
            Some(mut task) => {
                let connection = &mut task.connection;
                // A reply is large to move, so the guard gets a reference.
                let result = guarded(buffers, |buffers| match reply.take() {
                    Some(reply) => connection.resume(reply, buffers, &self.service),
                    None => DriveResult::Requeue,
                });
                self.count_shed(buffers);
                Some((task, result))
            }
            None => self.post(token, buffers, reply?),
        }
    }

    /// Lends a connection. Returns nothing if it had to be closed.
    fn lend(&self, index: usize, mut task: Box<Task>, lending: Lending) -> Option<Token> {
        if self.phase() >= Phase::Forced {
            self.abort(task);
            return None;
        }
        let token = self.reserve(&mut task)?;
        let mut is_ready = lending.is_ready;
        self.activity.begin_lend(index, token);
        loop {
            match (self.poller).lend(token, task, lending.deadline, is_ready) {
                Lent::Waiting => break,
                Lent::Messages(returned, replies) => {
                    task = returned;
                    task.deliver(replies);
                    is_ready = true;
                }
                Lent::Failed(task, error) => {
                    self.activity.end_lend(index);
                    self.fail_to_watch(task, &error);
                    return None;
                }
            }
        }
        if is_ready {
            self.idle_workers.start_detector_for_lent();
        }
        Some(token)
    }

    /// Leaves a reply for the connection's owner. If it has none, it is driven here.
    #[cold]
    fn post(&self, token: Token, buffers: &mut WorkerBuffers, reply: Reply) -> Option<Driven> {
        self.service.count_posted();
        let posted = self.poller.post(token, reply);
        // The request is the worker's, the connection is not.
        discard(buffers, ());
        match posted {
            Posted::Left => None,
            Posted::Closed(reply) => {
                discard(buffers, reply);
                None
            }
            Posted::Taken(mut task, reply) => {
                task.connection.deliver(reply);
                let (wake, now) = (WakeReason::Ready, sync::now());
                let result = self.drive(buffers, &mut task, wake, Admission::Handle, now);
                Some((task, result))
            }
        }
    }

    /// Starts the stall detector if one of the processed events was for a lent connection.
    pub(super) fn attend_lent(&self, events: &Events) {
        if events.has_noted_lent() {
            self.idle_workers.start_detector_for_lent();
        }
    }

    /// Whether work waits that another thread could do: in a channel, or on a lent connection.
    pub(super) fn has_waiting_work(&self) -> bool {
        let is_ready = |token| self.poller.is_ready_while_lent(token);
        self.has_queued() || (self.activity.lent().flatten()).any(|lent| is_ready(lent.token))
    }
}

/// Drops a part of a call and the worker's request, which may run a handler's code.
fn discard(buffers: &mut WorkerBuffers, part: impl Sized) {
    let drop_both = || {
        drop(part);
        buffers.end_call();
    };
    if catch_unwind(AssertUnwindSafe(drop_both)).is_err() {
        error!("dropping a request or its response panicked");
        buffers.replace();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
