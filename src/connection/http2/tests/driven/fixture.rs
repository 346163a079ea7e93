//! Scripted protocols, and a connection whose handler accepts them.

use std::io::ErrorKind;

use super::*;

/// What a protocol does in one call.
pub(super) type Act = Box<dyn FnMut(&mut DrivenStream<'_>) -> NextStep + Send>;

/// A protocol that a test scripts. It counts its drop.
pub(super) struct Scripted(pub(super) Act, pub(super) Arc<AtomicUsize>);

impl DrivenProtocol for Scripted {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        (self.0)(stream)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// A rig whose handler upgrades every request that has an Upgrade header.
pub(super) struct Fixture {
    pub(super) rig: Rig,
    pub(super) now: Instant,
    pub(super) drops: Arc<AtomicUsize>,
    pub(super) waker: Arc<CountingWaker>,
}

impl Fixture {
    pub(super) fn new<A>(make: impl Fn() -> A + Clone + Send + Sync + 'static) -> Self
    where
        A: FnMut(&mut DrivenStream<'_>) -> NextStep + Send + 'static,
    {
        Self::with_maker(move |_| Box::new(make()))
    }

    pub(super) fn with_maker(
        make: impl Fn(DrivenWaker) -> Act + Clone + Send + Sync + 'static,
    ) -> Self {
        let drops = Arc::<AtomicUsize>::default();
        let dropped = Arc::clone(&drops);
        Self::with_handler(drops, move |request: Request| {
            if request.headers().get("upgrade").is_none() {
                return "page".into_response();
            }
            upgrade(&make, &dropped).into_response()
        })
    }

    pub(super) fn with_handler(drops: Arc<AtomicUsize>, handler: impl Handler) -> Self {
        let now = Instant::now();
        let mut rig = Rig::new(now, handler);
        let waker = Arc::new(CountingWaker::default());
        let source = CountingSource(Arc::clone(&waker));
        rig.buffers.set_waker_source(Arc::new(source));
        Self {
            rig,
            now,
            drops,
            waker,
        }
    }

    /// Opens a stream and checks that it was accepted.
    #[track_caller]
    pub(super) fn open(&mut self, number: u32) -> DriveResult {
        self.rig.send_connect(number, false);
        let result = self.run();
        let frames = self.rig.frames();
        assert_eq!(frames.first(), Some(&Seen::Headers(number, false)));
        result
    }

    pub(super) fn run(&mut self) -> DriveResult {
        self.rig.run(WakeReason::Ready, self.now)
    }

    /// Goes on after this result of a drive.
    pub(super) fn go_on(&mut self, result: DriveResult) -> DriveResult {
        match result {
            DriveResult::Lend(_) => {
                let call = self.rig.take_call();
                let result = self.rig.finish(call);
                self.go_on(result)
            }
            DriveResult::Requeue => self.run(),
            other => other,
        }
    }

    pub(super) fn run_after(&mut self, time: Duration) -> DriveResult {
        self.rig.run(WakeReason::Expired, self.now + time)
    }

    pub(super) fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }
}

pub(super) fn upgrade(
    make: &(impl Fn(DrivenWaker) -> Act + Clone + Send + 'static),
    drops: &Arc<AtomicUsize>,
) -> Upgrade {
    let (make, drops) = (make.clone(), Arc::clone(drops));
    Upgrade::driven("websocket", move |waker| Scripted(make(waker), drops))
}

pub(super) fn data(number: u32, content: &[u8], is_last: bool) -> Seen {
    Seen::Data(number, content.to_vec(), is_last)
}

/// Gives back what arrives.
pub(super) fn echo(stream: &mut DrivenStream<'_>) -> NextStep {
    let mut buffer = [0; 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return NextStep::Close,
            Ok(count) => stream.write_all(&buffer[..count]).expect("there is room"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
            Err(_) => return NextStep::Close,
        }
    }
}

/// Writes until there is no room.
pub(super) fn flood(stream: &mut DrivenStream<'_>) -> NextStep {
    loop {
        match stream.write(&[b'x'; 1000]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return NextStep::Wait,
            Err(_) => return NextStep::Close,
        }
    }
}
