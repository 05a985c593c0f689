//! Plots as SVG.

use std::fmt::Write;

use super::report::{Plot, number};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;
/// About the width of a letter below the horizontal axis.
const LETTER: f64 = 6.5;

/// A plot as an SVG element; its colours are the classes `s0`, `s1`, … of the page.
pub fn svg(plot: &Plot) -> String {
    let frame = Frame::of(plot);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\">\n",
        HEIGHT + frame.slanted,
        escape(&plot.title)
    );
    frame.axes(plot, &mut svg);
    let is_bars = !plot.names.is_empty() && plot.series.len() == 1;
    for (position, (_, points)) in plot.series.iter().enumerate() {
        match is_bars {
            true => frame.bars(points, position, &mut svg),
            false => frame.line(points, position, &mut svg),
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Text inside of HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The plane of a plot: what its axes reach to.
struct Frame {
    first: f64,
    last: f64,
    top: f64,
    step: f64,
    /// The height of names that are too long to stand side by side; 0 if they are not.
    slanted: f64,
}

impl Frame {
    fn of(plot: &Plot) -> Frame {
        let points = || plot.series.iter().flat_map(|(_, points)| points);
        let highest = points().map(|(_, y)| *y).fold(0.0, f64::max);
        let (first, last) = match plot.names.len() {
            0 => (0.0, points().map(|(x, _)| *x).fold(0.0, f64::max)),
            names => (-0.5, names as f64 - 0.5),
        };
        let step = round_step(highest / 5.0);
        Frame {
            first,
            last: last.max(first + f64::MIN_POSITIVE),
            top: (highest / step).ceil().max(1.0) * step,
            step,
            slanted: slanted_height(&plot.names),
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (value - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, plot: &Plot, svg: &mut String) {
        let steps = (self.top / self.step).round() as usize;
        for position in 0..=steps {
            let value = position as f64 * self.step;
            let y = self.y(value);
            let (right, label) = (WIDTH - RIGHT, LEFT - 8.0);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{label}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                y + 4.0,
                number(value)
            );
        }
        let below = HEIGHT - BOTTOM + 18.0;
        let ticks: Vec<(f64, String)> = match plot.names.is_empty() {
            false => plot
                .names
                .iter()
                .enumerate()
                .map(|(at, name)| (at as f64, escape(name)))
                .collect(),
            true => {
                let step = round_step(self.last / 5.0);
                let count = (self.last / step) as usize;
                (0..=count)
                    .map(|position| position as f64 * step)
                    .map(|value| (value, number(value)))
                    .collect()
            }
        };
        for (value, label) in ticks {
            let x = self.x(value);
            let place = match self.slanted > 0.0 {
                true => format!(
                    "transform=\"translate({x:.1} {below}) rotate(-45)\" text-anchor=\"end\""
                ),
                false => format!("x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\""),
            };
            let _ = writeln!(svg, "<text class=\"tick\" {place}>{label}</text>");
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let bottom = HEIGHT + self.slanted - 8.0;
        let centre = (TOP + HEIGHT - BOTTOM) / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"axis\" x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>\
             <text class=\"axis\" transform=\"translate(14 {centre}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            escape(&plot.across),
            escape(&plot.up)
        );
    }

    fn bars(&self, points: &[(f64, f64)], series: usize, svg: &mut String) {
        for (x, y) in points {
            let (left, right) = (self.x(x - 0.3), self.x(x + 0.3));
            let top = self.y(y.max(0.0));
            let (width, height) = (right - left, HEIGHT - BOTTOM - top);
            let _ = writeln!(
                svg,
                "<rect class=\"s{series}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"><title>{}</title></rect>",
                number(*y)
            );
        }
    }

    fn line(&self, points: &[(f64, f64)], series: usize, svg: &mut String) {
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", self.x(*x), self.y(*y)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"s{series}\" points=\"{}\"/>",
            path.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(
                svg,
                "<circle class=\"s{series}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}</title></circle>",
                self.x(*x),
                self.y(*y),
                number(*y)
            );
        }
    }
}

/// The height that names take where they are slanted, as there is no room for them side by side.
fn slanted_height(names: &[String]) -> f64 {
    let longest = names.iter().map(|name| name.chars().count()).max();
    let width = longest.unwrap_or(0) as f64 * LETTER;
    let room = (WIDTH - LEFT - RIGHT) / names.len().max(1) as f64;
    match width > room {
        true => width * std::f64::consts::FRAC_1_SQRT_2,
        false => 0.0,
    }
}

/// The next larger of 1, 2 and 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    if rough <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps.iter().find(|step| **step * power >= rough);
    step.unwrap_or(&10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (rough, step) in [(0.0, 1.0), (0.7, 1.0), (13.0, 20.0), (300.0, 500.0)] {
            assert_eq!(round_step(rough), step);
        }
    }

    #[test]
    fn names_that_are_too_long_are_slanted() {
        let names = |count: usize, name: &str| vec![name.to_owned(); count];
        assert_eq!(slanted_height(&names(3, "customer_360")), 0.0);
        assert_eq!(slanted_height(&[]), 0.0);
        assert!(slanted_height(&names(12, "filter and project")) > 80.0);
    }

    #[test]
    fn a_plot_shows_all_its_points_and_escapes_its_names() {
        let plot = Plot {
            title: "a < b".to_owned(),
            across: "x".to_owned(),
            up: "y".to_owned(),
            names: Vec::new(),
            series: vec![("s".to_owned(), vec![(0.0, 1.0), (5.0, 2.0)])],
        };
        let svg = svg(&plot);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a &lt; b"), "{svg}");
    }
}
