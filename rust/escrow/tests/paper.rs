//! Kits on paper: every typing error is found in its line, and what was printed comes back byte for byte.

use pve_escrow::ops::document::{self, Print};
use pve_escrow::paper::lines::{self, from_text, in_text};
use pve_escrow::paper::qr::{self, Parts};
use pve_escrow::paper::{
    CodeSheet, Format, KitSheet, LineError, LineReader, Sheet, is_sheet, paperkey, to_lines,
};
use pve_escrow::{Error, Fingerprint, RecoveryCode};

const KIT: &[u8] = include_bytes!("../../rescue/tests/cmd/kit.in/backup1.escrow-kit.json");
const BLOB: &[u8] = include_bytes!("../../../tests/vectors/keys/live.escrow-by-client.enc");
const LETTERS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Numbers that look like chance, and are the same in each run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn read_all<'a>(lines: impl IntoIterator<Item = &'a str>) -> LineReader {
    let mut reader = LineReader::default();
    for line in lines {
        reader.read(line).unwrap();
    }
    reader
}

fn line_of(err: &LineError) -> u16 {
    match err {
        LineError::Character { line, .. }
        | LineError::Length { line, .. }
        | LineError::Checksum { line }
        | LineError::Number { line }
        | LineError::Again { line, .. }
        | LineError::Differs { line }
        | LineError::AfterLast { line, .. } => *line,
    }
}

#[test]
fn lines_give_the_same_bytes() {
    for bytes in [KIT, BLOB, b"", b"x", &[0; 5000]] {
        let lines = to_lines(bytes).unwrap();
        let reader = read_all(lines.iter().map(String::as_str));
        assert!(reader.is_complete());
        assert_eq!(reader.finish("sheet").unwrap(), bytes);
    }
}

#[test]
fn people_type_as_they_like() {
    let lines = to_lines(KIT).unwrap();
    let sloppy = |line: &String| {
        let (_, symbols) = line.split_once(": ").unwrap();
        symbols
            .to_lowercase()
            .replace(' ', "")
            .replace('0', "o")
            .replacen('1', "l", 1)
            .replace('1', "I")
    };
    let typed: Vec<String> = lines.iter().map(sloppy).collect();
    let reader = read_all(typed.iter().map(String::as_str));
    assert_eq!(reader.finish("sheet").unwrap(), KIT);

    // with numbers, the order does not matter, nor what was typed twice
    let backwards = lines.iter().rev().chain(&lines[3..6]).map(String::as_str);
    assert_eq!(read_all(backwards).finish("sheet").unwrap(), KIT);
}

/// One character in place of another, one too many, one too few, two neighbours the other way round.
fn typo(line: &str, chance: &mut Chance) -> String {
    let mut typed: Vec<u8> = line.into();
    loop {
        let at = chance.below(typed.len());
        let letter = LETTERS[chance.below(LETTERS.len())];
        match chance.below(6) {
            0 => typed.insert(at, letter),
            1 => {
                typed.remove(at);
            }
            2 if at > 0 => typed.swap(at - 1, at),
            _ => typed[at] = letter,
        }
        let typo = String::from_utf8(typed.clone()).unwrap();
        // blanks don't count
        if typo.replace(' ', "") != line.replace(' ', "") {
            return typo;
        }
        typed = line.into();
    }
}

#[test]
fn two_hundred_typos_are_all_named_by_line() {
    let lines = to_lines(KIT).unwrap();
    let mut chance = Chance(0x5eed_0f1e_77e5);
    let mut harmless = 0;
    for _ in 0..200 {
        let wrong = chance.below(lines.len());
        let mut reader = read_all(lines[..wrong].iter().map(String::as_str));
        let typed = typo(&lines[wrong], &mut chance);
        match reader.read(&typed) {
            Err(err) => {
                assert_eq!(usize::from(line_of(&err)), wrong + 1, "{typed}: {err}");
                assert!(err.to_string().contains(&format!("line {} ", wrong + 1)));
            }
            // a number is not needed: without its digits or its colon a line can still be read, and is right
            Ok(number) => {
                harmless += 1;
                assert_eq!(usize::from(number), wrong + 1, "{typed}");
            }
        }
        // it can be typed again at once
        for line in &lines[wrong..] {
            reader.read(line).unwrap();
        }
        assert_eq!(reader.finish("sheet").unwrap(), KIT);
    }
    assert_eq!(harmless, 0);
}

