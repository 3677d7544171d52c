//! The range of an axis, its ticks and their labels.

/// One axis of a panel.
pub(super) struct Axis {
    min: f64,
    max: f64,
    log: bool,
    /// Where (as [`Axis::place`] has it) and what.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis that ends at ticks and holds all `values`; it starts at zero where zero is near.
    pub(super) fn rounded(values: impl Iterator<Item = f64>, intervals: usize) -> Self {
        let (mut min, mut max) = range(values);
        if min > 0.0 && min < 0.4 * max {
            min = 0.0;
        }
        if max < 0.0 && max > 0.4 * min {
            max = 0.0;
        }
        let step = nice_step(max - min, intervals);
        Self::linear(
            (min / step + 1e-6).floor() * step,
            (max / step - 1e-6).ceil() * step,
            step,
        )
    }

    /// An axis that ends where `values` end.
    pub(super) fn exact(values: impl Iterator<Item = f64>, intervals: usize) -> Self {
        let (min, max) = range(values);
        Self::linear(min, max, nice_step(max - min, intervals))
    }

    /// An axis that starts at `min`, whatever the `values`, and holds those above it.
    pub(super) fn from_min(min: f64, values: impl Iterator<Item = f64>, intervals: usize) -> Self {
        let (_, max) = range(values.filter(|&value| value > min).chain([min]));
        let step = nice_step(max - min, intervals);
        Self::linear(min, min + ((max - min) / step - 1e-6).ceil() * step, step)
    }

    /// An axis for the indices 1 to `count`.
    pub(super) fn indices(count: usize, intervals: usize) -> Self {
        let count = count.max(2) as f64;
        let step = nice_step(count - 1.0, intervals).max(1.0);
        let mut axis = Self::linear(1.0 - 0.02 * count, count * 1.01, step);
        axis.ticks = vec![(axis.place(1.0), "1".into())];
        let mut index = if step > 1.0 { step } else { 2.0 };
        while index <= count {
            axis.ticks.push((axis.place(index), label(index, step)));
            index += step;
        }
        axis
    }

    /// A base-10 logarithmic axis from `floor` to `top`, both above zero. `open` says that values
    /// below the floor are drawn there.
    pub(super) fn log(floor: f64, top: f64, open: bool) -> Self {
        let (min, max) = (floor.log10(), top.log10() + 0.08);
        let mut axis = Self {
            min,
            max,
            log: true,
            ticks: vec![],
        };
        let within_decade: &[u8] = if max - min < 2.5 { &[1, 2, 5] } else { &[1] };
        for exponent in (min + 1e-9).floor() as i32..=max.floor() as i32 {
            for &factor in within_decade {
                let at = f64::from(exponent) + f64::from(factor).log10();
                if (min - 1e-9..=max).contains(&at) {
                    axis.ticks
                        .push((axis.share(at), log_label(factor, exponent)));
                }
            }
        }
        if let Some((_, text)) = axis.ticks.first_mut().filter(|_| open) {
            text.insert(0, '≤');
        }
        axis
    }

    fn linear(min: f64, max: f64, step: f64) -> Self {
        let mut axis = Self {
            min,
            max,
            log: false,
            ticks: vec![],
        };
        let first = (min / step - 1e-6).ceil();
        let count = ((max / step + 1e-6).floor() - first).clamp(0.0, 50.0) as usize;
        for k in 0..=count {
            let value = (first + k as f64) * step;
            axis.ticks.push((axis.place(value), label(value, step)));
        }
        axis
    }

    /// Where a value lies: 0 at the start of the axis, 1 at its end. Values beyond an end of the
    /// axis are drawn at that end.
    pub(super) fn place(&self, value: f64) -> f64 {
        // `max` also takes the logarithms that are not there, of zero and below.
        self.share(if self.log {
            value.log10().max(self.min)
        } else {
            value
        })
    }

    fn share(&self, value: f64) -> f64 {
        ((value - self.min) / (self.max - self.min)).clamp(0.0, 1.0)
    }

    pub(super) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }
}

