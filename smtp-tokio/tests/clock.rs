//! Time limits by the clock of tokio.

use std::io;
use std::time::Duration;

use adapter_tests::common::*;
use adapter_tests::stubborn;
use smtp_test::{Action, Config, MemoryServer, Server};
use smtp_tokio::proto::{ErrorKind, Security, Stage, Timeout, Timeouts, TlsInfo};
use smtp_tokio::{Client, Mailer};
use tokio::net::TcpStream;

#[tokio::test(start_paused = true)]
async fn deadlines_follow_a_clock_that_is_paused() {
    let server = MemoryServer::new(&Config::new().on(smtp_test::Stage::Greeting, Action::silent()));
    let mut client = Client::from_stream(
        server,
        limited(Security::Cleartext, Duration::from_secs(300)),
    );
    let began = tokio::time::Instant::now();
    let error = client.ready().await.unwrap_err();
    assert!(
        matches!(
            (error.kind(), error.stage()),
            (ErrorKind::Timeout(Timeout::Reply), Stage::Greeting)
        ),
        "{error:#}"
    );
    assert_eq!(began.elapsed().as_secs(), 300);
}

#[tokio::test]
async fn a_deadline_passes_even_if_no_future_lives_to_see_it() {
    let server = MemoryServer::new(&Config::new().on(smtp_test::Stage::Greeting, Action::silent()));
    let mut client = Client::from_stream(
        server,
        with_timeouts(Security::Cleartext, Timeouts::default().with_greeting(SOON)),
    );
    // The runtime does not get a turn in between, so that no timer can go off.
    let error = stubborn!(client.ready(), 1).unwrap_err();
    assert!(
        matches!(
            (error.kind(), error.stage()),
            (ErrorKind::Timeout(Timeout::Reply), Stage::Greeting)
        ),
        "{error:#}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_runs_into_the_deadline_of_a_paused_clock() {
    let server = MemoryServer::new(&Config::new().advertise_starttls());
    let client = Client::from_stream(
        server,
        limited(Security::StartTls, Duration::from_secs(300)),
    );
    let error = client
        .upgrade(async |_| std::future::pending::<io::Result<(TcpStream, TlsInfo)>>().await)
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(Timeout::StartTls)),
        "{error:#}"
    );
}

#[tokio::test(start_paused = true)]
async fn v29_a_handshake_that_is_always_busy_runs_into_the_deadline() {
    const LIMIT: Duration = Duration::from_secs(300);
    let server = MemoryServer::new(&Config::new().advertise_starttls());
    let client = Client::from_stream(server, limited(Security::StartTls, LIMIT));
    let error = client
        .upgrade(async |_| {
            tokio::time::advance(LIMIT).await;
            // Uses up tokio's budget in each turn, as reading from a peer does that sends without
            // end.
            for _ in 0..100_000 {
                tokio::task::coop::consume_budget().await;
            }
            Err::<(TcpStream, TlsInfo), _>(io::Error::other("not stopped"))
        })
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(Timeout::StartTls)),
        "{error:#}"
    );
}

#[test]
fn a_mailer_dropped_outside_of_the_runtime_ends_its_connections() {
    let server = Server::start(Config::new()).unwrap();
    let mailer = Mailer::new(secured::cleartext(server.port()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(mailer.send(mail())).unwrap();
    assert!(outcome.is_accepted());
    // An alarm needs the runtime.
    drop(mailer);
    let sessions = server.wait_for_sessions(1, Duration::from_secs(60));
    assert!(sessions[0].quit());
}

#[test]
fn a_mailer_gives_up_in_time_while_a_connection_is_being_opened() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // It takes the connection, and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = smtp_tokio::Endpoint::builder("127.0.0.1")
            .port(silent.local_addr().unwrap().port())
            .security(Security::Cleartext)
            .build()
            .unwrap();
        let mailer = Mailer::new(endpoint).with_max_wait(Duration::from_secs(5));
        let message = "From: a@x.test\r\n\r\nhello\r\n";
        let mail = smtp_tokio::Mail::new("a@x.test", ["b@x.test"], message).unwrap();
        let began = tokio::time::Instant::now();
        let error = mailer.send(mail).await.unwrap_err();
        assert_eq!(began.elapsed().as_secs(), 5);
        assert_eq!(
            error.to_string(),
            "no connection in time: the connection was still being opened"
        );
        assert_eq!(error.into_mail().recipients().len(), 1);
        assert_eq!(mailer.stats().connecting, 0);
    });
}
