//! The conformance kit.

use std::net::TcpStream;
use std::task::Poll;

use smtp_blocking::Client;
use smtp_blocking::proto::Connection;
use smtp_test::conformance::{Adapter, Probe, Turns, check};

#[test]
fn the_adapter_conforms() {
    check(Blocking);
}

struct Blocking;

impl Adapter for Blocking {
    type Client = Client<TcpStream, Probe>;

    fn open(&self, stream: TcpStream, wire: Probe) -> Self::Client {
        Client::from_stream(stream, wire)
    }

    fn drive(
        &self,
        client: &mut Self::Client,
        _: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        client.drive(question);
        true
    }

    fn connection<'a>(&self, client: &'a mut Self::Client) -> &'a mut Connection {
        client.connection_mut()
    }

    fn close(&self, client: Self::Client) {
        // The failure of the connection is known to the script.
        let _ = client.quit();
    }

    fn is_full_duplex(&self) -> bool {
        false
    }
}
