//! The conformance kit.

use std::net::TcpStream;
use std::task::Poll;

use mio_adapter::Client;
use smtp_proto::Connection;
use smtp_test::conformance::{Adapter, Kit, Probe, Turns};

#[test]
fn the_adapter_conforms() {
    let report = Kit::new().run(Mio);
    println!("{report}");
    report.assert();
}

struct Mio;

impl Adapter for Mio {
    type Client = Client<Probe>;

    fn open(&self, stream: TcpStream, wire: Probe) -> Self::Client {
        stream.set_nonblocking(true).unwrap();
        Client::from_stream(mio::net::TcpStream::from_std(stream), wire).unwrap()
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
        client.smtp_mut()
    }

    fn close(&self, client: Self::Client) {
        // The failure of the connection is known to the script.
        _ = client.quit();
    }
}
