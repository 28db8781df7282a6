//! Messages a second that the server accepts: `flood [tcp|unix] [COUNT] [BYTES] [MESSAGES IN
//! FLIGHT]`.

#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::{
    env,
    error::Error,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Instant,
};

use smtp_test::{Config, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number =
        |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (mails, bytes, group) = (number(1, 1_000_000)?, number(2, 200)?, number(3, 200)?);
    let config = Config::new()
        .with("CHUNKING")
        .discard_mails()
        .discard_transcripts();
    let flights = mails.div_ceil(group);
    let flight = flight(group, bytes);
    let seconds = if arguments.first().is_some_and(|kind| kind == "unix") {
        run_unix(config, &flight, flights, group)?
    } else {
        let server = Server::start(config)?;
        let writer = TcpStream::connect(server.addr())?;
        let reader = writer.try_clone()?;
        let closer = writer.try_clone()?;
        let end = move || closer.shutdown(Shutdown::Write);
        let seconds = flood(reader, writer, end, &flight, flights, group)?;
        report(&server);
        seconds
    };
    let rate = (flights * group) as f64 / seconds;
    println!(
        "{rate:.0} messages/s, {:.0} MB/s",
        rate * bytes as f64 / 1e6
    );
    Ok(())
}

#[cfg(unix)]
fn run_unix(
    config: Config,
    flight: &[u8],
    flights: usize,
    group: usize,
) -> Result<f64, Box<dyn Error>> {
    let path = env::temp_dir().join(format!("smtp-test-flood-{}", std::process::id()));
    let server = Server::start_unix(config, &path)?;
    let writer = UnixStream::connect(&path)?;
    let reader = writer.try_clone()?;
    let closer = writer.try_clone()?;
    let end = move || closer.shutdown(Shutdown::Write);
    let seconds = flood(reader, writer, end, flight, flights, group)?;
    report(&server);
    Ok(seconds)
}

#[cfg(not(unix))]
fn run_unix(_: Config, _: &[u8], _: usize, _: usize) -> Result<f64, Box<dyn Error>> {
    Err("no Unix sockets here".into())
}

/// Messages, each in one chunk, in one piece as on the wire.
fn flight(mails: usize, bytes: usize) -> Vec<u8> {
    let line = [b"x".repeat(76).as_slice(), b"\r\n"].concat();
    let body: Vec<u8> = line.iter().copied().cycle().take(bytes).collect();
    let mut one = format!(
        "MAIL FROM:<sender@example.org>\r\nRCPT TO:<recipient@example.net>\r\nBDAT {bytes} LAST\r\n"
    )
    .into_bytes();
    one.extend_from_slice(&body);
    one.repeat(mails)
}

/// Sends all flights while another thread counts the replies; gives the seconds that it took.
fn flood(
    mut reader: impl Read + Send,
    mut writer: impl Write,
    end: impl FnOnce() -> std::io::Result<()>,
    flight: &[u8],
    flights: usize,
    group: usize,
) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    writer.write_all(b"EHLO client.test\r\n")?;
    let mut buffer = vec![0; 64 << 10];
    let mut seen = Vec::new();
    while !seen.ends_with(b"250 CHUNKING\r\n") {
        let len = reader.read(&mut buffer)?;
        seen.extend_from_slice(buffer.get(..len).unwrap_or_default());
    }
    let lines = std::thread::scope(|scope| -> Result<usize, Box<dyn Error>> {
        let counter = scope.spawn(move || {
            let mut lines = 0;
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                let read = buffer.iter().take(len);
                lines += read.filter(|&&byte| byte == b'\n').count();
            }
            lines
        });
        for _ in 0..flights {
            writer.write_all(flight)?;
        }
        end()?;
        counter.join().map_err(|_| "the counter failed".into())
    })?;
    assert_eq!(lines, 3 * flights * group, "a reply to each command");
    Ok(start.elapsed().as_secs_f64())
}

fn report(server: &Server) {
    server.log().assert_clean();
    println!("{} messages", server.log().mail_count());
}
