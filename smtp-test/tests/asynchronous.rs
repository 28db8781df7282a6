//! The streams after the async traits.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

#[cfg(feature = "tokio")]
mod tokio_streams {
    use smtp_test::{Action, Config, Fault, Faulty, MemoryServer, Plan, Stage, pipe};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_conversation_is_the_same_with_every_operation_pending_and_single_bytes() {
        for plan in [
            Plan::new(),
            Plan::new().at_most(1).pending_first(),
            Plan::new()
                .fault(2, Fault::WouldBlock)
                .fault(3, Fault::Interrupted)
                .fault(5, Fault::Short(1)),
        ] {
            run(async {
                let mut stream = Faulty::new(MemoryServer::new(&Config::new()), plan);
                let log = stream.get_ref().log();
                let mut greeting = [0; 21];
                stream.read_exact(&mut greeting).await.unwrap();
                stream.write_all(b"QUIT\r\n").await.unwrap();
                stream.flush().await.unwrap();
                let mut rest = String::new();
                stream.read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "221 2.0.0 bye\r\n");
                stream.shutdown().await.unwrap();
                log.assert_clean();
                assert!(log.session().client_eof());
            });
        }
    }

    #[test]
    fn a_dropped_read_takes_nothing() {
        run(async {
            let mut stream = Faulty::new(
                MemoryServer::new(&Config::new()),
                Plan::new().pending_first(),
            );
            let mut buffer = [0; 100];
            let dropped = tokio::select! {
                biased;
                _ = stream.read(&mut buffer) => false,
                () = std::future::ready(()) => true,
            };
            assert!(dropped);
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 21);
            assert_eq!(stream.operations().count(), 1);
        });
    }

    #[test]
    fn a_silent_server_is_pending_until_it_is_written_to() {
        run(async {
            let config = Config::new().on(Stage::Greeting, Action::silent());
            let (mut reader, mut writer) = tokio::io::split(MemoryServer::new(&config));
            let reading = tokio::spawn(async move { reader.read(&mut [0; 100]).await.unwrap() });
            tokio::task::yield_now().await;
            assert!(!reading.is_finished());
            writer.write_all(b"NOOP\r\n").await.unwrap();
            assert_eq!(reading.await.unwrap(), 14);
        });
    }

    #[test]
    fn a_narrow_pipe_wakes_both_ends() {
        run(async {
            let (mut near, mut far) = pipe(2);
            let echo = tokio::spawn(async move {
                let mut text = vec![0; 1000];
                far.read_exact(&mut text).await.unwrap();
                far.write_all(&text).await.unwrap();
            });
            near.write_all(&[7; 1000]).await.unwrap();
            let mut text = Vec::new();
            near.read_to_end(&mut text).await.unwrap();
            assert_eq!(text, [7; 1000]);
            echo.await.unwrap();
        });
    }
}

#[cfg(feature = "futures-io")]
mod futures_streams {
    use futures_lite::{
        future::{block_on, zip},
        io::{AsyncReadExt, AsyncWriteExt},
    };
    use smtp_test::{Config, Faulty, MemoryServer, Plan, pipe};

    #[test]
    fn a_conversation_is_the_same_with_every_operation_pending_and_single_bytes() {
        for plan in [Plan::new(), Plan::new().at_most(1).pending_first()] {
            block_on(async {
                let mut stream = Faulty::new(MemoryServer::new(&Config::new()), plan);
                let log = stream.get_ref().log();
                let mut greeting = [0; 21];
                stream.read_exact(&mut greeting).await.unwrap();
                stream.write_all(b"QUIT\r\n").await.unwrap();
                stream.flush().await.unwrap();
                let mut rest = String::new();
                stream.read_to_string(&mut rest).await.unwrap();
                assert_eq!(rest, "221 2.0.0 bye\r\n");
                stream.close().await.unwrap();
                log.assert_clean();
            });
        }
    }

    #[test]
    fn a_narrow_pipe_wakes_both_ends() {
        let (mut near, mut far) = pipe(2);
        let echo = async {
            let mut text = vec![0; 1000];
            far.read_exact(&mut text).await.unwrap();
            far.write_all(&text).await.unwrap();
            far.close().await.unwrap();
        };
        let speak = async {
            near.write_all(&[7; 1000]).await.unwrap();
            let mut text = Vec::new();
            near.read_to_end(&mut text).await.unwrap();
            text
        };
        assert_eq!(block_on(zip(echo, speak)).1, [7; 1000]);
    }
}
