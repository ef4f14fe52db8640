//! Writes a figure three times: the numbers (CSV), and the same picture as SVG and PNG.

// Results are files; nothing of a simulation reads them.
#![allow(clippy::disallowed_methods)]

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Width and height of the pictures, pixels.
const SIZE: (u32, u32) = (960, 600);
/// Colours that stay apart in print and for colour-blind readers (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
];

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points.
    Line,
    /// Only the points: single figures, such as those of the paper.
    Points,
}

/// One named row of points.
#[derive(Debug, Clone)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// In order of x.
    pub points: Vec<(f64, f64)>,
}

/// Everything about one figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// File name without its ending.
    pub stem: &'static str,
    /// The heading.
    pub title: String,
    /// Quantity and unit of the x axis.
    pub x: &'static str,
    /// Quantity and unit of the y axis.
    pub y: &'static str,
    /// What is shown.
    pub series: Vec<Series>,
}

impl Figure {
    /// Writes `stem.csv`, `stem.svg` and `stem.png` into a folder that exists; their paths.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        // Every machine draws with the same letters. Registering twice changes nothing.
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        let _ = register_font("sans-serif", FontStyle::Normal, font);
        let path = |ending: &str| folder.join(format!("{}.{ending}", self.stem));
        let (csv, svg, png) = (path("csv"), path("svg"), path("png"));
        let failed = |path: &Path, error: &dyn std::fmt::Display| {
            format!("cannot write {}: {error}", path.display())
        };
        std::fs::write(&csv, self.csv()).map_err(|error| failed(&csv, &error))?;
        self.draw(&SVGBackend::new(&svg, SIZE).into_drawing_area())
            .map_err(|error| failed(&svg, &error))?;
        self.draw(&BitMapBackend::new(&png, SIZE).into_drawing_area())
            .map_err(|error| failed(&png, &error))?;
        Ok(vec![csv, svg, png])
    }

    /// One line a point: series, x, y.
    pub fn csv(&self) -> String {
        let mut out = format!("series,\"{}\",\"{}\"\n", self.x, self.y);
        for series in &self.series {
            for (x, y) in &series.points {
                let _ = writeln!(out, "\"{}\",{x},{y}", series.name);
            }
        }
        out
    }

    fn range(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let least = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
        let most = points().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max);
        let (least, most) = if least < most { (least, most) } else { (least - 1.0, least + 1.0) };
        ((least, most), (0.0, if top > 0.0 { top * 1.08 } else { 1.0 }))
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        area.fill(&WHITE)?;
        let (x, y) = self.range();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 22))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .axis_desc_style(("sans-serif", 18))
            .label_style(("sans-serif", 15))
            .light_line_style(WHITE)
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points = series.points.iter().copied();
            let drawn = match series.mark {
                Mark::Line => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
                Mark::Points => chart
                    .draw_series(points.map(|at| TriangleMarker::new(at, 7, colour.filled())))?,
            };
            drawn.label(&series.name).legend(move |(x, y)| {
                Rectangle::new([(x, y - 3), (x + 18, y + 3)], colour.filled())
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.4))
            .label_font(("sans-serif", 15))
            .draw()?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_is_written_as_numbers_and_as_two_pictures() {
        let folder = std::env::temp_dir().join(format!("figure-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let figure = Figure {
            stem: "figure-test",
            title: "A title".into(),
            x: "members",
            y: "ms",
            series: vec![
                Series { name: "a".into(), mark: Mark::Line, points: vec![(1.0, 2.0), (2.0, 3.5)] },
                Series { name: "b".into(), mark: Mark::Points, points: vec![(1.5, 9.0)] },
            ],
        };
        let paths = figure.write(&folder).unwrap();
        let csv = std::fs::read_to_string(&paths[0]).unwrap();
        assert_eq!(csv, "series,\"members\",\"ms\"\n\"a\",1,2\n\"a\",2,3.5\n\"b\",1.5,9\n");
        let svg = std::fs::read_to_string(&paths[1]).unwrap();
        assert!(svg.contains("A title") && svg.contains("members"));
        assert!(std::fs::read(&paths[2]).unwrap().starts_with(b"\x89PNG"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn figure_in_a_folder_that_is_not_there_is_refused_with_the_path() {
        let figure = Figure { stem: "x", title: String::new(), x: "x", y: "y", series: Vec::new() };
        let error = figure.write(Path::new("/nonexistent/folder")).unwrap_err();
        assert!(error.contains("/nonexistent/folder/x.csv"), "{error}");
    }
}
