//! Paper, there and back: printed by a browser, scanned askew and with noise, imported.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::imageops::FilterType;
use image::{GrayImage, Luma};

const KIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/cmd/kit.in/backup1.escrow-kit.json"
);
const BLOB: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/vectors/keys/live.escrow-by-client.enc"
);
const CHROMIUM: &str = "/usr/bin/chromium";
/// Pixels of A4 at 150 dpi.
const WIDTH: u32 = 1240;
const HEIGHT: u32 = 1754;

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pve-escrow-rescue"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn succeed(directory: &Path, arguments: &[&str]) {
    let output = run(directory, arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
}

fn chromium(directory: &Path) -> Command {
    let mut command = Command::new(CHROMIUM);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .arg(format!(
            "--user-data-dir={}",
            directory.join("profile").display()
        ));
    command
}

/// One page of A4 as a browser shows it, at 300 dpi.
fn screenshot(directory: &Path, page: &str) -> GrayImage {
    let output = chromium(directory)
        .arg("--hide-scrollbars")
        .arg("--force-device-scale-factor=3.125")
        .arg("--window-size=794,1123")
        .arg(format!(
            "--screenshot={}",
            directory.join("page.png").display()
        ))
        .arg(format!("file://{}", directory.join(page).display()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    image::open(directory.join("page.png"))
        .unwrap()
        .into_luma8()
}

/// Turned by some degrees at 150 dpi, grey where it was black or white, and with noise.
fn scanned(page: &GrayImage, degrees: f64) -> GrayImage {
    let page = image::imageops::resize(page, WIDTH, HEIGHT, FilterType::Triangle);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x0, y0) = (f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
    let mut seed = 0x5eed_u32;
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (dx, dy) = (f64::from(x) - x0, f64::from(y) - y0);
        let (fx, fy) = (x0 + dx * cos + dy * sin, y0 - dx * sin + dy * cos);
        let at = |x: f64, y: f64| match (0.0..f64::from(WIDTH)).contains(&x)
            && (0.0..f64::from(HEIGHT)).contains(&y)
        {
            true => f64::from(page.get_pixel(x as u32, y as u32).0[0]),
            false => 255.0,
        };
        let (wx, wy) = (fx - fx.floor(), fy - fy.floor());
        let above = at(fx, fy) * (1.0 - wx) + at(fx + 1.0, fy) * wx;
        let below = at(fx, fy + 1.0) * (1.0 - wx) + at(fx + 1.0, fy + 1.0) * wx;
        let grey = 40.0 + (above * (1.0 - wy) + below * wy) * 0.75;
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(seed >> 24) / 255.0 * 60.0 - 30.0;
        Luma([(grey + noise).clamp(0.0, 255.0) as u8])
    })
}

#[test]
fn print_scan_import_gives_the_same_bytes() {
    if !Path::new(CHROMIUM).exists() {
        println!("skipped: there is no {CHROMIUM} to render the page");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    succeed(
        here,
        &["paper", KIT, "--format", "html", "--out", "kit.html"],
    );
    let page = screenshot(here, "kit.html");
    let scan = scanned(&page, 3.0);
    scan.save(here.join("scan.png")).unwrap();

    scan.save(here.join("scan.jpg")).unwrap();
    for picture in ["scan.png", "scan.jpg"] {
        let out = format!("{picture}.kit");
        succeed(here, &["import", picture, "--out", &out]);
        assert_eq!(fs::read(here.join(out)).unwrap(), fs::read(KIT).unwrap());
    }

    // two photographs, each of a part of the sheet
    let half = |from: u32, to: u32| {
        let mut part = scan.clone();
        for (x, _, pixel) in part.enumerate_pixels_mut() {
            if !(from..to).contains(&x) {
                *pixel = Luma([255]);
            }
        }
        part
    };
    let middle = WIDTH / 2;
    half(0, middle).save(here.join("left.png")).unwrap();
    half(middle / 2, WIDTH)
        .save(here.join("right.png"))
        .unwrap();
    let missing = run(here, &["import", "left.png", "--out", "left.kit"]);
    assert_eq!(missing.status.code(), Some(5));
    let text = String::from_utf8_lossy(&missing.stderr);
    assert!(
        text.contains("QR codes these are missing or can't be read: "),
        "{text}"
    );
    assert!(!here.join("left.kit").exists());
    succeed(
        here,
        &["import", "left.png", "right.png", "--out", "both.kit"],
    );
    assert_eq!(
        fs::read(here.join("both.kit")).unwrap(),
        fs::read(KIT).unwrap()
    );
}

/// How many pages a browser makes of it, without any settings.
fn pages(directory: &Path, page: &str) -> usize {
    let pdf = directory.join("page.pdf");
    let output = chromium(directory)
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", directory.join(page).display()))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let pdf = fs::read(pdf).unwrap();
    pdf.split(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"/Type /Page"))
        .count()
}

#[test]
fn a_browser_makes_pages_of_a4_and_of_letter() {
    if !Path::new(CHROMIUM).exists() {
        println!("skipped: there is no {CHROMIUM} to render the page");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let code = KIT.replace("backup1.escrow-kit.json", "code");
    for (title, sheet, expected) in [
        ("kit", vec![KIT], 3),
        ("blob", vec![BLOB], 2),
        ("words", vec![KIT, "--code-in", &code], 1),
    ] {
        let page = format!("{title}.html");
        let format = ["paper", "--format", "pdf-ready", "--out", &page];
        succeed(here, &[&format[..], &sheet].concat());
        assert_eq!(pages(here, &page), expected, "{title}");

        let a4 = fs::read_to_string(here.join(&page)).unwrap();
        let letter = a4.replace(
            "size: A4; margin: 14mm 14mm 32mm",
            "size: letter; margin: 14mm",
        );
        assert_ne!(a4, letter);
        fs::write(here.join("letter.html"), letter).unwrap();
        assert_eq!(pages(here, "letter.html"), expected, "{title} on US Letter");
    }
}

#[test]
fn pictures_that_are_none_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    GrayImage::from_pixel(300, 300, Luma([200]))
        .save(here.join("empty.png"))
        .unwrap();
    fs::write(
        here.join("cut.png"),
        &fs::read(here.join("empty.png")).unwrap()[..40],
    )
    .unwrap();
    for (picture, text) in [
        ("empty.png", "no QR code of a sheet can be read"),
        ("cut.png", "cut.png is damaged"),
    ] {
        let output = run(here, &["import", picture, "--out", "kit"]);
        assert_eq!(output.status.code(), Some(5));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(text), "{said}");
        assert!(!here.join("kit").exists());
    }
}
