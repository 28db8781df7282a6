//! A token server to try the programs with: it replies by a script, over HTTP without TLS.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A reply of the token endpoint.
#[derive(Clone, Copy)]
pub enum Reply {
    Token(&'static str),
    Error(&'static str),
}

/// A server on a free port, on a thread that ends with the program.
pub struct TokenServer {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    /// Starts a server whose token endpoint replies so, one reply after the other.
    pub fn start(replies: Vec<Reply>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let log = Arc::<Mutex<Vec<String>>>::default();
        let grants = Arc::clone(&log);
        let mut replies = VecDeque::from(replies);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that breaks off is no reason to end.
                if let Err(error) = serve(stream, &mut replies, &grants) {
                    eprintln!("token server: {error}");
                }
            }
        });
        Ok(Self { address, log })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The grant types of the requests so far.
    pub fn grant_types(&self) -> Vec<String> {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }
}

/// Answers the one request of a connection.
fn serve(
    stream: TcpStream,
    replies: &mut VecDeque<Reply>,
    log: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut len = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            len = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let form: HashMap<&str, &str> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let (status, json) = match &*path {
        "/device_authorization" => (
            "200 OK",
            r#"{"device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
                "user_code": "WDJB-MJHT", "verification_uri": "https://example.com/device",
                "expires_in": 60, "interval": 1}"#
                .to_owned(),
        ),
        "/token" => {
            if let Ok(mut log) = log.lock() {
                let grant = form.get("grant_type").copied().unwrap_or_default();
                log.push(grant.rsplit("%3A").next().unwrap_or_default().to_owned());
            }
            match replies.pop_front() {
                Some(Reply::Token(token)) => (
                    "200 OK",
                    format!(
                        r#"{{"access_token": "{token}", "token_type": "Bearer",
                            "expires_in": 3600, "refresh_token": "refresh-{token}"}}"#
                    ),
                ),
                Some(Reply::Error(code)) => {
                    ("400 Bad Request", format!(r#"{{"error": "{code}"}}"#))
                }
                None => (
                    "400 Bad Request",
                    r#"{"error": "invalid_grant"}"#.to_owned(),
                ),
            }
        }
        _ => ("404 Not Found", String::new()),
    };
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{json}",
        json.len()
    )
}
