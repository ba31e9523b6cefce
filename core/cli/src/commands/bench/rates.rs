//! What repetitions gave: sorted, with the median that is reported.

use serde_json::{Value as Json, json};

/// Figures of one kind, ascending; never empty.
pub(super) struct Rates(Vec<f64>);

impl Rates {
    /// `None` of nothing.
    pub(super) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        (!figures.is_empty()).then_some(Self(figures))
    }

    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 { self.0[middle] } else { (self.0[middle - 1] + self.0[middle]) / 2.0 }
    }

    pub(super) fn json(&self) -> Json {
        json!({ "median": self.median(), "min": self.0[0], "max": self.0[self.0.len() - 1] })
    }

    pub(super) fn words(&self, unit: &str) -> String {
        format!("{:.1} {unit} (min {:.1}, max {:.1})", self.median(), self.0[0], self.0[self.0.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let median = |figures: &[f64]| Rates::of(figures.to_vec()).map(|rates| rates.median());
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
