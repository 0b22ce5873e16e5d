//! QR codes in pictures: scans, and photographs.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageFormat, ImageReader, Limits};
use pve_escrow::{Error, Result};
use zeroize::Zeroizing;

/// What a picture may take in memory: enough for a sheet at 600 dpi.
const MAX_MEMORY: u64 = 512 << 20;
const MAX_SIDE: u32 = 20_000;

/// Do these bytes begin as a picture does?
pub fn is_one(bytes: &[u8]) -> bool {
    image::guess_format(bytes).is_ok()
}

/// A picture, seen in one way after the other.
pub struct Picture(GrayImage);

impl Picture {
    /// Decodes a picture that messages call `what`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn new(bytes: &[u8], what: &str) -> Result<Self> {
        load(bytes, what).map(Self)
    }

    /// The texts of QR codes, for as long as somebody asks for more; the same may come several times.
    ///
    /// Noise hides some codes at full size, and blurring hides others: what one view does not show, another may. Of many
    /// codes side by side the decoder takes corners together that are of different ones: then it sees a part at a time.
    pub fn codes(&self) -> impl Iterator<Item = Zeroizing<String>> {
        let views = VIEWS.iter().map(|(blur, scale)| self.view(*blur, *scale));
        let windows = WINDOWS.iter().flat_map(|(blur, share)| {
            let view = self.view(*blur, 1.0);
            places(&view, *share)
                .map(move |[x, y, side]| imageops::crop_imm(&view, x, y, side, side).to_image())
        });
        views.chain(windows).flat_map(|picture| decode(&picture))
    }

    fn view(&self, blur: f32, scale: f32) -> GrayImage {
        let scaled = |side: u32| ((side as f32 * scale) as u32).clamp(1, MAX_SIDE);
        let (width, height) = (scaled(self.0.width()), scaled(self.0.height()));
        let blurred = match blur > 0.0 {
            true => imageops::fast_blur(&self.0, blur),
            false => self.0.clone(),
        };
        match (width, height) == blurred.dimensions() {
            true => blurred,
            false => imageops::resize(&blurred, width, height, FilterType::Triangle),
        }
    }
}

/// How far to blur the whole, in pixels, and how much to enlarge it then.
const VIEWS: [(f32, f32); 3] = [(1.0, 1.0), (0.0, 1.0), (0.0, 0.5)];
/// How far to blur, and the side of a part as a share of the shorter side of the whole.
const WINDOWS: [(f32, f32); 4] = [(1.0, 0.36), (0.0, 0.36), (1.0, 0.5), (1.0, 0.25)];

/// Squares that overlap so far that a code which fills two thirds of one is wholly in one.
fn places(picture: &GrayImage, share: f32) -> impl Iterator<Item = [u32; 3]> + use<> {
    let (width, height) = picture.dimensions();
    let side = ((width.min(height) as f32 * share) as u32).max(1);
    let step = side.div_ceil(5) as usize;
    let starts = move |whole: u32| (0..whole.saturating_sub(side) + step as u32).step_by(step);
    starts(height).flat_map(move |y| starts(width).map(move |x| [x, y, side]))
}

fn decode(picture: &GrayImage) -> Vec<Zeroizing<String>> {
    let (width, height) = picture.dimensions();
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(width as usize, height as usize, |x, y| {
            picture.get_pixel(x as u32, y as u32).0[0]
        });
    prepared
        .detect_grids()
        .iter()
        .filter_map(|grid| grid.decode().ok())
        .map(|(_, text)| Zeroizing::new(text))
        .collect()
}

fn load(bytes: &[u8], what: &str) -> Result<GrayImage> {
    let damaged = |why: String| Error::Damaged {
        what: what.to_owned(),
        why,
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|err| damaged(err.to_string()))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(damaged("of pictures only PNG and JPEG are read".to_owned()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let picture = reader.decode().map_err(|err| damaged(err.to_string()))?;
    Ok(picture.into_luma8())
}
