//! What only real sockets show, by the blocking client.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use crate::sockets::Adapter;
use bytes::Bytes;
use smtp_blocking::Client;
use smtp_blocking::proto::{Command, ContentStatus, Error, Mail, MailId, Outcome, Reply};
use smtp_blocking::tls::{Endpoint, Session};

socket_tests!(Driven);

struct Driven(Client);

impl Adapter for Driven {
    fn connect(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Error> {
        Client::connect_to(endpoint, &[address]).map(Self)
    }

    fn send(&mut self, mail: Mail) -> Outcome {
        self.0.send(mail).unwrap()
    }

    fn send_all(&mut self, mails: Vec<Mail>, mut told: impl FnMut()) -> Vec<Outcome> {
        self.0.send_all(mails).inspect(|_| told()).collect()
    }

    fn submit(&mut self, mail: Mail) -> MailId {
        self.0.submit(mail)
    }

    fn body(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        self.0.content_wanted(id)
    }

    fn write_content(&mut self, id: MailId, piece: Bytes) {
        // It may be too late.
        let _ = self.0.connection_mut().write_content(id, piece);
    }

    fn finish_content(&mut self, id: MailId) {
        let _ = self.0.connection_mut().finish_content(id);
    }

    fn outcome(&mut self, id: MailId) -> Outcome {
        self.0.wait_outcome(id).unwrap()
    }

    fn command(&mut self, command: Command) -> Result<Reply, Error> {
        self.0.command(command)
    }

    fn quit(self) -> Result<(), Error> {
        self.0.quit()
    }

    fn socket(&self) -> TcpStream {
        self.0.get_ref().try_clone().unwrap()
    }

    fn send_over(stream: UnixStream, session: Session, mail: Mail) -> Outcome {
        let mut client = Client::from_stream(stream, session);
        client.send(mail).unwrap()
    }
}
