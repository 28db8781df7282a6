//! The conformance kit, with each driver that the system permits.

use std::net::TcpStream;
use std::task::Poll;

use compio::driver::{DriverType, ProactorBuilder};
use compio::runtime::{Runtime, RuntimeBuilder};
use compio_adapter::Client;
use smtp_proto::Connection;
use smtp_test::conformance::{Adapter, Kit, Probe, Turns};

#[test]
fn the_adapter_conforms_by_io_uring() {
    match runtime(DriverType::IoUring) {
        Ok(_) => check(DriverType::IoUring),
        Err(error) => println!("io_uring is not permitted here: {error}"),
    }
}

#[test]
fn the_adapter_conforms_by_polling() {
    check(DriverType::Poll);
}

fn check(driver: DriverType) {
    let report = Kit::new().run(Compio(driver));
    println!("{driver:?}: {report}");
    report.assert();
}

fn runtime(driver: DriverType) -> std::io::Result<Runtime> {
    let mut proactor = ProactorBuilder::new();
    proactor.driver_type(driver);
    RuntimeBuilder::new().with_proactor(proactor).build()
}

struct Compio(DriverType);

impl Adapter for Compio {
    type Client = (Client<Probe>, Runtime);

    fn open(&self, stream: TcpStream, wire: Probe) -> Self::Client {
        let runtime = runtime(self.0).unwrap();
        let stream = runtime.enter(|| compio::net::TcpStream::from_std(stream));
        (Client::from_stream(stream.unwrap(), wire), runtime)
    }

    fn drive(
        &self,
        (client, runtime): &mut Self::Client,
        turns: Turns,
        question: &mut dyn FnMut(&mut Connection) -> Poll<()>,
    ) -> bool {
        let limited = runtime.block_on(turns.limit(client.drive(question)));
        limited.is_some()
    }

    fn connection<'a>(&self, (client, _): &'a mut Self::Client) -> &'a mut Connection {
        client.smtp_mut()
    }

    fn close(&self, (client, runtime): Self::Client) {
        // The failure of the connection is known to the script.
        _ = runtime.block_on(client.quit());
    }
}
