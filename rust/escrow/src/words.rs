//! The word list, and finding in it what somebody meant.

use once_cell::sync::Lazy;

/// How many words the list has.
pub const COUNT: usize = 7776;

/// Shortest beginning of a word that may stand for it.
const MIN_PREFIX: usize = 4;
/// How many nearest words are named.
const NEAREST: usize = 3;

/// Electronic Frontier Foundation, large list (see data/README.md), sorted.
static WORDS: Lazy<Vec<&'static str>> = Lazy::new(|| {
    let mut words: Vec<_> = include_str!("../data/eff_large_wordlist.txt")
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    words.sort_unstable();
    words
});

/// The word with this number, from 0 to [`COUNT`] - 1.
pub(crate) fn word(number: usize) -> &'static str {
    WORDS[number]
}

/// What a typed text is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A word of the list, in full or by a beginning that no other word has.
    Word(&'static str),
    /// The beginning of several words, or too short to stand for one.
    Ambiguous(Vec<&'static str>),
    /// Nothing in the list; the nearest words.
    Unknown(Vec<&'static str>),
}

/// Looks up a text in lower case.
pub(crate) fn find(text: &str) -> Found {
    match beginning_with(text) {
        [] => Found::Unknown(nearest(text)),
        [only] if stands_for(text, only) => Found::Word(only),
        several => Found::Ambiguous(several.iter().take(NEAREST).copied().collect()),
    }
}

/// The word that a text in lower case is or stands for. Unlike [`find`], it does not search for the nearest
/// words, which takes a thousand times as long.
pub(crate) fn known(text: &str) -> Option<&'static str> {
    match beginning_with(text) {
        [only] if stands_for(text, only) => Some(only),
        _ => None,
    }
}

fn beginning_with(text: &str) -> &'static [&'static str] {
    let from = WORDS.partition_point(|word| *word < text);
    let len = WORDS[from..]
        .iter()
        .take_while(|word| word.starts_with(text))
        .count();
    &WORDS[from..from + len]
}

fn stands_for(text: &str, word: &str) -> bool {
    text == word || text.len() >= MIN_PREFIX
}

/// The words with the fewest typing errors between them and `text`: at most three, and at most half its letters.
fn nearest(text: &str) -> Vec<&'static str> {
    if text.len() > 30 {
        return Vec::new();
    }
    let limit = (text.len() / 2).clamp(1, 3);
    let letters = text.chars().count();
    let mut near: Vec<_> = WORDS
        .iter()
        // each letter more or less is an error: most words need no closer look
        .filter(|word| word.len().abs_diff(letters) <= limit)
        .map(|word| (strsim::osa_distance(text, word), *word))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_unstable();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.into_iter()
        .take_while(|(distance, _)| *distance == best)
        .map(|(_, word)| word)
        .take(NEAREST)
        .collect()
}

/// The words with a hyphen: the parts before and after it, and the word.
pub(crate) static HYPHENATED: Lazy<Vec<(&'static str, &'static str, &'static str)>> =
    Lazy::new(|| {
        WORDS
            .iter()
            .filter_map(|word| word.split_once('-').map(|(head, tail)| (head, tail, *word)))
            .collect()
    });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_what_the_code_relies_on() {
        assert_eq!(WORDS.len(), COUNT);
        assert!(
            WORDS.windows(2).all(|pair| !pair[1].starts_with(pair[0])),
            "no word begins another"
        );
        assert!(
            WORDS
                .iter()
                .all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
        let hyphenated: Vec<_> = HYPHENATED.iter().map(|(_, _, word)| *word).collect();
        assert_eq!(hyphenated, ["drop-down", "felt-tip", "t-shirt", "yo-yo"]);
    }

    #[test]
    fn finds() {
        for (text, found) in [
            ("abacus", Found::Word("abacus")),
            ("abac", Found::Word("abacus")),
            ("zoom", Found::Word("zoom")),
            ("drop-d", Found::Word("drop-down")),
            ("abdo", Found::Ambiguous(vec!["abdomen", "abdominal"])),
            ("aba", Found::Ambiguous(vec!["abacus"])),
            ("abacsu", Found::Unknown(vec!["abacus"])),
            ("goldfisch", Found::Unknown(vec!["goldfish"])),
            ("qqqqqqqq", Found::Unknown(vec![])),
            ("qq", Found::Unknown(vec![])),
        ] {
            assert_eq!(find(text), found, "{text}");
        }
    }
}
