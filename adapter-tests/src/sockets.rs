//! Tests over real sockets, written once for all adapters: input that arrives while a client is
//! idle or sends, the end of a connection that fails, and input that arrives while the process is
//! suspended.

mod host;
mod idle;
mod last_word;
mod suspended;

use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use smtp_proto::{Command, ContentStatus, Error, Mail, MailId, Outcome, Reply};
use smtp_rustls::Endpoint;

pub use idle::*;
pub use last_word::*;
pub use suspended::*;

/// A client of any adapter, whose methods block.
pub trait Adapter: Sized {
    fn connect(endpoint: &Endpoint, address: SocketAddr) -> Result<Self, Error>;
    fn send(&mut self, mail: Mail) -> Outcome;
    /// `told` is called after each outcome.
    fn send_all(&mut self, mails: Vec<Mail>, told: impl FnMut()) -> Vec<Outcome>;
    fn submit(&mut self, mail: Mail) -> MailId;
    fn body(&mut self, id: MailId) -> Result<ContentStatus, Error>;
    fn write_content(&mut self, id: MailId, piece: Bytes);
    fn finish_content(&mut self, id: MailId);
    fn outcome(&mut self, id: MailId) -> Outcome;
    fn command(&mut self, command: Command) -> Result<Reply, Error>;
    fn quit(self) -> Result<(), Error>;
    /// A second handle of the socket.
    fn socket(&self) -> TcpStream;
}

/// Waits until there is input or the end of it, and reads nothing, not even an error.
pub fn wait_for_input(socket: &TcpStream) {
    let mut polled = [PollFd::new(socket, PollFlags::IN)];
    while rustix::io::retry_on_intr(|| poll(&mut polled, None)).unwrap() == 0 {}
}

/// The tests of an adapter, each with the name of its function here.
#[macro_export]
macro_rules! socket_tests {
    ($adapter:ty) => {
        $crate::socket_tests! { $adapter:
            v42_nothing_is_sent_behind_what_came_while_idle,
            v42_a_reply_that_is_whole_only_later_is_as_fatal,
            v42_nothing_is_sent_behind_what_came_behind_a_batch,
            v42_nothing_is_sent_behind_what_came_between_two_pieces,
            v42_nothing_is_asked_behind_what_came_while_idle,
            quit_is_the_last_word_where_both_sides_understand_each_other,
            a_server_that_never_answers_quit_is_not_waited_for,
            v43_what_came_while_the_process_was_suspended_is_taken,
            suspended_client,
        }
    };
    ($adapter:ty: $($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::sockets::$name::<$adapter>();
            }
        )*
    };
}
