use plotters::style::RGBColor;

/// The colors of Okabe and Ito (2008) that keep their contrast on white, strongest first.
pub(super) const OKABE_ITO: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

/// What a name outside the palette gets: baselines.
pub(super) const BASELINE: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// The color of each method, the same in every plot.
///
/// The methods take the colors of Okabe and Ito (readable with color-blind eyes) in the order
/// given: blue, vermilion, green, purple, orange, sky blue, black, and again from blue. A name that
/// is not among them is a baseline and drawn in gray.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    methods: Vec<String>,
}

impl Palette {
    /// A palette for `methods`, in this order.
    pub fn new<I>(methods: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self {
            methods: methods.into_iter().map(Into::into).collect(),
        }
    }

    pub(super) fn color(&self, name: &str) -> RGBColor {
        self.methods
            .iter()
            .position(|method| method == name)
            .map_or(BASELINE, |index| OKABE_ITO[index % OKABE_ITO.len()])
    }
}

/// `color` mixed with white, for the second bar of a method.
pub(super) fn tint(color: RGBColor, share_of_color: f64) -> RGBColor {
    let mix = |c: u8| (255.0 - (255.0 - f64::from(c)) * share_of_color).round() as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}
