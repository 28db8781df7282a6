//! The client against a server in memory, over pipes, and over sockets.

#[doc(hidden)]
#[macro_export]
macro_rules! client_tests {
    () => {
        use std::io;
        use std::thread;
        use std::time::Duration;

        use super::rt::proto::{
            Command, ErrorKind, ProtocolError, RecipientStatus, Security, Stage, Timeout, Timeouts,
            TlsInfo,
        };
        use super::rt::{Client, TcpStream, block_on, buffered, empty};
        use $crate::common::*;
        use $crate::smtp_test::{
            Action, Config, Fault, Faulty, Log, Machine, MemoryServer, Plan, Server, pipe, serve,
        };

        #[test]
        fn a_mail_goes_out_and_the_connection_ends_in_good_order() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                client.ready().await.unwrap();
                assert!(client.capabilities().pipelining());
                assert!(client.tls().is_none());
                let outcome = client.send(mail()).await.unwrap();
                assert_eq!(judge(&outcome, &log), Came::Accepted);
                assert_eq!(outcome.stats(), client.connection().stats());
                let reply = client.command(Command::noop()).await.unwrap();
                assert_eq!(reply.code().as_u16(), 250);
                client.quit().await.unwrap();
                assert!(log.session().quit());
                assert!(log.session().client_eof());
                log.assert_clean();
            });
        }

        #[test]
        fn mails_wait_in_line_and_each_is_asked_for_by_its_id() {
            block_on(async {
                let server = MemoryServer::new(&Config::new().reject(TO[1], "550 5.1.1 gone"));
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                let ids = [mail(), mail(), mail()].map(|mail| client.submit(mail));
                for id in ids.into_iter().rev() {
                    let outcome = client.wait_outcome(id).await.unwrap();
                    assert!(matches!(
                        outcome.recipients()[0].status(),
                        RecipientStatus::Accepted(_)
                    ));
                    assert!(matches!(
                        outcome.recipients()[1].status(),
                        RecipientStatus::Rejected { .. }
                    ));
                }
                let error = client.wait_outcome(ids[0]).await.unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Misuse(_)),
                    "an outcome is told once"
                );
                assert_eq!(log.mails().len(), 3);
                log.assert_clean();
            });
        }

        #[test]
        fn commands_wait_in_line_and_none_is_taken_behind_the_end() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                let noop = client.connection_mut().command(Command::noop());
                let sent = client.submit(mail());
                let vrfy = client
                    .connection_mut()
                    .command(Command::vrfy("root").unwrap());
                assert_eq!(client.wait_reply(vrfy).await.unwrap().code().as_u16(), 252);
                assert_eq!(client.wait_reply(noop).await.unwrap().code().as_u16(), 250);
                assert!(client.wait_outcome(sent).await.unwrap().is_accepted());
                let again = client.wait_reply(noop).await.unwrap_err();
                assert!(matches!(again.kind(), ErrorKind::Misuse(_)), "{again}");
                client.connection_mut().quit();
                let late = client.command(Command::noop()).await.unwrap_err();
                assert!(matches!(late.kind(), ErrorKind::Closed), "{late}");
                client.quit().await.unwrap();
                assert_eq!(log.session().commands().last().unwrap(), "QUIT");
                log.assert_clean();
            });
        }

        #[test]
        fn what_cannot_be_sent_is_not_waited_for() {
            block_on(async {
                let server = Server::start(Config::new().size_limit(10)).unwrap();
                let stream = TcpStream::connect(server.addr()).await.unwrap();
                let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                client.ready().await.unwrap();
                let outcome = client.send(mail()).await.unwrap();
                assert_eq!(judge(&outcome, &server.log()), Came::NotSent);
                assert!(matches!(
                    reason(&outcome),
                    ErrorKind::TooLarge { limit: 10, .. }
                ));
                client.quit().await.unwrap();
            });
        }

        #[test]
        fn a_text_that_turns_out_to_be_unfit_is_not_waited_for() {
            block_on(async {
                let server = Server::start(Config::new()).unwrap();
                let stream = TcpStream::connect(server.addr()).await.unwrap();
                let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                let outcome = client
                    .send_from(streamed(), &b"Subject: hi\r\n\r\na bare\nline feed"[..])
                    .await
                    .unwrap();
                assert_eq!(judge(&outcome, &server.log()), Came::NotSent);
                assert!(matches!(reason(&outcome), ErrorKind::Content(_)));
            });
        }

        #[test]
        fn one_byte_at_a_time_gives_the_same_conversation() {
            block_on(async {
                let mut transcripts = Vec::new();
                for capacity in [1, 1 << 20] {
                    let log = Log::new();
                    let (ours, mut theirs) = pipe(capacity);
                    let mut machine = Machine::with_log(&Config::new(), &log);
                    let server = thread::spawn(move || serve(&mut machine, &mut theirs));
                    let mut client = Client::from_stream(ours, wire(Security::Cleartext));
                    let outcome = client.send(mail()).await.unwrap();
                    assert_eq!(judge(&outcome, &log), Came::Accepted);
                    client.quit().await.unwrap();
                    server.join().unwrap().unwrap();
                    transcripts.push(log.session().commands().to_vec());
                }
                assert_eq!(transcripts[0], transcripts[1]);
            });
        }

        #[test]
        fn v25_many_recipients_do_not_lock_both_sides_up_over_the_smallest_buffers() {
            block_on(async {
                let log = Log::new();
                let (ours, mut theirs) = pipe(64);
                let mut machine = Machine::with_log(&Config::new(), &log);
                let server = thread::spawn(move || serve(&mut machine, &mut theirs));
                let mut client = Client::from_stream(ours, wire(Security::Cleartext));
                assert!(client.send(mail_to(2000)).await.unwrap().is_accepted());
                client.quit().await.unwrap();
                server.join().unwrap().unwrap();
                assert_eq!(log.mails()[0].addresses().len(), 2000);
            });
        }

        #[test]
        fn text_is_read_from_a_reader() {
            block_on(async {
                let text = long_text(200_000);
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                assert!(
                    client
                        .send_from(streamed(), text.as_bytes())
                        .await
                        .unwrap()
                        .is_accepted()
                );
                assert_stored(&log.mails()[0], &text);
                assert!(
                    client
                        .send_from(streamed(), empty())
                        .await
                        .unwrap()
                        .is_accepted()
                );
                let error = client.send_from(mail(), text.as_bytes()).await.unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Misuse(_)),
                    "its text is at hand already: {error:#}"
                );
                assert_eq!(log.mails().len(), 2, "and so it is given up");
                log.assert_clean();
            });
        }

        #[test]
        fn text_in_pieces_is_pushed_as_it_is_wanted() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                let id = client.submit(streamed());
                for piece in TEXT.split_inclusive('\n') {
                    client.content_wanted(id).await.unwrap();
                    client
                        .connection_mut()
                        .write_content(id, piece.to_owned().into())
                        .unwrap();
                }
                client.connection_mut().finish_content(id).unwrap();
                assert!(
                    client
                        .connection_mut()
                        .write_content(id, "more".into())
                        .is_err()
                );
                let outcome = client.wait_outcome(id).await.unwrap();
                assert_eq!(judge(&outcome, &log), Came::Accepted);
            });
        }

        #[test]
        fn a_future_dropped_at_every_pending_loses_nothing() {
            block_on(async {
                for plan in [Plan::new(), Plan::new().at_most(1)] {
                    let mut transcripts = Vec::new();
                    for polls in [usize::MAX, 1] {
                        let server = MemoryServer::new(&Config::new());
                        let log = server.log();
                        let stream = Faulty::new(server, plan.clone().pending_first());
                        let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                        $crate::stubborn!(client.ready(), polls).unwrap();
                        let ids = [mail(), mail()].map(|mail| client.submit(mail));
                        for id in ids {
                            assert!(
                                $crate::stubborn!(client.wait_outcome(id), polls)
                                    .unwrap()
                                    .is_accepted()
                            );
                        }
                        let id = client.submit(streamed());
                        for piece in TEXT.split_inclusive('\n') {
                            $crate::stubborn!(client.content_wanted(id), polls).unwrap();
                            client
                                .connection_mut()
                                .write_content(id, piece.to_owned().into())
                                .unwrap();
                        }
                        client.connection_mut().finish_content(id).unwrap();
                        assert!(
                            $crate::stubborn!(client.wait_outcome(id), polls)
                                .unwrap()
                                .is_accepted()
                        );
                        client.quit().await.unwrap();
                        log.assert_clean();
                        transcripts.push(log.session().transcript());
                    }
                    assert_eq!(transcripts[0], transcripts[1]);
                }
            });
        }

        #[test]
        fn v41_to_drop_send_gives_the_mail_up_and_its_outcome_is_true() {
            block_on(async {
                let mut fates = Vec::new();
                let mut went_on = 0;
                for polls in 1.. {
                    let server = MemoryServer::new(&Config::new());
                    let log = server.log();
                    let stream = Faulty::new(server, Plan::new().pending_first());
                    let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                    client.ready().await.unwrap();
                    let before = client.connection().stats().bytes_sent();
                    let done = $crate::polled!(client.send(mail()), polls);
                    let outcome = match done {
                        Some(outcome) => outcome.unwrap(),
                        None => left_over(client.connection_mut()).expect("it stays readable"),
                    };
                    fates.push(judge(&outcome, &log));
                    if outcome.is_accepted() {
                        break;
                    }
                    assert!(
                        matches!(reason(&outcome), ErrorKind::Abandoned),
                        "{outcome:?}"
                    );
                    // Of what was not offered nothing is left, and the connection goes on.
                    let over = client.connection().is_closed();
                    let sent = client.connection().stats().bytes_sent() > before;
                    assert!(over || !sent, "{outcome:?}");
                    went_on += usize::from(!over);
                    let next = client.send(mail()).await.unwrap();
                    assert_eq!(next.error().is_some(), over, "{next:?}");
                }
                assert_rising(&fates);
                assert!(went_on > 0, "nothing was given up in time");
            });
        }

        #[test]
        fn v41_to_drop_send_before_its_mail_has_begun_withdraws_it() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let stream = Faulty::new(server, Plan::new().pending_first());
                let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                client.ready().await.unwrap();
                drop(client.send(mail()));
                let first = client.submit(mail());
                assert!($crate::polled!(client.send(mail()), 1).is_none());
                assert!(client.wait_outcome(first).await.unwrap().is_accepted());
                let outcome = left_over(client.connection_mut()).expect("the second is withdrawn");
                assert!(matches!(reason(&outcome), ErrorKind::Abandoned));
                assert_eq!(log.mails().len(), 1);
                assert!(
                    client.send(mail()).await.unwrap().is_accepted(),
                    "the connection goes on"
                );
                log.assert_clean();
            });
        }

        #[test]
        fn a_handshake_that_never_ends_runs_into_the_deadline_for_it() {
            block_on(async {
                let server = MemoryServer::new(&Config::new().advertise_starttls());
                let client = Client::from_stream(
                    server,
                    with_timeouts(Security::StartTls, Timeouts::default().with_starttls(SOON)),
                );
                let error = client
                    .upgrade(async |_| {
                        std::future::pending::<io::Result<(TcpStream, TlsInfo)>>().await
                    })
                    .await
                    .unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Timeout(Timeout::StartTls)),
                    "{error:#}"
                );
            });
        }

        #[test]
        fn a_stream_that_keeps_bytes_back_is_flushed() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let stream = Faulty::new(buffered(server), Plan::new().pending_first());
                let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                assert_eq!(
                    judge(&client.send(mail()).await.unwrap(), &log),
                    Came::Accepted
                );
                client.quit().await.unwrap();
                assert!(log.session().quit());
            });
        }

        #[test]
        fn a_reader_that_fails_midway_leaves_the_mail_unsent() {
            block_on(async {
                let text = long_text(100_000);
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                let broken = Faulty::new(
                    text.as_bytes(),
                    Plan::new().fault(2, Fault::Error(io::ErrorKind::InvalidData)),
                );
                let outcome = client.send_from(streamed(), broken).await.unwrap();
                assert_eq!(judge(&outcome, &log), Came::NotSent);
                let ErrorKind::Source(error) = reason(&outcome) else {
                    panic!("{outcome:?}");
                };
                assert!(format!("{error:#}").contains("invalid data"), "{error:#}");
                assert!(
                    client.send(mail()).await.unwrap().error().is_some(),
                    "the connection is over"
                );
            });
        }

        #[test]
        fn every_operation_that_breaks_leads_to_a_fate_that_is_true() {
            block_on(async {
                for fault in [
                    Fault::Reset,
                    Fault::Eof,
                    Fault::Short(0),
                    Fault::Error(io::ErrorKind::Other),
                ] {
                    let mut fates = Vec::new();
                    for k in 1.. {
                        let (outcome, log, count) = session_with(Plan::new().fault(k, fault)).await;
                        fates.push(judge(&outcome, &log));
                        if count < k {
                            break;
                        }
                    }
                    assert_rising(&fates);
                }
            });
        }

        #[test]
        fn every_operation_that_is_disturbed_is_done_again() {
            block_on(async {
                for fault in [Fault::Short(1), Fault::Interrupted, Fault::WouldBlock] {
                    for k in 1.. {
                        let (outcome, log, count) = session_with(Plan::new().fault(k, fault)).await;
                        assert_eq!(judge(&outcome, &log), Came::Accepted, "{fault:?} {k}");
                        log.assert_clean();
                        if count < k {
                            break;
                        }
                    }
                }
            });
        }

        /// Sends a mail while things go wrong by a plan; gives its outcome and the count of operations.
        async fn session_with(plan: Plan) -> (super::rt::proto::Outcome, Log, usize) {
            let server = MemoryServer::new(&Config::new());
            let log = server.log();
            let stream = Faulty::new(server, plan);
            let operations = stream.operations();
            let mut client = Client::from_stream(stream, hasty());
            let outcome = client.send(mail()).await.unwrap();
            let _ = client.quit().await;
            (outcome, log, operations.count())
        }

        #[test]
        fn the_reason_is_read_after_a_write_failed() {
            block_on(async {
                let config = Config::new().on(
                    $crate::smtp_test::Stage::Body(10),
                    Action::reply("552 5.3.4 too much").then_close(),
                );
                let server = MemoryServer::new(&config);
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                let text = long_text(300_000);
                let outcome = client.send_from(streamed(), text.as_bytes()).await.unwrap();
                let reply = outcome
                    .error()
                    .unwrap()
                    .reply()
                    .expect("the server said why");
                assert_eq!(reply.code().as_u16(), 552);
            });
        }

        #[test]
        fn another_tls_stack_takes_the_stream_over() {
            block_on(async {
                let server = MemoryServer::new(&Config::new().advertise_starttls().require_tls());
                let log = server.log();
                let client = Client::from_stream(server, wire(Security::StartTls));
                let mut client = client
                    .upgrade(async |stream| Ok((Box::new(stream), TlsInfo::asserted())))
                    .await
                    .unwrap();
                assert!(client.tls().unwrap().is_asserted());
                assert!(
                    !client.capabilities().start_tls(),
                    "what was said in cleartext is forgotten"
                );
                let outcome = client.send(mail()).await.unwrap();
                assert_eq!(judge(&outcome, &log), Came::Accepted);
                assert!(outcome.tls().is_some());
                log.assert_clean();
            });
        }

        #[test]
        fn another_tls_stack_takes_over_from_the_first_byte() {
            block_on(async {
                let server = MemoryServer::new(&Config::new().implicit_tls());
                let log = server.log();
                let client = Client::from_stream(server, wire(Security::Implicit));
                let mut client = client
                    .upgrade(async |stream| Ok((stream, TlsInfo::asserted())))
                    .await
                    .unwrap();
                assert_eq!(
                    judge(&client.send(mail()).await.unwrap(), &log),
                    Came::Accepted
                );
            });
        }

        #[test]
        fn a_handshake_that_fails_is_the_failure_of_the_connection() {
            block_on(async {
                let server = MemoryServer::new(&Config::new().advertise_starttls());
                let client = Client::from_stream(server, wire(Security::StartTls));
                let error = client
                    .upgrade(async |_| {
                        Err::<(TcpStream, _), _>(io::Error::other("bad certificate"))
                    })
                    .await
                    .unwrap_err();
                assert_eq!(error.stage(), Stage::TlsHandshake);
                assert!(
                    format!("{error:#}").contains("bad certificate"),
                    "{error:#}"
                );
            });
        }

        #[test]
        fn without_tls_of_its_own_a_client_that_wants_it_says_what_is_missing() {
            block_on(async {
                let server = MemoryServer::new(&Config::new().advertise_starttls());
                let mut client = Client::from_stream(server, wire(Security::StartTls));
                let error = client.ready().await.unwrap_err();
                assert!(error.hint().unwrap().contains("upgrade"), "{error:#}");
            });
        }

        #[test]
        fn injected_bytes_behind_the_220_never_reach_the_handshake() {
            block_on(async {
                let append = Action::normal().append("250 injected\r\n");
                let server = MemoryServer::new(
                    &Config::new()
                        .advertise_starttls()
                        .on($crate::smtp_test::Stage::StartTls, append),
                );
                let client = Client::from_stream(server, wire(Security::StartTls));
                let error = client
                    .upgrade(async |_| -> io::Result<(TcpStream, TlsInfo)> {
                        panic!("TLS must not begin")
                    })
                    .await
                    .unwrap_err();
                let injected = ErrorKind::Protocol(ProtocolError::InjectedBeforeTls);
                assert_eq!(format!("{:?}", error.kind()), format!("{injected:?}"));
            });
        }

        #[test]
        fn v29_a_silent_server_and_one_that_drips_run_into_the_same_deadline() {
            block_on(async {
                // Longer than any machine is busy.
                let greeting = format!("220 {}", "drip".repeat(500));
                let drips = Action::reply(greeting).drip(Duration::from_millis(50));
                for action in [Action::silent(), drips] {
                    let server =
                        Server::start(Config::new().on($crate::smtp_test::Stage::Greeting, action))
                            .unwrap();
                    let stream = TcpStream::connect(server.addr()).await.unwrap();
                    let mut client = Client::from_stream(
                        stream,
                        with_timeouts(Security::Cleartext, Timeouts::default().with_greeting(SOON)),
                    );
                    let error = client.ready().await.unwrap_err();
                    assert!(
                        matches!(
                            (error.kind(), error.stage()),
                            (ErrorKind::Timeout(Timeout::Reply), Stage::Greeting)
                        ),
                        "{error:#}"
                    );
                }
            });
        }

        #[test]
        fn a_server_that_takes_nothing_more_runs_into_the_deadline_for_writing() {
            block_on(async {
                let deaf = Action::normal().stop_reading();
                let server =
                    Server::start(Config::new().on($crate::smtp_test::Stage::Data, deaf)).unwrap();
                let stream = TcpStream::connect(server.addr()).await.unwrap();
                let mut client = Client::from_stream(
                    stream,
                    with_timeouts(
                        Security::Cleartext,
                        Timeouts::default().with_data_block(SOON),
                    ),
                );
                let text = long_text(16 << 20);
                let outcome = client.send_from(streamed(), text.as_bytes()).await.unwrap();
                assert_eq!(judge(&outcome, &server.log()), Came::NotSent);
                assert!(
                    matches!(reason(&outcome), ErrorKind::Timeout(Timeout::Write)),
                    "{outcome:?}"
                );
            });
        }

        #[test]
        fn the_parts_of_a_client_are_where_they_were() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                client.ready().await.unwrap();
                let (mut stream, connection) = client.into_parts();
                assert!(connection.is_idle());
                io::Write::write_all(&mut stream, b"NOOP\r\n").unwrap();
                let mut reply = [0; 3];
                io::Read::read_exact(&mut stream, &mut reply).unwrap();
                assert_eq!(&reply, b"250");
            });
        }

        #[test]
        fn clients_and_their_futures_are_send_and_show_no_secret() {
            block_on(async {
                fn assert_send<T: Send>(value: T) -> T {
                    value
                }
                let stream = MemoryServer::new(&Config::new().advertise_starttls());
                let mut client = assert_send(Client::from_stream(stream, wire(Security::StartTls)));
                assert!(format!("{client:?}").starts_with("Client {"));
                let id = client.submit(mail());
                drop(assert_send(client.ready()));
                drop(assert_send(client.send(mail())));
                drop(assert_send(client.send_from(streamed(), TEXT.as_bytes())));
                drop(assert_send(client.content_wanted(id)));
                drop(assert_send(client.wait_outcome(id)));
                drop(assert_send(client.command(Command::noop())));
                let command = client.connection_mut().command(Command::noop());
                drop(assert_send(client.wait_reply(command)));
                let upgrade = client.upgrade(async |stream| Ok((stream, TlsInfo::asserted())));
                let client = assert_send(upgrade).await.unwrap();
                assert_send(client.quit()).await.unwrap();
            });
        }
    };
}
