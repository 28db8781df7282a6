//! The scenarios of the state machine's tests, through the client.

#[doc(hidden)]
#[macro_export]
macro_rules! scenario_tests {
    () => {
        use super::rt::proto::{Connection, ContentStatus, Error, Wire};
        use super::rt::{Client, SCENARIO_LIMIT, Stream, block_on_scenario, scenario_stream};
        use $crate::played::{Begun, Heard, Manner, Sent, Stage, every_scenario, wants_tls};
        use $crate::scenario::{Action, Piece, Scenario, Trace, source_error};
        use $crate::smtp_test::{Faulty, Plan, Split};

        #[test]
        fn every_scenario_goes_as_written_a_byte_at_a_time() {
            every_scenario(SCENARIO_LIMIT, |scenario, split, manner| {
                block_on_scenario(run(scenario, split, manner))
            });
        }

        async fn run(
            scenario: &Scenario,
            split: Split,
            manner: Manner,
        ) -> Result<Option<Sent>, String> {
            let (mut stage, server, wire) = Stage::set(scenario, split, manner);
            let plan = Plan::new().at_most(1).pending_first();
            let stream = scenario_stream(Faulty::new(server, plan));
            if manner == Manner::Attentive {
                let client = Client::from_stream(stream, stage.attentive(wire));
                let client = ready(scenario, client).await;
                perform(scenario, &mut stage.trace, client).await;
            } else {
                let client = Client::from_stream(stream, wire);
                let client = ready_in_tls(scenario, client, &stage).await;
                perform(scenario, &mut stage.trace, client).await;
            }
            stage.check(scenario)
        }

        /// Waits until a client is ready, or lets it close its connection.
        async fn ready<S: Stream, W: Wire>(
            scenario: &Scenario,
            mut client: Client<S, W>,
        ) -> Result<Client<S, W>, Error> {
            let mut ready = client.ready().await;
            if ready.as_ref().is_err_and(Scenario::wants_token) {
                scenario.answer_token(client.connection_mut());
                ready = client.ready().await;
            }
            match ready {
                Ok(()) => Ok(client),
                Err(error) => {
                    // That it ends in the same failure is known.
                    let _ = client.quit().await;
                    Err(error)
                }
            }
        }

        /// The same, in TLS of another stack where TLS is due.
        async fn ready_in_tls<S: Stream>(
            scenario: &Scenario,
            mut client: Client<S, Connection>,
            stage: &Stage,
        ) -> Result<Client<S, Connection>, Error> {
            match client.ready().await {
                Err(error) if wants_tls(&error) => {
                    let handshake = async |stream| stage.line.handshake(stream);
                    ready(scenario, client.upgrade(handshake).await?).await
                }
                _ => ready(scenario, client).await,
            }
        }

        /// Does with a client what a scenario says, and records what the client returns.
        ///
        /// A command is never queued with messages: a client that sends one waits for its reply.
        async fn perform<S: Stream, W: Wire>(
            scenario: &Scenario,
            trace: &mut Trace,
            client: Result<Client<S, W>, Error>,
        ) {
            let mut client = match client {
                Ok(client) => client,
                Err(error) => {
                    trace.ready(Err(error));
                    return;
                }
            };
            trace.ready(Ok(()));
            let mut begun = Vec::new();
            let mut quits = false;
            for action in &scenario.actions {
                begun.push(match action {
                    Action::Mail(mail) => Begun::Mail(client.submit(mail.clone()), &[]),
                    Action::Stream(mail, pieces) => {
                        Begun::Mail(client.submit(mail.clone()), pieces)
                    }
                    Action::Rejected(error) => Begun::Done(Heard::Rejected(error)),
                    Action::Command(command) => {
                        let reply = client.command(command.clone()).await;
                        Begun::Done(Heard::Reply(reply))
                    }
                    Action::Quit => {
                        client.connection_mut().quit();
                        quits = true;
                        Begun::Done(Heard::Quit)
                    }
                });
            }
            let mut heard = Vec::new();
            for begun in begun {
                heard.push(match begun {
                    Begun::Done(heard) => heard,
                    Begun::Mail(id, pieces) => {
                        for piece in pieces {
                            let Ok(ContentStatus::Wanted) = client.content_wanted(id).await else {
                                break;
                            };
                            let smtp = client.connection_mut();
                            match piece {
                                Piece::Text(text) => {
                                    smtp.write_content(id, text.clone().into()).unwrap();
                                }
                                Piece::Finish => smtp.finish_content(id).unwrap(),
                                Piece::Fail => smtp.fail_content(id, source_error()),
                                Piece::Abandon => smtp.abandon(id),
                            }
                        }
                        Heard::Outcome(client.wait_outcome(id).await)
                    }
                });
            }
            let mut ended = if quits {
                Some(client.quit().await)
            } else {
                drop(client);
                None
            };
            for heard in heard {
                match heard {
                    Heard::Outcome(outcome) => trace.outcome(outcome),
                    Heard::Rejected(error) => trace.rejected(error),
                    Heard::Reply(reply) => trace.reply(reply),
                    Heard::Quit => trace.ended(ended.take().expect("quit once")),
                }
            }
        }
    };
}
