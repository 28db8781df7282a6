//! What only real sockets show, by the smol client.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::sockets::Adapter;
use async_net::unix;
use bytes::Bytes;
use smol::block_on;
use smtp_smol::Client;
use smtp_smol::proto::{Command, ContentStatus, Error, Mail, MailId, Outcome, Reply};
use smtp_smol::tls::{Endpoint, Session};

socket_tests!(Driven);

/// A client, driven by whoever asks it.
pub(crate) struct Driven {
    client: Client,
}

impl Adapter for Driven {
    fn connect(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Error> {
        let client = block_on(Client::connect_to(endpoint, &[address]))?;
        Ok(Self { client })
    }

    fn send(&mut self, mail: Mail) -> Outcome {
        block_on(self.client.send(mail)).unwrap()
    }

    fn send_all(&mut self, mails: Vec<Mail>, mut told: impl FnMut()) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut batch = self.client.send_all(mails);
        while let Some(outcome) = block_on(batch.next()) {
            outcomes.push(outcome);
            told();
        }
        outcomes
    }

    fn submit(&mut self, mail: Mail) -> MailId {
        self.client.submit(mail)
    }

    fn body(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        block_on(self.client.content_wanted(id))
    }

    fn write_content(&mut self, id: MailId, piece: Bytes) {
        // It may be too late.
        let _ = self.client.connection_mut().write_content(id, piece);
    }

    fn finish_content(&mut self, id: MailId) {
        let _ = self.client.connection_mut().finish_content(id);
    }

    fn outcome(&mut self, id: MailId) -> Outcome {
        block_on(self.client.wait_outcome(id)).unwrap()
    }

    fn command(&mut self, command: Command) -> Result<Reply, Error> {
        block_on(self.client.command(command))
    }

    fn quit(self) -> Result<(), Error> {
        block_on(self.client.quit())
    }

    fn socket(&self) -> TcpStream {
        let socket = self.client.get_ref().as_fd().try_clone_to_owned().unwrap();
        socket.into()
    }

    fn send_over(stream: UnixStream, session: Session, mail: Mail) -> Outcome {
        block_on(async {
            let stream = unix::UnixStream::try_from(stream).unwrap();
            Client::from_stream(stream, session)
                .send(mail)
                .await
                .unwrap()
        })
    }
}
