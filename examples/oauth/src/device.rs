//! The device authorization grant (RFC 8628): the user agrees in a browser, on any device.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Error, Grant};

/// What the user has to do, and how to ask whether it is done.
pub struct Authorization {
    device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    expires_in: Duration,
    interval: Duration,
}

impl Authorization {
    /// Asks for a code (section 3.1).
    pub fn request(client: &Client) -> Result<Self, Error> {
        let form = [("client_id", CLIENT_ID), ("scope", "smtp offline_access")];
        let reply = client.post("/device_authorization", &form)?;
        let text = |name| {
            let text = reply.get(name).and_then(Value::as_str);
            text.map(str::to_owned).ok_or(Error::Reply)
        };
        let seconds = |name| {
            reply
                .get(name)
                .and_then(Value::as_u64)
                .map(Duration::from_secs)
        };
        Ok(Self {
            device_code: text("device_code")?,
            user_code: text("user_code")?,
            verification_uri: text("verification_uri")?,
            expires_in: seconds("expires_in").ok_or(Error::Reply)?,
            // Section 3.2: 5 seconds, if the server says nothing.
            interval: seconds("interval").unwrap_or(Duration::from_secs(5)),
        })
    }

    /// Asks until the user has agreed (sections 3.4 and 3.5). `wait` sleeps.
    pub fn wait(self, client: &Client, mut wait: impl FnMut(Duration)) -> Result<Grant, Error> {
        let began = Instant::now();
        let mut interval = self.interval;
        let mut waited = Duration::ZERO;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &*self.device_code),
            ("client_id", CLIENT_ID),
        ];
        while waited.max(began.elapsed()) < self.expires_in {
            wait(interval);
            waited += interval;
            match client.token(&form) {
                Err(Error::Rejected(code)) if code == "authorization_pending" => {}
                // For this request and all that follow.
                Err(Error::Rejected(code)) if code == "slow_down" => interval += STEP,
                // A server that does not answer is asked less often, too.
                Err(Error::Http(ureq::Error::Timeout(_))) => interval *= 2,
                // Among them `expired_token` and `access_denied`.
                result => return result,
            }
        }
        Err(Error::Rejected("expired_token".to_owned()))
    }
}

/// Renews a token (RFC 6749, section 6).
pub fn refresh(client: &Client, refresh_token: &str) -> Result<Grant, Error> {
    client.token(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", CLIENT_ID),
    ])
}

const CLIENT_ID: &str = "an-example";

/// Section 3.5.
const STEP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_server::{Reply, TokenServer};

    /// The waits of a client whose token server replies so, and the result.
    fn polled(replies: &[Reply]) -> (Vec<u64>, Result<Grant, Error>) {
        let server = TokenServer::start(replies.to_vec()).unwrap();
        let client = Client::new(server.url());
        let mut waits = Vec::new();
        let authorization = Authorization::request(&client).unwrap();
        assert_eq!(authorization.user_code, "WDJB-MJHT");
        let result = authorization.wait(&client, |time| waits.push(time.as_secs()));
        (waits, result)
    }

    fn code(result: Result<Grant, Error>) -> String {
        match result {
            Err(Error::Rejected(code)) => code,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a token"),
        }
    }

    #[test]
    fn it_asks_at_the_interval_of_the_server_and_slower_on_request() {
        let (waits, result) = polled(&[
            Reply::Error("authorization_pending"),
            Reply::Error("authorization_pending"),
            Reply::Error("slow_down"),
            Reply::Error("authorization_pending"),
            Reply::Error("slow_down"),
            Reply::Token("a-token"),
        ]);
        assert!(result.unwrap().refresh.is_some());
        assert_eq!(waits, [1, 1, 1, 6, 6, 11]);
    }

    #[test]
    fn it_stops_when_the_user_says_no_or_the_code_has_expired() {
        for end in ["access_denied", "expired_token"] {
            let (waits, result) =
                polled(&[Reply::Error("authorization_pending"), Reply::Error(end)]);
            assert_eq!(code(result), end);
            assert_eq!(waits, [1, 1]);
        }
    }

    #[test]
    fn it_stops_by_itself_when_the_code_has_expired() {
        let (waits, result) = polled(&[Reply::Error("slow_down"); 100]);
        assert_eq!(code(result), "expired_token");
        // The server says 60 seconds.
        assert_eq!(waits, [1, 6, 11, 16, 21, 26]);
    }
}
