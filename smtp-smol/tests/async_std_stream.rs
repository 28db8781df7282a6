//! The client over a stream of async-std.

use adapter_tests::common::*;
use futures_lite::future::block_on;
use smtp_smol::Client;
use smtp_smol::proto::Security;
use smtp_test::{Config, Server};

#[test]
fn a_stream_of_async_std_works() {
    block_on(async {
        let server = Server::start(Config::new()).unwrap();
        let stream = async_std::net::TcpStream::connect(server.addr())
            .await
            .unwrap();
        let mut client = Client::from_stream(stream, wire(Security::Cleartext));
        assert_eq!(
            status_of(&client.send(mail()).await.unwrap(), &server.log()),
            Status::Accepted
        );
        client.quit().await.unwrap();
        server.log().assert_clean();
    });
}
