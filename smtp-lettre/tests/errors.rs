//! Messages that do not arrive, or not for all.

use std::time::Duration;

use smtp_lettre::{Credentials, ErrorKind, PoolError, Timeouts};
use smtp_test::{Action, Config, Stage, Tls};

use crate::cases::{RECIPIENTS, cleartext, closed_port, envelope, invoice, login, start};
use crate::programs::Program;

pub(crate) fn partial_acceptance_is_an_error_that_names_the_others<P: Program>() {
    let server = start(
        Config::new()
            .reject("carol@example.net", "550 5.1.1 no such user")
            .on(Stage::Rcpt(3).nth(1), Action::reply("450 4.2.1 busy")),
    );
    let transport = cleartext::<P>(&server);
    let error = P::send(&transport, &invoice()).unwrap_err();
    assert!(
        error
            .not_accepted()
            .eq(["carol@example.net", "archive@example.org"])
    );
    assert!(matches!(error.kind(), ErrorKind::NotAllAccepted(_)));
    assert_eq!(error.outcome().unwrap().recipients().len(), 3);
    assert_eq!(error.reply().unwrap().code().to_string(), "550");
    assert_eq!(
        error.to_string(),
        "2 of 3 recipients not accepted; <carol@example.net>: rejected at RCPT: 550 5.1.1 no such user"
    );
    assert!(format!("{error:?}").starts_with(&error.to_string()));
    // It was accepted for Bob.
    assert_eq!(server.mails()[0].addresses(), ["bob@example.net"]);
    assert!(!error.is_transient());
    assert!(error.is_permanent());
    assert!(!error.is_in_doubt());

    let retry = error.retry().unwrap();
    P::send_mail(&transport, retry).unwrap();
    assert_eq!(server.mails()[1].addresses(), ["archive@example.org"]);
    assert_eq!(server.mails()[1].body(), server.mails()[0].body());
}

pub(crate) fn a_message_that_none_accepts_for_now_is_transient<P: Program>() {
    let server = start(Config::new().on(Stage::Mail, Action::reply("451 4.3.0 later")));
    let error = P::send(&cleartext::<P>(&server), &invoice()).unwrap_err();
    assert!(error.is_transient());
    assert!(!error.is_permanent());
    assert!(error.not_accepted().eq(RECIPIENTS));
    assert_eq!(error.retry().unwrap().recipients().len(), 3);
    assert_eq!(error.reply().unwrap().code().to_string(), "451");
}

pub(crate) fn a_message_that_is_rejected_for_good_is_permanent<P: Program>() {
    let server = start(Config::new().on(Stage::EndOfData, Action::reply("554 5.7.1 spam")));
    let error = P::send(&cleartext::<P>(&server), &invoice()).unwrap_err();
    assert!(error.is_permanent());
    assert!(!error.is_transient());
    assert!(error.not_accepted().eq(RECIPIENTS));
    assert!(error.retry().is_none());
}

pub(crate) fn a_wrong_password_is_permanent_and_does_not_show<P: Program>() {
    let (server, transport) = login::<P>("battery staple");
    let error = P::send(&transport, &invoice()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Send(_)));
    assert!(error.is_permanent());
    assert!(!error.is_transient());
    assert!(error.retry().is_none());
    assert!(error.not_accepted().eq(RECIPIENTS));
    assert!(error.outcome().is_none());
    assert_eq!(error.reply().unwrap().code().to_string(), "535");
    for shown in [
        format!("{error:#?}"),
        format!("{error:#}"),
        format!("{transport:?}"),
    ] {
        assert!(!shown.contains("battery"), "{shown}");
    }
    assert!(server.mails().is_empty());
}

pub(crate) fn a_closed_port_is_transient<P: Program>() {
    let transport = P::builder_dangerous("localhost").port(closed_port());
    let error = P::send(&transport.build().unwrap(), &invoice()).unwrap_err();
    assert!(error.is_transient());
    assert!(!error.is_permanent());
    assert!(!error.is_timeout() && !error.is_tls() && !error.is_in_doubt());
    assert!(error.hint().unwrap().contains("no server listens"));
    assert!(error.not_accepted().eq(RECIPIENTS));
    assert_eq!(error.retry().unwrap().recipients().len(), 3);
}

