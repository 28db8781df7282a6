//! Builds messages from strings: `compose COUNT [RECIPIENTS]`, to count instructions.

use bench::text;
use bytes::Bytes;
use smtp_proto::Mail;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|word| word.parse::<usize>().ok());
    let count = arguments.next().unwrap_or(1000);
    let recipients = arguments.next().unwrap_or(10);
    let text = Bytes::from(text(1000));
    let recipients: Vec<String> = (0..recipients)
        .map(|index| format!("bob{index}@example.net"))
        .collect();
    for _ in 0..count {
        let mail = Mail::new("alice@example.org", &recipients, text.clone()).unwrap();
        std::hint::black_box(&mail);
    }
}