#[test]
fn every_wrong_character_is_found() {
    let lines = to_lines(BLOB).unwrap();
    for (at, line) in lines.iter().enumerate() {
        let mut reader = read_all(lines[..at].iter().map(String::as_str));
        for (place, right) in line.bytes().enumerate() {
            for letter in LETTERS.iter().filter(|letter| **letter != right) {
                let mut typed: Vec<u8> = line.as_str().into();
                typed[place] = *letter;
                if right == b' ' {
                    continue;
                }
                let typed = String::from_utf8(typed).unwrap();
                let err = reader.read(&typed).unwrap_err();
                assert_eq!(usize::from(line_of(&err)), at + 1, "{typed}");
            }
        }
    }
}

#[test]
fn swapped_missing_and_doubled_lines_are_named() {
    let lines = to_lines(KIT).unwrap();
    let bare: Vec<&str> = lines
        .iter()
        .map(|l| l.split_once(": ").unwrap().1)
        .collect();
    let text = |order: &[usize]| {
        let mut typed = bare.clone();
        for (place, from) in order.iter().enumerate() {
            typed[place] = bare[*from];
        }
        from_text(&typed.join("\n"), "sheet")
            .unwrap_err()
            .to_string()
    };
    let swapped = text(&[0, 2, 1]);
    assert!(swapped.contains("line 2 is wrong") && swapped.contains("line 3 is wrong"));
    assert!(text(&[0, 1, 1]).contains("line 3 is wrong: this is line 2 once more"));

    let swapped_numbers = lines
        .join("\n")
        .replace("\n2: ", "\nX: ")
        .replace("\n3: ", "\n2: ");
    let err = from_text(&swapped_numbers.replace("\nX: ", "\n3: "), "sheet").unwrap_err();
    assert!(
        err.to_string()
            .contains("line 2 is wrong: it has another number"),
        "{err}"
    );

    for missing in 0..lines.len() {
        let rest: Vec<&str> = (0..lines.len())
            .filter(|at| *at != missing)
            .map(|at| lines[at].as_str())
            .collect();
        let err = from_text(&rest.join("\n"), "sheet")
            .unwrap_err()
            .to_string();
        assert!(
            err.contains(&format!("missing: line {}", missing + 1)),
            "{err}"
        );
    }
    assert!(
        from_text("", "sheet")
            .unwrap_err()
            .to_string()
            .contains("missing: line 1 and")
    );
}

#[test]
fn lines_of_another_sheet_are_found() {
    let (lines, others) = (to_lines(KIT).unwrap(), to_lines(BLOB).unwrap());
    let mut mixed = lines.clone();
    mixed[4] = others[4].clone();
    let err = from_text(&mixed.join("\n"), "sheet").unwrap_err();
    assert!(
        err.to_string().contains("not all are from the same sheet"),
        "{err}"
    );
    mixed = lines;
    mixed.push(others[1].clone());
    let err = from_text(&mixed.join("\n"), "sheet").unwrap_err();
    assert!(err.to_string().contains("line 2 is there twice"), "{err}");
}

#[test]
fn hostile_lines_are_refused() {
    for text in [
        "\u{0}",
        "é: ü",
        "99999999999: 0",
        ":::::",
        "1: \u{202e}0000",
        "0: 0000",
    ] {
        assert!(
            matches!(from_text(text, "x"), Err(Error::Damaged { .. })),
            "{text}"
        );
    }
    let large = vec![7; 300_000];
    let lines = to_lines(&large).unwrap();
    assert!(
        from_text(&lines.join("\n"), "x").is_err(),
        "more than a kit can have"
    );
    let mut chance = Chance(77);
    let noise: Vec<u8> = (0..40_000).map(|_| chance.below(256) as u8).collect();
    assert!(matches!(to_lines(&noise), Err(Error::Refused(_))));
}

#[test]
fn a_printed_text_reads_back() {
    for bytes in [KIT, BLOB] {
        let sheet = KitSheet::new(bytes, "kit").unwrap();
        for format in [Format::Text, Format::Html] {
            let printed = sheet.print(format).unwrap();
            assert_eq!(from_text(&printed, "sheet").unwrap(), bytes);
        }
        assert_eq!(
            in_text(&sheet.print(Format::Text).unwrap()),
            to_lines(bytes).unwrap()
        );
    }
}

#[test]
fn a_sheet_says_where_the_backups_are_and_is_no_markup() {
    let kit = String::from_utf8(KIT.into()).unwrap();
    let server = "<script>alert(1)</script>\u{1b}[2J";
    let mut kit: serde_json::Value = serde_json::from_str(&kit).unwrap();
    kit["connection"] = serde_json::json!({
        "server": server, "datastore": "store1", "username": "root@pam!pve", "port": 8008,
    });
    let print = |format| {
        document::paper(&Print {
            text: kit.to_string(),
            format,
        })
        .unwrap()
        .text
    };
    let html = print(Format::Html);
    assert!(!html.contains("<script"));
    assert!(
        html.contains("root@pam!pve@&lt;script&gt;alert(1)&lt;/script&gt;?[2J:8008:store1"),
        "{html}"
    );
    assert!(html.contains(kit["fingerprint"].as_str().unwrap()));
    assert!(!print(Format::Text).contains('\u{1b}'));
}

