//! Tests over real sockets, which the module `sockets` has, by the client.

#[doc(hidden)]
#[macro_export]
macro_rules! driven_tests {
    () => {
        use std::net::{SocketAddr, TcpStream};
        use std::os::fd::AsFd;

        use super::rt::proto::{Command, ContentStatus, Error, Mail, MailId, Outcome, Reply};
        use super::rt::tls::Endpoint;
        use super::rt::{Client, Runtime, runtime};
        use $crate::bytes::Bytes;
        use $crate::sockets::Adapter;

        $crate::socket_tests!(Driven);

        /// A client and its runtime. The runtime does not run between two calls, so input that
        /// arrives then is noticed late.
        pub(crate) struct Driven {
            client: Client,
            runtime: Runtime,
        }

        impl Adapter for Driven {
            fn connect(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Error> {
                let runtime = runtime();
                let client = runtime.block_on(Client::connect_to(endpoint, &[address]))?;
                Ok(Self { client, runtime })
            }

            fn send(&mut self, mail: Mail) -> Outcome {
                self.runtime.block_on(self.client.send(mail)).unwrap()
            }

            fn send_all(&mut self, mails: Vec<Mail>, mut told: impl FnMut()) -> Vec<Outcome> {
                let mut outcomes = Vec::new();
                let mut batch = self.client.send_all(mails);
                while let Some(outcome) = self.runtime.block_on(batch.next()) {
                    outcomes.push(outcome);
                    told();
                }
                outcomes
            }

            fn submit(&mut self, mail: Mail) -> MailId {
                self.client.submit(mail)
            }

            fn body(&mut self, id: MailId) -> Result<ContentStatus, Error> {
                self.runtime.block_on(self.client.content_wanted(id))
            }

            fn write_content(&mut self, id: MailId, piece: Bytes) {
                // It may be too late.
                let _ = self.client.connection_mut().write_content(id, piece);
            }

            fn finish_content(&mut self, id: MailId) {
                let _ = self.client.connection_mut().finish_content(id);
            }

            fn outcome(&mut self, id: MailId) -> Outcome {
                self.runtime.block_on(self.client.wait_outcome(id)).unwrap()
            }

            fn command(&mut self, command: Command) -> Result<Reply, Error> {
                self.runtime.block_on(self.client.command(command))
            }

            fn quit(self) -> Result<(), Error> {
                self.runtime.block_on(self.client.quit())
            }

            fn socket(&self) -> TcpStream {
                let socket = self.client.get_ref().as_fd().try_clone_to_owned().unwrap();
                socket.into()
            }
        }
    };
}
