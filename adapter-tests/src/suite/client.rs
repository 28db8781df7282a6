//! The client against a server in memory, over pipes, and over sockets.

#[doc(hidden)]
#[macro_export]
macro_rules! client_tests {
    () => {
        use std::io;

        use super::kit::*;
        use super::rt::proto::{
            Command, ErrorKind, ProtocolError, RecipientStatus, Security, Stage, TlsInfo,
        };
        use super::rt::{Client, SMALLEST_BUFFER, TcpStream, block_on, buffered, empty};
        use $crate::common::*;
        use $crate::smtp_test::{Action, Config, Fault, Faulty, MemoryServer, Plan, Server};

        #[test]
        fn a_message_is_sent_and_the_connection_ends_in_order() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
                client.ready().await.unwrap();
                assert!(client.capabilities().pipelining());
                assert!(client.tls().is_none());
                let outcome = client.send(mail()).await.unwrap();
                assert_eq!(status_of(&outcome, &log), Status::Accepted);
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
        fn messages_are_queued_and_each_outcome_is_asked_for_by_its_id() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new().reject(TO[1], "550 5.1.1 gone"));
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
                    "an outcome is returned once"
                );
                assert_eq!(log.mails().len(), 3);
                log.assert_clean();
            });
        }

        #[test]
        fn a_message_is_sent_again_to_the_recipient_that_was_rejected_for_now() {
            block_on(async {
                let rejection = Action::reply("451 4.7.1 greylisted, try again later");
                let second = $crate::smtp_test::Stage::Rcpt(2);
                let (mut client, log) = in_memory(&Config::new().on(second, rejection));
                let outcome = client.send(mail()).await.unwrap();
                let retry = outcome.retry().unwrap();
                assert!(retry.recipients().map(|path| path.as_str()).eq([TO[1]]));
                let outcome = client.send(retry).await.unwrap();
                assert!(outcome.is_accepted(), "{outcome}");
                assert_eq!(outcome.retry(), None);
                client.quit().await.unwrap();
                assert_eq!(log.mails()[0].addresses(), [TO[0]]);
                assert_eq!(log.mails()[1].addresses(), [TO[1]]);
                assert_eq!(log.mails()[0].body(), log.mails()[1].body());
                log.assert_clean();
            });
        }

        #[test]
        fn commands_are_queued_and_none_is_taken_after_quit() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
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
        fn a_message_that_cannot_be_sent_is_not_waited_for() {
            block_on(async {
                let server = Server::start(Config::new().size_limit(10)).unwrap();
                let mut client = over_tcp(&server, wire(Security::Cleartext)).await;
                client.ready().await.unwrap();
                let outcome = client.send(mail()).await.unwrap();
                assert_eq!(status_of(&outcome, &server.log()), Status::NotSent);
                assert!(matches!(
                    reason(&outcome),
                    ErrorKind::TooLarge { limit: 10, .. }
                ));
                client.quit().await.unwrap();
            });
        }

        #[test]
        fn content_that_turns_out_to_be_invalid_is_not_waited_for() {
            block_on(async {
                let server = Server::start(Config::new()).unwrap();
                let mut client = over_tcp(&server, wire(Security::Cleartext)).await;
                let outcome = client
                    .send_from(streamed(), &b"Subject: hi\r\n\r\na bare\nline feed"[..])
                    .await
                    .unwrap();
                assert_eq!(status_of(&outcome, &server.log()), Status::NotSent);
                assert!(matches!(reason(&outcome), ErrorKind::Content(_)));
            });
        }

        #[test]
        fn v25_many_recipients_do_not_block_both_sides_over_the_smallest_buffers() {
            block_on(async {
                let (mut client, server, log) = over_pipe(&Config::new(), SMALLEST_BUFFER);
                assert!(client.send(mail_to(2000)).await.unwrap().is_accepted());
                client.quit().await.unwrap();
                server.join().unwrap();
                assert_eq!(log.mails()[0].addresses().len(), 2000);
            });
        }

        #[test]
        fn content_is_read_from_a_reader() {
            block_on(async {
                let text = long_text(200_000);
                let (mut client, log) = in_memory(&Config::new());
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
                    "its content is whole already: {error:#}"
                );
                assert_eq!(log.mails().len(), 2, "and so it is abandoned");
                log.assert_clean();
            });
        }

        #[test]
        fn content_in_pieces_is_written_as_it_is_wanted() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
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
                assert_eq!(status_of(&outcome, &log), Status::Accepted);
            });
        }

        #[test]
        fn a_stream_that_buffers_is_flushed() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let stream = Faulty::new(buffered(server), Plan::new().pending_first());
                let mut client = Client::from_stream(stream, wire(Security::Cleartext));
                assert_eq!(
                    status_of(&client.send(mail()).await.unwrap(), &log),
                    Status::Accepted
                );
                client.quit().await.unwrap();
                assert!(log.session().quit());
            });
        }

        #[test]
        fn a_reader_that_fails_midway_leaves_the_message_unsent() {
            block_on(async {
                let text = long_text(100_000);
                let (mut client, log) = in_memory(&Config::new());
                let broken = Faulty::new(
                    text.as_bytes(),
                    Plan::new().fault(2, Fault::Error(io::ErrorKind::InvalidData)),
                );
                let outcome = client.send_from(streamed(), broken).await.unwrap();
                assert_eq!(status_of(&outcome, &log), Status::NotSent);
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
        fn every_operation_that_breaks_leads_to_a_status_that_is_true() {
            block_on(async {
                for fault in [
                    Fault::Reset,
                    Fault::Eof,
                    Fault::Short(0),
                    Fault::Error(io::ErrorKind::Other),
                ] {
                    let mut statuses = Vec::new();
                    for k in 1.. {
                        let (outcome, log, count) =
                            session_with(&Config::new(), Plan::new().fault(k, fault), hasty())
                                .await;
                        statuses.push(status_of(&outcome, &log));
                        if count < k {
                            break;
                        }
                    }
                    assert_rising(&statuses);
                }
            });
        }

        #[test]
        fn every_operation_that_is_disturbed_is_repeated() {
            block_on(async {
                for fault in [Fault::Short(1), Fault::Interrupted, Fault::WouldBlock] {
                    for k in 1.. {
                        let (outcome, log, count) =
                            session_with(&Config::new(), Plan::new().fault(k, fault), hasty())
                                .await;
                        assert_eq!(status_of(&outcome, &log), Status::Accepted, "{fault:?} {k}");
                        log.assert_clean();
                        if count < k {
                            break;
                        }
                    }
                }
            });
        }

        #[test]
        fn the_reason_is_read_after_a_write_failed() {
            block_on(async {
                let config = Config::new().on(
                    $crate::smtp_test::Stage::Body(10),
                    Action::reply("552 5.3.4 too much").then_close(),
                );
                let (mut client, _) = in_memory(&config);
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
                let (client, log) = over_memory(
                    &Config::new().advertise_starttls().require_tls(),
                    wire(Security::StartTls),
                );
                let mut client = client
                    .upgrade(async |stream| Ok((Box::new(stream), TlsInfo::asserted())))
                    .await
                    .unwrap();
                assert!(client.tls().unwrap().is_asserted());
                assert!(
                    !client.capabilities().start_tls(),
                    "what was advertised in cleartext is discarded"
                );
                let outcome = client.send(mail()).await.unwrap();
                assert_eq!(status_of(&outcome, &log), Status::Accepted);
                assert!(outcome.tls().is_some());
                log.assert_clean();
            });
        }

        #[test]
        fn another_tls_stack_takes_over_from_the_first_byte() {
            block_on(async {
                let (client, log) =
                    over_memory(&Config::new().implicit_tls(), wire(Security::Implicit));
                let mut client = client
                    .upgrade(async |stream| Ok((stream, TlsInfo::asserted())))
                    .await
                    .unwrap();
                assert_eq!(
                    status_of(&client.send(mail()).await.unwrap(), &log),
                    Status::Accepted
                );
            });
        }

        #[test]
        fn a_handshake_that_fails_is_the_failure_of_the_connection() {
            block_on(async {
                let (client, _) = over_memory(
                    &Config::new().advertise_starttls(),
                    wire(Security::StartTls),
                );
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
        fn a_client_that_wants_tls_and_has_none_says_what_is_missing() {
            block_on(async {
                let (mut client, _) = over_memory(
                    &Config::new().advertise_starttls(),
                    wire(Security::StartTls),
                );
                let error = client.ready().await.unwrap_err();
                assert!(error.hint().unwrap().contains("upgrade"), "{error:#}");
            });
        }

        #[test]
        fn bytes_injected_after_the_220_never_reach_the_handshake() {
            block_on(async {
                let append = Action::normal().append("250 injected\r\n");
                let (client, _) = over_memory(
                    &Config::new()
                        .advertise_starttls()
                        .on($crate::smtp_test::Stage::StartTls, append),
                    wire(Security::StartTls),
                );
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
        fn the_parts_of_a_client_are_where_they_were() {
            block_on(async {
                let (mut client, _) = in_memory(&Config::new());
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
        fn clients_are_send_and_show_no_secret() {
            fn assert_send<T: Send>(_: &T) {}
            let (client, _) = in_memory(&Config::new());
            assert_send(&client);
            assert!(format!("{client:?}").starts_with("Client {"));
        }
    };
}