/// The groups belong to the token, and its secret may be lost with the cluster.
#[test]
fn the_sheet_of_a_kit_says_how_a_token_gets_a_new_secret() {
    for format in [Format::Text, Format::Html] {
        let print = |bytes| KitSheet::new(bytes, "it").unwrap().print(format).unwrap();
        assert!(print(KIT).contains("user delete-token, then generate-token"));
        assert!(!print(BLOB).contains("token"), "it names no server");
    }
}

#[test]
fn a_key_without_protection_is_not_printed() {
    let live = include_bytes!("../../../tests/vectors/keys/live.enc");
    assert!(matches!(
        KitSheet::new(live, "live.enc"),
        Err(Error::Refused(_))
    ));
}

#[test]
fn codes_go_together_in_any_order() {
    let lines = to_lines(KIT).unwrap();
    let texts = qr::parts(&lines);
    let mut parts = Parts::default();
    for text in texts.iter().rev() {
        assert!(text.len() <= 221, "what a QR code of 49 modules holds");
        let err = parts.finish("scan");
        assert!(err.is_err());
        parts.add(text).unwrap();
    }
    assert_eq!(parts.finish("scan").unwrap(), KIT);
    // what a phone has read can be pasted
    assert_eq!(from_text(&texts.join("\n"), "text").unwrap(), KIT);

    let mut parts = Parts::default();
    texts
        .iter()
        .skip(1)
        .for_each(|text| parts.add(text).unwrap());
    let err = parts.finish("scan").unwrap_err().to_string();
    assert!(err.contains("missing or can't be read: 1"), "{err}");
    assert!(parts.add(&qr::parts(&to_lines(BLOB).unwrap())[0]).is_err());
    assert!(parts.add("PVE-ESCROW 0/0 X+").is_err());
    assert!(parts.add("PVE-ESCROW 1/999999999 X+").is_err());
}

#[test]
fn sheets_of_the_stock_client() {
    let live = "03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b";
    let text = include_str!("../../../tests/vectors/paperkey/live.txt");
    for sheet in [
        text,
        include_str!("../../../tests/vectors/paperkey/live.html"),
    ] {
        assert!(paperkey::is_sheet(sheet));
        let key = paperkey::read(sheet, "sheet").unwrap().open(None).unwrap();
        assert_eq!(Fingerprint::of(&key).to_string(), live);
    }
    let scrypt = include_str!("../../../tests/vectors/paperkey/scrypt.txt");
    assert!(paperkey::read(scrypt, "sheet").unwrap().is_protected());

    let mistyped = text.replace("H/IapWL85", "H/IapWL8S");
    assert_ne!(mistyped, text);
    assert!(matches!(
        paperkey::read(&mistyped, "sheet"),
        Err(Error::Damaged { .. })
    ));
    let (cut, _) = text.split_once("-----END").unwrap();
    assert!(paperkey::read(cut, "sheet").is_err());
    assert!(paperkey::read(&text.repeat(2), "sheet").is_err());
    assert!(!paperkey::is_sheet(lines::BEGIN));
}

#[test]
fn a_sheet_is_told_from_what_is_none() {
    let text = KitSheet::new(KIT, "kit")
        .unwrap()
        .print(Format::Text)
        .unwrap();
    let lines = to_lines(KIT).unwrap();
    let mistyped = lines.join("\n").replacen("1: ", "1: X", 1);
    for (text, right) in [
        (&*text, true),
        (&lines.join("\n"), true),
        (&mistyped, false),
        (&format!("{}\n", qr::parts(&lines).join("\n")), true),
    ] {
        assert!(is_sheet(text), "{text}");
        let read = Sheet::read(text, "sheet");
        assert_eq!(read.is_ok(), right, "{read:?}");
        if let Ok(sheet) = read {
            assert!(matches!(sheet, Sheet::Kit(_)));
            assert_eq!(sheet.into_content().as_slice(), KIT);
        }
    }
    let key = include_str!("../../../tests/vectors/paperkey/live.html");
    assert!(is_sheet(key));
    assert!(matches!(Sheet::read(key, "sheet").unwrap(), Sheet::Key(_)));
    // "key paperkey" of the client, with the private half of a master key
    let master = " 0: -----BEGIN ENCRYPTED PRIVATE KEY-----\n 1: MIIJrTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIoRqHCWSc68QCAggA\n";
    let refused = Sheet::read(master, "sheet").unwrap_err().to_string();
    assert!(refused.contains("sheet of a master key"), "{refused}");
    for none in [KIT, BLOB, b"", b"\n\n", b"1: 2: 3:"] {
        assert!(!is_sheet(std::str::from_utf8(none).unwrap()));
    }
    // lines of something else
    let text = to_lines(b"hello").unwrap().join("\n");
    assert!(is_sheet(&text) && Sheet::read(&text, "sheet").is_err());
}

