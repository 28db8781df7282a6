//! The conformance kit.

use std::net::TcpStream;
use std::task::Poll;

use smtp_test::conformance::{Adapter, Probe, Turns, check};
use smtp_tokio::Client;
use smtp_tokio::proto::Connection;
use tokio::runtime::{Builder, Runtime};

#[test]
fn the_adapter_conforms() {
    check(Tokio);
}

struct Tokio;

impl Adapter for Tokio {
    type Client = (Runtime, Client<tokio::net::TcpStream, Probe>);

    fn open(&self, stream: TcpStream, wire: Probe) -> Self::Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        stream.set_nonblocking(true).unwrap();
        let entered = runtime.enter();
        let client = Client::from_stream(stream.try_into().unwrap(), wire);
        drop(entered);
        (runtime, client)
    }

    fn drive(
        &self,
        (runtime, client): &mut Self::Client,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        runtime
            .block_on(turns.limit(client.drive(question)))
            .is_some()
    }

    fn connection<'a>(&self, (_, client): &'a mut Self::Client) -> &'a mut Connection {
        client.connection_mut()
    }

    fn close(&self, (runtime, client): Self::Client) {
        // The failure of the connection is known to the script.
        let _ = runtime.block_on(client.quit());
    }
}
