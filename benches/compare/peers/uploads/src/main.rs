//! Processor time for each MiB of a form with a file, in httpool, axum and rouille. Each server is a
//! process of its own, which reads the parts and counts their bytes.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const SERVERS: [&str; 3] = ["httpool", "axum", "rouille"];
const FILE: usize = 48 << 20;
const FORMS: usize = 10;
const ROUNDS: usize = 5;
const THREADS: usize = 2;
const BOUNDARY: &str = "------------------------boundary7MA4YWxk";

/// How long a server may take to start.
const START: Duration = Duration::from_secs(10);

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["httpool", port] => httpool(address(port.parse()?)),
        ["axum", port] => axum(address(port.parse()?)),
        ["rouille", port] => rouille(address(port.parse()?)),
        _ => compare(),
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn httpool(address: SocketAddr) -> Result<()> {
    use httpool::multipart::{Multipart, MultipartError};
    let count = |mut form: Multipart| -> Result<String, MultipartError> {
        let mut count = 0;
        while let Some(mut part) = form.next_part()? {
            count += io::copy(&mut part, &mut io::sink())?;
        }
        Ok(count.to_string())
    };
    let router: httpool::Router = httpool::Router::new().post("/", count);
    let builder = httpool::Server::builder().listen(address).workers(THREADS);
    builder.bind()?.run(router)?;
    Ok(())
}

fn axum(address: SocketAddr) -> Result<()> {
    use axum::extract::{DefaultBodyLimit, Multipart};
    use axum::routing::post;
    async fn count(mut form: Multipart) -> String {
        let mut count = 0;
        while let Some(mut field) = form.next_field().await.expect("the form is valid") {
            while let Some(chunk) = field.chunk().await.expect("the form is valid") {
                count += chunk.len();
            }
        }
        count.to_string()
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    let serve = async move {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let app = axum::Router::new()
            .route("/", post(count))
            .layer(DefaultBodyLimit::disable());
        axum::serve(listener, app).await
    };
    Ok(runtime.block_on(runtime.spawn(serve))??)
}

fn rouille(address: SocketAddr) -> Result<()> {
    use rouille::input::multipart::get_multipart_input;
    rouille::start_server_with_pool(address, Some(THREADS), |request| {
        let mut form = get_multipart_input(request).expect("it is a form");
        let mut count = 0;
        while let Some(mut field) = form.next() {
            count += io::copy(&mut field.data, &mut io::sink()).expect("the form is valid");
        }
        rouille::Response::text(count.to_string())
    });
}

/// Measures the servers in turn, and prints the median of each.
fn compare() -> Result<()> {
    let form = form();
    let mut times = SERVERS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (server, times) in SERVERS.iter().zip(&mut times) {
            times.push(measure(server, &form)?);
        }
    }
    for (server, times) in SERVERS.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        println!("{server:8} {median:.3} ms for each MiB ({least:.3} to {most:.3})");
    }
    Ok(())
}

/// The processor time of a server for each MiB, in milliseconds.
fn measure(server: &str, form: &[u8]) -> Result<f64> {
    let free = TcpListener::bind(address(0))?;
    let address = free.local_addr()?;
    drop(free);
    let port = address.port().to_string();
    let mut child = Command::new(env::current_exe()?)
        .args([server, &port])
        .spawn()?;
    let spent = spend(address, form, &child);
    child.kill()?;
    child.wait()?;
    let mib = (FILE * FORMS >> 20) as f64;
    Ok(spent?.as_secs_f64() * 1000.0 / mib)
}

fn spend(address: SocketAddr, form: &[u8], child: &Child) -> Result<Duration> {
    // The first form is not counted.
    upload(address, form)?;
    let before = processor_time(child)?;
    for _ in 0..FORMS {
        upload(address, form)?;
    }
    Ok(processor_time(child)? - before)
}

/// A form with one file of bytes in which no boundary is likely.
fn form() -> Vec<u8> {
    let head = "Content-Disposition: form-data; name=\"f\"; filename=\"f\"";
    let mut form = format!("--{BOUNDARY}\r\n{head}\r\n\r\n").into_bytes();
    let mut state = 1_u64;
    for _ in 0..FILE / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        form.extend(state.to_le_bytes());
    }
    form.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    form
}

fn upload(address: SocketAddr, form: &[u8]) -> Result<()> {
    let mut server = connect(address)?;
    write!(
        server,
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        form.len()
    )?;
    server.write_all(form)?;
    let mut response = String::new();
    server.read_to_string(&mut response)?;
    match response.contains(&FILE.to_string()) {
        true => Ok(()),
        false => Err(format!("the file was not counted: {response}").into()),
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let deadline = Instant::now() + START;
    loop {
        match TcpStream::connect(address) {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            result => return result,
        }
    }
}

/// The processor time of all threads of a process.
fn processor_time(child: &Child) -> Result<Duration> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{}/task", child.id()))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}
