//! Programs that are generic over lettre's traits, as many are.

use smtp_lettre::Error;

/// An error can be boxed, sent to another thread, and returned by `main`.
#[test]
fn an_error_is_an_error_in_any_thread() {
    fn check<E: std::error::Error + Send + Sync + 'static>() {}
    check::<Error>();
    assert!(size_of::<Error>() <= size_of::<usize>());
}

#[cfg(feature = "blocking")]
#[test]
fn a_transport_can_be_chosen_at_run_time() {
    use lettre::Transport;
    use smtp_lettre::{Delivered, SmtpTransport};

    struct Program {
        mailer: Box<dyn Transport<Ok = Delivered, Error = Error> + Send + Sync>,
    }

    let server = crate::cases::start(smtp_test::Config::new());
    let mailer = SmtpTransport::builder_dangerous("localhost").port(server.port());
    let program = Program {
        mailer: Box::new(mailer.build().unwrap()),
    };
    let message = crate::cases::invoice();
    let thread = std::thread::spawn(move || program.mailer.send(&message).map(drop));
    thread.join().unwrap().unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_future_of_a_generic_program_can_be_spawned() {
    use lettre::{AsyncTransport, Message, Tokio1Executor};
    use smtp_lettre::AsyncSmtpTransport;

    async fn program<T: AsyncTransport + Sync>(mailer: &T, message: Message) -> bool {
        mailer.send(message).await.is_ok()
    }

    let server = crate::cases::start(smtp_test::Config::new());
    let mailer = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("localhost")
        .port(server.port())
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let mailer = mailer.clone();
            tokio::spawn(async move { program(&mailer, crate::cases::invoice()).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(server.mails().len(), 5);
}
