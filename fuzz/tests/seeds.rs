//! Every target over its seeds, over their prefixes, and over the corpus of earlier campaigns.

use std::fs;
use std::path::Path;

use smtp_fuzz::TARGETS;

#[test]
fn every_target_holds_over_its_seeds() {
    for (name, target) in TARGETS {
        let seeds = files(&format!("seeds/{name}"));
        assert!(seeds.len() >= 3, "{name} has too few seeds");
        for (path, seed) in seeds {
            eprintln!("{path}");
            target(&seed);
        }
    }
}

#[test]
fn every_target_holds_over_the_beginnings_of_its_seeds() {
    for (name, target) in TARGETS {
        for (path, seed) in files(&format!("seeds/{name}")) {
            eprintln!("{path}");
            for end in (0..seed.len()).rev().take(64) {
                target(&seed[..end]);
            }
        }
    }
}

/// The dictionary has the format of libFuzzer and AFL++.
#[test]
fn the_dictionary_has_one_quoted_word_a_line() {
    let dictionary = fs::read_to_string(folder().join("dictionary.txt")).unwrap();
    let words = dictionary
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for word in words.clone() {
        let inner = word
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.unwrap_or_else(|| panic!("{word} is not quoted"));
        assert!(
            (1..=64).contains(&inner.len()) && inner.is_ascii(),
            "{word}"
        );
    }
    assert!(words.count() > 50);
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}
