//! The proxy that the environment names, and the URLs of proxies.

use proptest::prelude::*;
use smtp_rustls::ProxyServer;

type Variables = &'static [(&'static str, &'static str)];

#[test]
fn the_environment_names_a_proxy_and_the_servers_without_one() {
    let cases: &[(Variables, &str, u16, Option<&str>)] = &[
        (&[], "mail.example.org", 587, None),
        (
            &[("ALL_PROXY", "socks5://a.test")],
            "mail.example.org",
            587,
            Some("socks5://a.test"),
        ),
        (
            &[("all_proxy", "socks5h://a.test")],
            "mail.example.org",
            587,
            Some("socks5://a.test"),
        ),
        (
            &[
                ("ALL_PROXY", "http://b.test"),
                ("all_proxy", "http://a.test"),
            ],
            "x.test",
            25,
            Some("http://a.test"),
        ),
        // The lower case name counts, even if it is empty.
        (
            &[("ALL_PROXY", "http://b.test"), ("all_proxy", "")],
            "x.test",
            25,
            None,
        ),
        (&[("ALL_PROXY", " ")], "x.test", 25, None),
        (
            &[("ALL_PROXY", "a.test:3128")],
            "x.test",
            25,
            Some("http://a.test:3128"),
        ),
        (
            &[("ALL_PROXY", "bob:secret@a.test:3128/")],
            "x.test",
            25,
            Some("http://bob:***@a.test:3128"),
        ),
        // Only these names.
        (
            &[
                ("HTTP_PROXY", "http://b.test"),
                ("https_proxy", "http://a.test"),
            ],
            "x.test",
            25,
            None,
        ),
        (
            &[("ALL_PROXY", "http://a.test"), ("NO_PROXY", "*")],
            "x.test",
            25,
            None,
        ),
        (
            &[("ALL_PROXY", "http://a.test"), ("no_proxy", "")],
            "x.test",
            25,
            Some("http://a.test"),
        ),
        (
            &[
                ("ALL_PROXY", "http://a.test"),
                ("no_proxy", ""),
                ("NO_PROXY", "*"),
            ],
            "x.test",
            25,
            Some("http://a.test"),
        ),
    ];
    for &(variables, host, port, expected) in cases {
        let variable = |name: &str| {
            let mut found = variables.iter().filter(|(each, _)| *each == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let proxy = ProxyServer::from_variables(host, port, variable).unwrap();
        let proxy = proxy.map(|proxy| proxy.to_string());
        assert_eq!(proxy.as_deref(), expected, "{variables:?}");
    }
    for (value, offset) in [
        ("socks4://a.test", 0),
        ("a.test:x", 7),
        ("bob:can/ary@a.test", 7),
    ] {
        let error = ProxyServer::from_variables("x.test", 25, |name| {
            (name == "all_proxy").then(|| value.to_owned())
        });
        let error = error.unwrap_err();
        assert_eq!(error.offset(), offset, "{error}");
        assert!(!format!("{error:#}").contains("can"), "{error:#}");
        // Not even looked at for a server without a proxy.
        let excluded = ProxyServer::from_variables("x.test", 25, |name| match name {
            "all_proxy" => Some(value.to_owned()),
            _ => Some("x.test".to_owned()),
        });
        assert!(excluded.unwrap().is_none());
    }
}

#[cfg(feature = "idna")]
#[test]
fn entries_of_no_proxy_are_for_u_labels_and_a_labels() {
    let names = ["b\u{fc}cher.test", "B\u{dc}CHER.test", "xn--bcher-kva.test"];
    for entry in names {
        for host in names {
            for prefix in ["", ".", "*."] {
                let variable = |name: &str| match name {
                    "ALL_PROXY" => Some("socks5://proxy.test".to_owned()),
                    "NO_PROXY" => Some(format!("{prefix}{entry}")),
                    _ => None,
                };
                let proxy = ProxyServer::from_variables(&format!("mail.{host}"), 25, variable);
                assert!(proxy.unwrap().is_none(), "{prefix}{entry}: {host}");
            }
        }
    }
}

#[test]
fn entries_of_no_proxy_are_for_domains_addresses_networks_and_ports() {
    // An entry, the servers that it is for, and those that it is not for.
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("*", &["mail.test:25", "192.0.2.1:25", "[::1]:25"], &[]),
        (
            "example.org",
            &[
                "example.org:25",
                "mail.example.org:587",
                "a.b.example.org:25",
                "EXAMPLE.org:25",
                "example.org.:25",
            ],
            &[
                "anexample.org:25",
                "example.org.test:25",
                "org:25",
                "example.com:25",
            ],
        ),
        (
            ".example.org",
            &["example.org:25", "mail.example.org:25"],
            &["anexample.org:25"],
        ),
        (
            "*.example.org.",
            &["mail.example.org:25"],
            &["anexample.org:25"],
        ),
        (
            "Example.ORG:587",
            &["mail.example.org:587"],
            &["mail.example.org:25"],
        ),
        (
            "localhost",
            &["localhost:25"],
            &["127.0.0.1:25", "notlocalhost:25"],
        ),
        (
            "192.0.2.1",
            &["192.0.2.1:25"],
            &[
                "192.0.2.11:25",
                "192.0.2.1.test:25",
                "[::ffff:192.0.2.1]:25",
            ],
        ),
        ("192.0.2.1:25", &["192.0.2.1:25"], &["192.0.2.1:587"]),
        (
            "192.0.2.0/24",
            &["192.0.2.0:25", "192.0.2.255:25"],
            &["192.0.3.0:25", "mail.test:25"],
        ),
        (
            "192.0.2.128/25:465",
            &["192.0.2.200:465"],
            &["192.0.2.200:25", "192.0.2.1:465"],
        ),
        (
            "0.0.0.0/0",
            &["203.0.113.9:25"],
            &["[2001:db8::1]:25", "mail.test:25"],
        ),
        ("192.0.2.7/32", &["192.0.2.7:25"], &["192.0.2.6:25"]),
        (
            "2001:db8::1",
            &["[2001:db8::1]:25", "[2001:db8:0::1]:25"],
            &["[2001:db8::2]:25"],
        ),
        (
            "[2001:db8::1]",
            &["[2001:db8::1]:25"],
            &["[2001:db8::2]:25"],
        ),
        (
            "[2001:db8::1]:25",
            &["[2001:db8::1]:25"],
            &["[2001:db8::1]:587"],
        ),
        (
            "2001:db8::/32",
            &["[2001:db8:ffff::1]:25"],
            &["[2001:db9::1]:25", "192.0.2.1:25"],
        ),
        ("::/0", &["[2001:db8::1]:25"], &["192.0.2.1:25"]),
        (
            "a.test, mail.test ,b.test",
            &["a.test:25", "mail.test:25", "b.test:25"],
            &["c.test:25"],
        ),
        // Ignored.
        ("", &[], &["mail.test:25", ":25"]),
        (".", &[], &["mail.test:25"]),
        ("*.", &[], &["mail.test:25"]),
        (",,", &[], &["mail.test:25"]),
        ("mail.test:x", &[], &["mail.test:25"]),
        ("192.0.2.0/33", &[], &["192.0.2.0:25"]),
        ("192.0.2.0/-1", &[], &["192.0.2.0:25"]),
        ("2001:db8::/129", &[], &["[2001:db8::]:25"]),
        ("mail*.test", &[], &["mail1.test:25"]),
    ];
    for (entry, reached, proxied) in cases {
        let is_direct = |server: &str| {
            let (host, port) = server.rsplit_once(':').unwrap();
            let variable = |name: &str| match name {
                "ALL_PROXY" => Some("socks5://proxy.test".to_owned()),
                "NO_PROXY" => Some((*entry).to_owned()),
                _ => None,
            };
            let proxy = ProxyServer::from_variables(host, port.parse().unwrap(), variable);
            proxy.unwrap().is_none()
        };
        for server in *reached {
            assert!(is_direct(server), "{entry}: {server}");
            let bare = server.replace(['[', ']'], "");
            assert!(is_direct(&bare), "{entry}: {bare}");
        }
        for server in *proxied {
            assert!(!is_direct(server), "{entry}: {server}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v37_no_error_of_the_url_of_a_proxy_shows_what_is_before_the_last_at_sign(
        scheme in prop::sample::select(vec!["socks5://", "http://", "https://", "x://", ""]),
        before in "[-a-z0-9:/?#@%&=\\\\\\[\\]. é]{0,12}",
        after in "[-a-z0-9:/?#@%&=\\\\\\[\\]. é]{0,12}",
        rest in "[-a-z0-9:/?#%&=\\\\\\[\\]. é]{0,24}",
        entry in "[-a-z0-9:/.*, \\[\\]]{0,24}",
    ) {
        let url = format!("{scheme}bob:{before}CANARY{after}@{rest}");
        let variable = |name: &str| match name {
            "all_proxy" => Some(url.clone()),
            _ => Some(entry.clone()),
        };
        for result in [
            ProxyServer::from_url(&url).map(Some),
            ProxyServer::from_variables(&rest, 25, variable),
        ] {
            let shown = match result {
                Ok(proxy) => format!("{proxy:?}"),
                Err(error) => format!("{error} {error:#} {error:?} {:?}", error.kind()),
            };
            prop_assert!(!shown.contains("CANARY"), "{}: {}", url, shown);
        }
    }
}