/// The least and greatest of `values`, apart even where the values are not, and (0, 1) for none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (min, max) = values
        .filter(|&value| super::drawable(value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| {
            (min.min(v), max.max(v))
        });
    let magnitude = min.abs().max(max.abs());
    if min > max || magnitude < 1e-100 {
        (0.0, 1.0)
    } else if max - min <= 1e-9 * magnitude {
        (min - 0.5 * magnitude, max + 0.5 * magnitude)
    } else {
        (min, max)
    }
}

/// The step of 1, 2, 2.5 or 5 times a power of ten that cuts `span` into at most `intervals`.
fn nice_step(span: f64, intervals: usize) -> f64 {
    let rough = span / intervals.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|f| f * power >= rough * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A tick's value, with the decimals its step needs.
fn label(value: f64, step: f64) -> String {
    let value = if value.abs() < step * 1e-6 {
        0.0
    } else {
        value
    };
    let decimals = |step: f64| (0..=4).find(|&d| is_whole(step * 10_f64.powi(d)));
    match step {
        _ if value == 0.0 => "0".into(),
        _ if value.abs() >= 1e9 => format!("{value:.3e}"),
        _ if step >= 1e6 => format!("{}M", value / 1e6),
        _ if step >= 1e3 => format!("{}k", value / 1e3),
        _ => match decimals(step) {
            Some(d) => format!("{value:.0$}", d as usize),
            None => format!("{value:.1e}"),
        },
    }
    .replace('-', "\u{2212}")
}

fn is_whole(value: f64) -> bool {
    value >= 0.5 && (value - value.round()).abs() < 1e-6
}

/// `factor` times ten to the `exponent`.
fn log_label(factor: u8, exponent: i32) -> String {
    let places = exponent.unsigned_abs() as usize;
    match exponent {
        0..=3 => format!("{}", i32::from(factor) * 10_i32.pow(exponent as u32)),
        -2..=-1 => format!("{:.places$}", f64::from(factor) * 10_f64.powi(exponent)),
        _ if factor == 1 => format!("10{}", superscript(exponent)),
        _ => format!("{factor}·10{}", superscript(exponent)),
    }
}

fn superscript(exponent: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + digit as u32 - '0' as u32).unwrap_or(digit),
    };
    exponent.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks().iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let rounded = |values: &[f64]| Axis::rounded(values.iter().copied(), 5);
        assert_eq!(
            labels(&rounded(&[0.1, 0.93])),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels(&rounded(&[-3.0, 2.0])),
            ["−3", "−2", "−1", "0", "1", "2"]
        );
        let steps = Axis::exact([0.0, 40_000.0].into_iter(), 4);
        assert_eq!(labels(&steps), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!(labels(&Axis::indices(64, 4)), ["1", "20", "40", "60"]);
        let wide = Axis::log(1e-4, 12.0, true);
        assert_eq!(labels(&wide), ["≤10⁻⁴", "10⁻³", "0.01", "0.1", "1", "10"]);
        assert_eq!(
            labels(&Axis::log(0.1, 2.0, false)),
            ["0.1", "0.2", "0.5", "1", "2"]
        );
    }

    #[test]
    fn logarithms_that_are_not_there_lie_at_the_floor() {
        let axis = Axis::log(1e-4, 10.0, true);
        assert_eq!(axis.place(0.0), 0.0);
        assert_eq!(axis.place(-1.0), 0.0);
        assert!(axis.place(2e-4) > 0.0);
    }

    #[test]
    fn every_range_has_an_extent() {
        let cases: [&[f64]; 7] = [
            &[],
            &[0.0],
            &[3.0, 3.0],
            &[-1e-300],
            &[1e100, -1e100],
            &[f64::NAN, 1.0],
            &[5e-324],
        ];
        for values in cases {
            for axis in [
                Axis::rounded(values.iter().copied(), 5),
                Axis::exact(values.iter().copied(), 5),
                Axis::from_min(0.0, values.iter().copied(), 5),
            ] {
                assert!(axis.max > axis.min, "{values:?}");
                assert!(
                    axis.ticks().iter().all(|(at, _)| (0.0..=1.0).contains(at)),
                    "{values:?}"
                );
                assert!((1..=12).contains(&axis.ticks().len()), "{values:?}");
            }
        }
    }
}
