//! Which hosts and ports are destinations.

use smtp_tunnel::{Destination, DestinationError as Error};

#[test]
fn v45_a_destination_is_a_name_or_an_address_and_a_port() {
    let longest = format!("{}.test", vec!["x".repeat(61); 4].join(".") + "x");
    assert_eq!(longest.len(), 253);
    let accepted = [
        ("mail.example.org", "mail.example.org:25"),
        ("localhost", "localhost:25"),
        ("my_host.local", "my_host.local:25"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example:25"),
        ("mail.example.org.", "mail.example.org.:25"),
        ("1.example", "1.example:25"),
        ("1e.2f", "1e.2f:25"),
        ("192.0.2.1", "192.0.2.1:25"),
        ("2001:DB8::1", "[2001:db8::1]:25"),
        ("[::1]", "[::1]:25"),
        (&*longest, &*format!("{longest}:25")),
    ];
    for (host, shown) in accepted {
        let destination = Destination::new(host, 25).unwrap();
        assert_eq!(
            (destination.to_string(), destination.port()),
            (shown.to_owned(), 25)
        );
    }
    let label = format!("{}.test", "x".repeat(64));
    let too_long = format!("x{longest}");
    let rejected = [
        ("", Error::Empty),
        (&*too_long, Error::TooLong),
        (&*label, Error::Label),
        (".", Error::Label),
        ("a..b", Error::Label),
        ("-a.b", Error::Label),
        ("a-.b", Error::Label),
        ("a b", Error::Character),
        ("a\r\nb", Error::Character),
        ("a\0b", Error::Character),
        ("a:25", Error::Character),
        ("a@b", Error::Character),
        ("a/b", Error::Character),
        ("fe80::1%eth0", Error::Character),
        ("[192.0.2.1]", Error::Character),
        ("[a]", Error::Character),
        ("b\u{fc}cher.example", Error::NonAscii),
        ("127.1", Error::Number),
        ("0x7f.1", Error::Number),
        ("127.0.0.0x1", Error::Number),
        ("2130706433", Error::Number),
        ("192.0.2.256", Error::Number),
        ("192.0.2.1.", Error::Number),
    ];
    for (host, error) in rejected {
        assert_eq!(Destination::new(host, 25), Err(error), "{host}");
        let text = error.to_string();
        assert!(!text.is_empty() && format!("{error:?}") == text);
    }
    assert_eq!(Destination::new("a.test", 0), Err(Error::Port));
}

#[test]
fn an_address_of_a_socket_is_a_destination() {
    for (address, shown) in [("192.0.2.1:25", "192.0.2.1:25"), ("[::1]:1", "[::1]:1")] {
        let address: std::net::SocketAddr = address.parse().unwrap();
        assert_eq!(Destination::from(address).to_string(), shown);
    }
}
