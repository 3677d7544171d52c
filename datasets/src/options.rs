//! How the images of a set are read.

use crate::Error;

const MAX_SIDE: usize = 4096;

/// The shape that every image of a folder set is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFolderOptions {
    /// Height in pixels, 1 to 4096.
    pub height: usize,
    /// Width in pixels, 1 to 4096.
    pub width: usize,
    /// 1 for gray (ITU-R BT.709 luma) or 3 for red, green and blue.
    pub channels: usize,
}

/// How the images of a set are read: the shape they are brought to, and what becomes of those that
/// cannot be read.
///
/// Every loader takes one, or the shape alone, with which a bad image is an error.
///
/// ```
/// use fullrank_datasets::image_folder::{ImageFolderOptions, LoadOptions};
///
/// let shape = ImageFolderOptions { height: 64, width: 64, channels: 3 };
/// let options: LoadOptions = shape.skipping_bad_images();
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The shape of the images.
    pub shape: ImageFolderOptions,
    /// Whether images that cannot be read or decoded are left out, and listed by
    /// [`ImageSet::skipped`](crate::ImageSet::skipped), in place of an error. Default: `false`
    pub skip_bad_images: bool,
}

impl From<ImageFolderOptions> for LoadOptions {
    fn from(shape: ImageFolderOptions) -> Self {
        Self {
            shape,
            skip_bad_images: false,
        }
    }
}

impl ImageFolderOptions {
    /// These images, without those that cannot be read, of which [`ImageSet::skipped`](crate::ImageSet::skipped) then tells.
    #[must_use]
    pub fn skipping_bad_images(self) -> LoadOptions {
        LoadOptions {
            shape: self,
            skip_bad_images: true,
        }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        for (name, side) in [("height", self.height), ("width", self.width)] {
            if !(1..=MAX_SIDE).contains(&side) {
                let problem = format!("{name} is {side}, not 1 to {MAX_SIDE}");
                return Err(Error::Options { problem });
            }
        }
        if ![1, 3].contains(&self.channels) {
            let problem = format!("channels is {}, not 1 or 3", self.channels);
            return Err(Error::Options { problem });
        }
        Ok(())
    }
}
