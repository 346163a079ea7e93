//! Runs senders and the connection in all interleavings.

use loom::thread;

use super::*;
use crate::message::body::{Content, Reader};
use crate::sync::{explore, explore_small};

/// A connection that sleeps until it is woken.
#[derive(Default)]
struct Sleep {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Wake for Sleep {
    fn wake(&self) {
        *ignore_poison(self.is_woken.lock()) = true;
        self.woken.notify_one();
    }

    fn is_draining(&self) -> bool {
        false
    }
}

impl Sleep {
    fn sleep(&self) {
        let mut is_woken = ignore_poison(self.is_woken.lock());
        while !mem::take(&mut *is_woken) {
            is_woken = ignore_poison(self.woken.wait(is_woken));
        }
    }
}

fn channel(limit: usize) -> (BodySender, Box<dyn PolledSource>, Arc<Sleep>) {
    let (sender, body) = Body::channel(limit);
    let Content::Reader(source) = body.into_content() else {
        panic!("the content of a channel is not in memory");
    };
    let Reader::Polled(reader) = source.reader else {
        panic!("a channel never blocks");
    };
    let (mut source, sleep) = (reader.source, Arc::<Sleep>::default());
    source.attach(Arc::clone(&sleep) as Arc<dyn Wake>);
    (sender, source, sleep)
}

/// Everything that arrives until the end. A lost wake-up would be a deadlock, which loom reports.
fn take_all(source: &mut dyn PolledSource, sleep: &Sleep) -> usize {
    let (mut size, now) = (0, Instant::now());
    loop {
        match source.poll(now) {
            Polled::Part(part) => size += part.len(),
            Polled::Pending(_) => sleep.sleep(),
            Polled::End => return size,
            Polled::Failed(error) => panic!("{error}"),
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    explore_small(|| {
        let (sender, mut source, sleep) = channel(10);
        let thread = thread::spawn(move || {
            sender.send("1").expect("the body is open");
            sender.send("2").expect("the body is open");
        });
        assert_eq!(take_all(&mut *source, &sleep), 2);
        thread.join().expect("sending does not panic");
    });
}

#[test]
fn sender_that_waits_for_room_gets_it() {
    explore_small(|| {
        let (sender, mut source, sleep) = channel(1);
        let other = sender.clone();
        sender.send("1").expect("the body is open");
        drop(sender);
        let thread = thread::spawn(move || other.send("2").expect("the body is open"));
        assert_eq!(take_all(&mut *source, &sleep), 2);
        thread.join().expect("sending does not panic");
    });
}

#[test]
fn senders_that_wait_learn_of_the_close() {
    explore(|| {
        let (sender, source, _) = channel(1);
        sender.send("1").expect("the body is open");
        let threads = [sender.clone(), sender].map(|sender| {
            thread::spawn(move || {
                assert!(sender.send("2").is_err());
                assert!(sender.is_closed());
            })
        });
        drop(source);
        for thread in threads {
            thread.join().expect("sending does not panic");
        }
    });
}