pub(crate) fn a_connection_lost_after_the_message_leaves_it_in_doubt<P: Program>() {
    let server = start(Config::new().on(Stage::EndOfData, Action::cut()));
    let error = P::send(&cleartext::<P>(&server), &invoice()).unwrap_err();
    assert!(error.is_in_doubt());
    assert!(!error.is_transient());
    assert!(!error.is_permanent());
    assert!(error.retry().is_none());
    assert!(error.not_accepted().eq(RECIPIENTS));
}

pub(crate) fn a_silent_server_is_a_timeout<P: Program>() {
    let server = start(Config::new().on(Stage::Greeting, Action::silent()));
    let transport = P::builder_dangerous("localhost")
        .port(server.port())
        .timeouts(Timeouts::submission().with_greeting(Duration::from_millis(20)));
    let error = P::send(&transport.build().unwrap(), &invoice()).unwrap_err();
    assert!(error.is_timeout());
    assert!(error.is_transient());
    assert!(!error.is_response());
}

pub(crate) fn a_server_without_starttls_is_an_error_of_tls<P: Program>() {
    let server = start(Config::new());
    let transport = P::starttls_relay("localhost")
        .unwrap()
        .port(server.port())
        .tls(Tls::new().client_config());
    let error = P::send(&transport.build().unwrap(), &invoice()).unwrap_err();
    assert!(error.is_tls());
    assert!(error.is_permanent());
    assert!(server.mails().is_empty());
}

pub(crate) fn a_server_that_does_not_speak_smtp_is_an_error_of_its_replies<P: Program>() {
    let server = start(Config::new().on(Stage::Greeting, Action::raw("* OK IMAP4rev1\r\n")));
    let error = P::send(&cleartext::<P>(&server), &invoice()).unwrap_err();
    assert!(error.is_response());
    assert!(!error.is_tls());
}

pub(crate) fn a_transport_that_is_shut_down_says_so<P: Program>() {
    let server = start(Config::new());
    let transport = cleartext::<P>(&server);
    P::shutdown(&transport);
    let error = P::send(&transport, &invoice()).unwrap_err();
    assert!(error.is_transport_shutdown());
    assert!(matches!(error.kind(), ErrorKind::Send(error) if *error.kind() == PoolError::Closed));
    assert!(error.not_accepted().eq(RECIPIENTS));
    assert!(!error.is_transient());
}

pub(crate) fn content_that_is_no_message_is_an_error_of_the_client<P: Program>() {
    let server = start(Config::new());
    let error = P::send_raw(&cleartext::<P>(&server), &envelope(), b"Hello\r\n").unwrap_err();
    assert!(error.is_client());
    assert!(matches!(error.kind(), ErrorKind::Mail(_)));
    assert!(error.not_accepted().eq(["bob@example.net"]));
    assert!(server.sessions().is_empty());
}

pub(crate) fn an_invalid_setting_is_an_error_before_a_message<P: Program>() {
    let host = P::relay("mail.example.org:465").unwrap_err();
    assert!(matches!(host.kind(), ErrorKind::Endpoint(_)));
    assert_eq!(host.not_accepted().count(), 0);
    assert!(P::starttls_relay("").unwrap_err().is_client());

    let url = P::from_url("smtp://alice:secret@mail.example.org?tls=none").unwrap_err();
    assert!(matches!(url.kind(), ErrorKind::Url(_)));
    assert!(!format!("{url:#?}").contains("secret"));

    let credentials = Credentials::password("alice", "secret").unwrap();
    let cleartext = P::builder_dangerous("localhost").credentials(credentials);
    let error = cleartext.build().unwrap_err();
    assert!(error.is_client());
    assert!(!error.is_transient() && !error.is_permanent());
}
