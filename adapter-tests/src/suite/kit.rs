//! Clients for the tests: over a server in memory, over sockets, over pipes.

#[doc(hidden)]
#[macro_export]
macro_rules! kit {
    () => {
        use std::thread::{self, JoinHandle};

        use super::rt::proto::{Connection, Mail, Outcome, Security, Wire};
        use super::rt::{Client, TcpStream, connect};
        use $crate::common::*;
        use $crate::smtp_test::{
            Config, Faulty, Log, Machine, MemoryServer, Operations, Pipe, Plan, Server, pipe, serve,
        };

        /// A client of a server in memory, in cleartext, and the server's log.
        pub(crate) fn in_memory(config: &Config) -> (Client<MemoryServer, Connection>, Log) {
            over_memory(config, wire(Security::Cleartext))
        }

        /// A client of a server in memory, by this wire, and the server's log.
        pub(crate) fn over_memory<W: Wire>(
            config: &Config,
            wire: W,
        ) -> (Client<MemoryServer, W>, Log) {
            let server = MemoryServer::new(config);
            let log = server.log();
            (Client::from_stream(server, wire), log)
        }

        /// A client of a server in memory over a stream with this plan, with the server's log and
        /// the count of operations.
        pub(crate) fn over_faulty<W: Wire>(
            config: &Config,
            plan: Plan,
            wire: W,
        ) -> (Client<Faulty<MemoryServer>, W>, Log, Operations) {
            let server = MemoryServer::new(config);
            let log = server.log();
            let stream = Faulty::new(server, plan);
            let operations = stream.operations();
            (Client::from_stream(stream, wire), log, operations)
        }

        /// A client of a server over TCP.
        pub(crate) async fn over_tcp(
            server: &Server,
            connection: Connection,
        ) -> Client<TcpStream, Connection> {
            Client::from_stream(connect(server.addr()).await, connection)
        }

        /// A client of a server on a thread, over a pipe of this capacity.
        pub(crate) fn over_pipe(
            config: &Config,
            capacity: usize,
        ) -> (Client<Pipe, Connection>, JoinHandle<()>, Log) {
            let (ours, mut theirs) = pipe(capacity);
            let log = Log::new();
            let mut machine = Machine::with_log(config, &log);
            let server = thread::spawn(move || _ = serve(&mut machine, &mut theirs));
            let client = Client::from_stream(ours, wire(Security::Cleartext));
            (client, server, log)
        }

        /// Sends a message and ends the connection, while the stream follows a plan. Returns the
        /// outcome, the server's log and the count of operations.
        pub(crate) async fn session_with<W: Wire>(
            config: &Config,
            plan: Plan,
            wire: W,
        ) -> (Outcome, Log, usize) {
            let (mut client, log, operations) = over_faulty(config, plan, wire);
            let outcome = client.send(mail()).await.unwrap();
            let _ = client.quit().await;
            (outcome, log, operations.count())
        }

        /// Messages to `bob0`, `bob1` and so on.
        pub(crate) fn mails(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Mail> {
            numbers.map(|number| {
                let recipient = format!("bob{number}@example.net");
                Mail::new("alice@example.org", [recipient], TEXT).unwrap()
            })
        }
    };
}
