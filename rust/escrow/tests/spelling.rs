//! Recovery codes as people type them, and what they are told when it is none.

use pve_escrow::{CodeError, RecoveryCode};

const CODE: &str =
    "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous";
const HYPHENS: &str =
    "drop-down felt-tip t-shirt yo-yo abacus zoom drop-down yo-yo t-shirt felt-tip";

/// Every spelling of `CODE`.
const PLAIN: &[&str] = &[
    // case
    "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    "ABACUS GOLDFISH THIMBLE OVERCAST REMNANT LUBRICANT SCORPION DWINDLE PANCAKE VIRTUOUS",
    "Abacus Goldfish Thimble Overcast Remnant Lubricant Scorpion Dwindle Pancake Virtuous",
    "aBACUS gOLDFISH tHIMBLE oVERCAST rEMNANT lUBRICANT sCORPION dWINDLE pANCAKE vIRTUOUS",
    // white space
    "  abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous  ",
    "abacus  goldfish   thimble overcast remnant lubricant scorpion dwindle pancake     virtuous",
    "abacus\tgoldfish\tthimble\tovercast\tremnant\tlubricant\tscorpion\tdwindle\tpancake\tvirtuous",
    "abacus\ngoldfish\nthimble\novercast\nremnant\nlubricant\nscorpion\ndwindle\npancake\nvirtuous\n",
    "abacus\r\ngoldfish\r\nthimble\r\novercast\r\nremnant\r\nlubricant\r\nscorpion\r\ndwindle\r\npancake\r\nvirtuous\r\n",
    "abacus goldfish thimble overcast remnant\nlubricant scorpion dwindle pancake virtuous\n",
    "\n\n\nabacus goldfish\n\nthimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    "abacus\u{b}goldfish\u{c}thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    // spaces that look alike
    "abacus\u{a0}goldfish\u{a0}thimble\u{a0}overcast\u{a0}remnant\u{a0}lubricant\u{a0}scorpion\u{a0}dwindle\u{a0}pancake\u{a0}virtuous",
    "abacus\u{2003}goldfish\u{2002}thimble\u{2009}overcast\u{200a}remnant lubricant scorpion dwindle pancake virtuous",
    "abacus\u{202f}goldfish\u{205f}thimble\u{3000}overcast\u{1680}remnant lubricant scorpion dwindle pancake virtuous",
    "abacus\u{200b}goldfish\u{200b}thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    "\u{feff}abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    "abacus\u{2028}goldfish\u{2029}thimble\u{85}overcast remnant lubricant scorpion dwindle pancake virtuous",
    "aba\u{ad}cus goldfish thim\u{200d}ble overcast remnant lubricant scorpion dwindle pancake virtuous",
    // commas and other punctuation
    "abacus,goldfish,thimble,overcast,remnant,lubricant,scorpion,dwindle,pancake,virtuous",
    "abacus, goldfish, thimble, overcast, remnant, lubricant, scorpion, dwindle, pancake, virtuous",
    "abacus, goldfish, thimble, overcast, remnant, lubricant, scorpion, dwindle, pancake, virtuous.",
    "abacus; goldfish; thimble; overcast; remnant; lubricant; scorpion; dwindle; pancake; virtuous;",
    "abacus/goldfish/thimble/overcast/remnant/lubricant/scorpion/dwindle/pancake/virtuous",
    "abacus|goldfish|thimble|overcast|remnant|lubricant|scorpion|dwindle|pancake|virtuous",
    "abacus.goldfish.thimble.overcast.remnant.lubricant.scorpion.dwindle.pancake.virtuous",
    "abacus_goldfish_thimble_overcast_remnant_lubricant_scorpion_dwindle_pancake_virtuous",
    "abacus+goldfish+thimble+overcast+remnant+lubricant+scorpion+dwindle+pancake+virtuous",
    "\"abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous\"",
    "'abacus' 'goldfish' 'thimble' 'overcast' 'remnant' 'lubricant' 'scorpion' 'dwindle' 'pancake' 'virtuous'",
    "\u{201c}abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous\u{201d}",
    "[\"abacus\",\"goldfish\",\"thimble\",\"overcast\",\"remnant\",\"lubricant\",\"scorpion\",\"dwindle\",\"pancake\",\"virtuous\"]",
    "* abacus\n* goldfish\n* thimble\n* overcast\n* remnant\n* lubricant\n* scorpion\n* dwindle\n* pancake\n* virtuous\n",
    "\u{2022} abacus \u{2022} goldfish \u{2022} thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    // hyphens between words
    "abacus-goldfish-thimble-overcast-remnant-lubricant-scorpion-dwindle-pancake-virtuous",
    "abacus - goldfish - thimble - overcast - remnant - lubricant - scorpion - dwindle - pancake - virtuous",
    "- abacus\n- goldfish\n- thimble\n- overcast\n- remnant\n- lubricant\n- scorpion\n- dwindle\n- pancake\n- virtuous\n",
    "abacus\u{2010}goldfish\u{2011}thimble\u{2012}overcast\u{2013}remnant\u{2014}lubricant\u{2212}scorpion dwindle pancake virtuous",
    "abacus\u{2013}goldfish \u{2014} thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    "abacus--goldfish--thimble--overcast--remnant--lubricant--scorpion--dwindle--pancake--virtuous",
    // numbering
    "1. abacus 2. goldfish 3. thimble 4. overcast 5. remnant 6. lubricant 7. scorpion 8. dwindle 9. pancake 10. virtuous",
    "1 abacus 2 goldfish 3 thimble 4 overcast 5 remnant 6 lubricant 7 scorpion 8 dwindle 9 pancake 10 virtuous",
    "1) abacus\n2) goldfish\n3) thimble\n4) overcast\n5) remnant\n6) lubricant\n7) scorpion\n8) dwindle\n9) pancake\n10) virtuous\n",
    "(1) abacus (2) goldfish (3) thimble (4) overcast (5) remnant (6) lubricant (7) scorpion (8) dwindle (9) pancake (10) virtuous",
    "1: abacus\n2: goldfish\n3: thimble\n4: overcast\n5: remnant\n6: lubricant\n7: scorpion\n8: dwindle\n9: pancake\n10: virtuous\n",
    "#1 abacus #2 goldfish #3 thimble #4 overcast #5 remnant #6 lubricant #7 scorpion #8 dwindle #9 pancake #10 virtuous",
    "1-abacus 2-goldfish 3-thimble 4-overcast 5-remnant 6-lubricant 7-scorpion 8-dwindle 9-pancake 10-virtuous",
    "1.abacus 2.goldfish 3.thimble 4.overcast 5.remnant 6.lubricant 7.scorpion 8.dwindle 9.pancake 10.virtuous",
    "1abacus 2goldfish 3thimble 4overcast 5remnant 6lubricant 7scorpion 8dwindle 9pancake 10virtuous",
    "01. abacus 02. goldfish 03. thimble 04. overcast 05. remnant 06. lubricant 07. scorpion 08. dwindle 09. pancake 10. virtuous",
    // two columns, read line by line or column by column
    "1. abacus 6. lubricant\n2. goldfish 7. scorpion\n3. thimble 8. dwindle\n4. overcast 9. pancake\n5. remnant 10. virtuous\n",
    "   1. abacus             6. lubricant\n   2. goldfish           7. scorpion\n   3. thimble            8. dwindle\n   4. overcast           9. pancake\n   5. remnant           10. virtuous\n",
    "10. virtuous 9. pancake 8. dwindle 7. scorpion 6. lubricant 5. remnant 4. overcast 3. thimble 2. goldfish 1. abacus",
    // numbers that say nothing about the order
    "1. abacus 1. goldfish 1. thimble 1. overcast 1. remnant 1. lubricant 1. scorpion 1. dwindle 1. pancake 1. virtuous",
    "1. abacus goldfish 3. thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    "0. abacus 1. goldfish 2. thimble 3. overcast 4. remnant 5. lubricant 6. scorpion 7. dwindle 8. pancake 9. virtuous",
    "2026-11-21: abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
    // beginnings of words
    "abac goldf thim overca remn lubricant scorp dwindle panca virtuo",
    "abacu goldf thimb overcas remna lubrican scorp dwindle panca virtuo",
    "ABAC-GOLDF-THIM-OVERCA-REMN-LUBRICANT-SCORP-DWINDLE-PANCA-VIRTUO",
    "1. abac 2. goldf 3. thim 4. overca 5. remn 6. lubrican 7. scorp 8. dwindle 9. panca 10. virtuo",
    // full width forms
    "ａｂａｃｕｓ　ｇｏｌｄｆｉｓｈ　ｔｈｉｍｂｌｅ overcast remnant lubricant scorpion dwindle pancake virtuous",
    "abacus，goldfish，thimble、overcast。remnant；lubricant scorpion dwindle pancake virtuous",
    // check characters
    "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous CHECK",
    "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous [CHECK]",
    "CHECK: abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
];

