//! Clients of HTTP/2.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::http2::{self, FrameReader};
use crate::random::Random;
use crate::serving::LARGE;
use crate::{DELAYED, EVENTS, NEVER, connect};

/// Requests at once, fewer than the server allows.
const STREAMS: usize = 50;

fn start(address: SocketAddr, initial_window: u32) -> io::Result<TcpStream> {
    let mut stream = connect(address)?;
    stream.write_all(&http2::preface(initial_window))?;
    Ok(stream)
}

/// Sends many requests at once, some of them for a delayed response, and expects all responses.
pub(crate) fn multiplexed(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = start(address, http2::MAX_WINDOW)?;
    let count = 1 + random.below(STREAMS);
    let mut open: Vec<u32> = http2::streams(count as u32).collect();
    let mut requests = http2::settings_ack();
    for id in &open {
        let path = ["/", DELAYED][random.below(2)];
        requests.extend(http2::get(*id, path));
    }
    stream.write_all(&requests)?;
    let (mut reader, mut responses, mut error) = (FrameReader::default(), 0, None);
    let mut buffer = [0; 4096];
    while !open.is_empty() {
        let received = match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => &buffer[..count],
        };
        reader.read(received, |frame| {
            responses += usize::from(frame.is_ok(frame.stream));
            open.retain(|id| !frame.ends(*id));
            error = error.take().or_else(|| frame.end());
        });
        if let Some(error) = error {
            return Err(io::Error::other(error));
        }
    }
    match responses == count {
        true => Ok(()),
        false => Err(io::Error::other(format!("{responses} of {count} are 200"))),
    }
}

/// Cancels some requests that wait or do not, and leaves.
pub(crate) fn cancelled(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = start(address, http2::MAX_WINDOW)?;
    for id in http2::streams(1 + random.below(STREAMS) as u32) {
        let path = ["/", DELAYED, EVENTS, NEVER][random.below(4)];
        let mut frames = http2::get(id, path);
        if random.below(2) == 0 {
            frames.extend(http2::cancel(id));
        }
        stream.write_all(&frames)?;
    }
    thread::sleep(Duration::from_millis(random.below(20) as u64));
    if random.below(2) == 0 {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

/// Requests large responses, and gives no window for them or a small one.
pub(crate) fn without_window(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = start(address, [0, 1, 1000][random.below(3)])?;
    // The server keeps these responses in memory. More of them would hide what grows.
    for id in http2::streams(2) {
        stream.write_all(&http2::get(id, LARGE))?;
    }
    thread::sleep(Duration::from_millis(300));
    Ok(())
}

/// Sends a part of a request, and ends.
pub(crate) fn half_a_head(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = start(address, http2::MAX_WINDOW)?;
    let frames = http2::get_with(1, &vec![0; random.below(100)], false);
    stream.write_all(&frames[..random.below(frames.len() + 1)])?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Sends random bytes after a request.
pub(crate) fn nonsense(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = start(address, http2::MAX_WINDOW)?;
    stream.write_all(&http2::get(1, "/"))?;
    let length = 1 + random.below(3_000);
    stream.write_all(&random.bytes(length))?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}
