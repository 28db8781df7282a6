//! Pipes, blocking and full.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{ErrorKind, Read, Write},
    time::Duration,
};

use smtp_test::{Config, Machine, pipe, serve};

#[test]
fn bytes_come_out_as_they_went_in_through_the_narrowest_pipe() {
    let (mut near, mut far) = pipe(1);
    let writer = std::thread::spawn(move || {
        far.write_all(b"hello").unwrap();
        far
    });
    let mut text = [0; 5];
    near.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    drop(writer.join().unwrap());
    assert_eq!(near.read(&mut text).unwrap(), 0);
    assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_full_pipe_and_an_empty_one_time_out() {
    let (mut near, mut far) = pipe(3);
    near.set_write_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    near.set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    assert_eq!(near.write(b"abcd").unwrap(), 3);
    assert_eq!(near.write(b"d").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(
        near.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(near.write(b"").unwrap(), 0);
    near.shutdown();
    let mut text = String::new();
    far.read_to_string(&mut text).unwrap();
    assert_eq!(text, "abc");
    assert_eq!(
        near.set_read_timeout(Some(Duration::ZERO))
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn a_machine_can_be_served_over_a_pipe() {
    let (mut near, mut far) = pipe(1);
    let mut machine = Machine::new(&Config::new());
    let log = machine.log();
    let server = std::thread::spawn(move || serve(&mut machine, &mut far));
    let mut greeting = [0; 20];
    near.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 mail.test ESMTP\r");
    assert_eq!(near.read(&mut greeting).unwrap(), 1);
    near.write_all(b"QUIT\r\n").unwrap();
    let mut rest = String::new();
    near.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "221 2.0.0 bye\r\n");
    server.join().unwrap().unwrap();
    log.assert_clean();
    assert!(log.session().is_closed());
}