/// Every spelling of `HYPHENS`.
const HYPHENATED: &[&str] = &[
    "drop-down felt-tip t-shirt yo-yo abacus zoom drop-down yo-yo t-shirt felt-tip",
    "drop down felt tip t shirt yo yo abacus zoom drop down yo yo t shirt felt tip",
    "dropdown felttip tshirt yo-yo abacus zoom dropdown yo-yo tshirt felttip",
    "drop-down-felt-tip-t-shirt-yo-yo-abacus-zoom-drop-down-yo-yo-t-shirt-felt-tip",
    "DROP-DOWN, FELT-TIP, T-SHIRT, YO-YO, ABACUS, ZOOM, DROP-DOWN, YO-YO, T-SHIRT, FELT-TIP",
    "drop\u{2011}down felt\u{2013}tip t\u{2010}shirt yo\u{2212}yo abacus zoom drop\u{2014}down yo-yo t-shirt felt-tip",
    "drop\ndown\nfelt\ntip\nt\nshirt\nyo\nyo\nabacus\nzoom\ndrop\ndown\nyo\nyo\nt\nshirt\nfelt\ntip\n",
    "1. drop-down 2. felt-tip 3. t-shirt 4. yo-yo 5. abacus 6. zoom 7. drop-down 8. yo-yo 9. t-shirt 10. felt-tip",
    "drop-d felt-t t-sh yo-yo abac zoom drop-dow yo-yo t-shi felt-ti",
    "drop - down felt - tip t - shirt yo - yo abacus zoom drop - down yo - yo t - shirt felt - tip",
];

