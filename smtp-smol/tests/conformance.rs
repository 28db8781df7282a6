//! The conformance kit.

use std::net::TcpStream;
use std::task::Poll;

use futures_lite::future::block_on;
use smtp_smol::Client;
use smtp_smol::proto::Connection;
use smtp_test::conformance::{Adapter, Probe, Turns, check};

#[test]
fn the_adapter_conforms() {
    check(Smol);
}

struct Smol;

impl Adapter for Smol {
    type Client = Client<async_net::TcpStream, Probe>;

    fn open(&self, stream: TcpStream, wire: Probe) -> Self::Client {
        Client::from_stream(stream.try_into().unwrap(), wire)
    }

    fn drive(
        &self,
        client: &mut Self::Client,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        block_on(turns.limit(client.drive(question))).is_some()
    }

    fn connection<'a>(&self, client: &'a mut Self::Client) -> &'a mut Connection {
        client.connection_mut()
    }

    fn close(&self, client: Self::Client) {
        // The failure of the connection is known to the script.
        let _ = block_on(client.quit());
    }
}