#[test]
fn the_sheet_of_the_words_holds_no_key_and_is_not_repeated() {
    let words =
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous";
    let sheet = CodeSheet {
        code: &RecoveryCode::parse(words).unwrap(),
        fingerprint: None,
        place: None,
    };
    for format in [Format::Text, Format::Html] {
        let text = sheet.print(format);
        assert!(is_sheet(&text));
        let err = Sheet::read(&text, "page").unwrap_err().to_string();
        assert!(err.contains("page is the sheet of the ten words"), "{err}");
        assert!(words.split(' ').all(|word| !err.contains(word)), "{err}");
    }
}

/// Whatever is in a kit, its sheet is read as what it is.
#[test]
fn no_kit_forges_the_marks_of_a_sheet() {
    let mut kit: serde_json::Value = serde_json::from_slice(KIT).unwrap();
    kit["program"] = "Recovery Code of a Backup Encryption Key".into();
    kit["connection"] = serde_json::json!({
        "server": format!("{} {}", lines::END, lines::BEGIN),
        "datastore": "-----BEGIN PROXMOX BACKUP KEY-----",
        "username": "-----END PROXMOX BACKUP KEY-----",
    });
    let kit = kit.to_string();
    let sheet = KitSheet::new(kit.as_bytes(), "kit").unwrap();
    for format in [Format::Text, Format::Html] {
        let printed = sheet.print(format).unwrap();
        let read = Sheet::read(&printed, "sheet").unwrap();
        assert!(matches!(read, Sheet::Kit(_)));
        assert_eq!(read.into_content().as_slice(), kit.as_bytes());
    }
}

#[test]
fn what_is_missing_fits_on_a_screen() {
    let mut chance = Chance(7);
    let noise: Vec<u8> = (0..8_000).map(|_| chance.below(256) as u8).collect();
    let lines = to_lines(&noise).unwrap();
    assert!(lines.len() > 300);
    let err = from_text(&lines[lines.len() - 1], "sheet").unwrap_err();
    let text = err.to_string();
    assert!(
        text.contains("missing: line 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and "),
        "{text}"
    );
    assert!(text.len() < 200, "{text}");
}

/// The same symbol, as people write it.
fn looks_like(one: u8, other: u8) -> bool {
    let plain = |letter: u8| match letter.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        letter => letter,
    };
    plain(one) == plain(other)
}

/// Somebody copies the sheet of a kit, whose text is mostly base64, and hits another key once.
#[test]
fn two_hundred_typos_in_a_whole_sheet_are_all_named_by_line() {
    let kit: serde_json::Value = serde_json::from_slice(KIT).unwrap();
    let blobs = kit["seals"].as_array().unwrap().iter();
    let base64: usize = blobs
        .map(|seal| serde_json::from_str(seal["blob"].as_str().unwrap()).unwrap())
        .map(|blob: serde_json::Value| blob["data"].as_str().unwrap().len())
        .sum();
    assert!(base64 > 150, "there are sealed keys in it");
    let sheet = KitSheet::new(KIT, "kit")
        .unwrap()
        .print(Format::Text)
        .unwrap();
    let lines = in_text(&sheet);
    let mut chance = Chance(0xba5e_6400_0000_0001);
    let mut typos = 0;
    while typos < 200 {
        let wrong = chance.below(lines.len());
        let mut typed: Vec<u8> = lines[wrong].into();
        let at = chance.below(typed.len());
        let key = b'!' + chance.below(94) as u8;
        if typed[at] == b' ' || looks_like(typed[at], key) {
            continue;
        }
        typos += 1;
        typed[at] = key;
        let typed = String::from_utf8(typed).unwrap();
        let text = sheet.replacen(lines[wrong], &typed, 1);
        let err = Sheet::read(&text, "sheet").unwrap_err().to_string();
        assert!(
            err.contains(&format!("line {} ", wrong + 1)),
            "{typed}: {err}"
        );
    }
}