#[test]
fn spellings() {
    assert!(PLAIN.len() + HYPHENATED.len() >= 60);
    let check = RecoveryCode::parse(CODE).unwrap().check_characters();
    for text in PLAIN {
        for check in [check.clone(), check.to_uppercase()] {
            let text = text.replace("CHECK", &check);
            let code = RecoveryCode::parse(&text).unwrap_or_else(|err| panic!("{text}: {err}"));
            assert_eq!(code.as_str(), CODE, "{text}");
        }
    }
    for text in HYPHENATED {
        let code = RecoveryCode::parse(text).unwrap_or_else(|err| panic!("{text}: {err}"));
        assert_eq!(code.as_str(), HYPHENS, "{text}");
    }
}

const REFUSALS: &[(&str, &str)] = &[
    ("", "no recovery code was given"),
    (" \n\t, - . ", "no recovery code was given"),
    ("1. 2. 3.", "no recovery code was given"),
    ("abacus", "a recovery code has ten words, but 1 was given"),
    (
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake",
        "a recovery code has ten words, but 9 were given",
    ),
    (
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake k7m2",
        "a recovery code has ten words, but 9 were given",
    ),
    (
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous zoom",
        "a recovery code has ten words, but 11 were given",
    ),
    (
        "abacsu goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 1 is not in the word list; did you mean abacus?",
    ),
    (
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtous",
        "word 10 is not in the word list; did you mean virtuous?",
    ),
    (
        "abacus goldfishes thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 2 is not in the word list; did you mean goldfish?",
    ),
    (
        "abacus goldfish 3. thimbel overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 3 is not in the word list; did you mean thimble?",
    ),
    (
        "abacusgoldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 1 is not in the word list",
    ),
    (
        "abacus goldfish thimble over remnant lubricant scorpion dwindle pancake virtuous",
        "word 4 is too short to be clear: it could be overact, overall, overarch",
    ),
    (
        "aba goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 1 is too short to be clear: it could be abacus",
    ),
    (
        "äbacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 1 is not in the word list; did you mean abacus?",
    ),
    (
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake drop",
        "word 10 is too short to be clear: it could be drop-down, dropbox, dropkick",
    ),
    (
        "аbacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous",
        "word 1 is not in the word list; did you mean abacus?",
    ),
    (
        "goldfish abacus thimble overcast remnant lubricant scorpion dwindle pancake virtuous CHECK",
        "the check characters do not fit the ten words: compare each word with the sheet, one is probably another word of the list",
    ),
    (
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtual CHECK",
        "the check characters do not fit the ten words: compare each word with the sheet, one is probably another word of the list",
    ),
];

#[test]
fn refusals() {
    let check = RecoveryCode::parse(CODE).unwrap().check_characters();
    for (text, message) in REFUSALS {
        let err = RecoveryCode::parse(&text.replace("CHECK", &check)).unwrap_err();
        assert_eq!(err.to_string(), *message, "{text}");
    }
    let long = format!("{CODE} ").repeat(100);
    assert_eq!(RecoveryCode::parse(&long).unwrap_err(), CodeError::TooLong);
}

#[test]
fn every_word_of_the_list_and_every_clear_beginning_is_read() {
    let list = include_str!("../data/eff_large_wordlist.txt");
    let words: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let nine = "abacus ".repeat(9);
    for word in &words {
        let read = RecoveryCode::parse(&format!("{nine}{word}")).unwrap();
        assert_eq!(read.words().last(), Some(*word));
    }
    let beginning = |word: &str| word.get(..4).unwrap_or(word).to_owned();
    let clear = |word: &&&str| {
        words
            .iter()
            .filter(|other| other.starts_with(&beginning(word)))
            .count()
            == 1
    };
    let mut count = 0;
    for word in words.iter().filter(clear) {
        let text = format!("{nine}{}", beginning(word));
        let read = RecoveryCode::parse(&text).unwrap_or_else(|err| panic!("{word}: {err}"));
        assert_eq!(read.words().last(), Some(*word));
        count += 1;
    }
    assert_eq!(count, 2274);
}
