//! Norm, rope, activations, soft-cap: the formulas of `inkling_compute::spec`.

use inkling_compute::{Activation, ComputeError, Norm, Rope, RopeStyle, Weights};

/// Normalises every piece of `weight.len()` elements of `values` by its root mean square.
pub(crate) fn norm(weights: &Weights, norm: &Norm, values: &[f32]) -> Result<Vec<f32>, ComputeError> {
    let weight = weights.vector(&norm.weight)?;
    let mut out = Vec::with_capacity(values.len());
    for piece in values.chunks_exact(weight.len()) {
        let squares: f64 = piece.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let scale = 1.0 / (squares / piece.len() as f64 + f64::from(norm.epsilon)).sqrt();
        out.extend(
            piece.iter().zip(&weight).map(|(&value, &weight)| (f64::from(value) * scale * f64::from(weight)) as f32),
        );
    }
    Ok(out)
}

/// Turns the pairs of one head at `position`.
pub(crate) fn rope(rope: &Rope, position: usize, head: &mut [f32]) {
    let pairs = rope.frequencies.len();
    for (pair, &frequency) in rope.frequencies.iter().enumerate() {
        let (first, second) = match rope.style {
            RopeStyle::Interleaved => (2 * pair, 2 * pair + 1),
            RopeStyle::Halves => (pair, pair + pairs),
        };
        let (sin, cos) = (position as f64 * f64::from(frequency)).sin_cos();
        let magnitude = f64::from(rope.magnitude);
        let (x, y) = (f64::from(head[first]), f64::from(head[second]));
        head[first] = ((x * cos - y * sin) * magnitude) as f32;
        head[second] = ((x * sin + y * cos) * magnitude) as f32;
    }
}

/// The activation of the gate times the other branch.
pub(crate) fn gated(activation: Activation, gate: &[f32], up: &[f32]) -> Vec<f32> {
    gate.iter().zip(up).map(|(&gate, &up)| (activate(activation, f64::from(gate)) * f64::from(up)) as f32).collect()
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x / 2.0 * (1.0 + inner.tanh())
        }
    }
}

/// `cap · tanh(value / cap)`, or the value where there is no cap.
pub(crate) fn softcap(cap: Option<f32>, value: f64) -> f64 {
    cap.map_or(value, |cap| f64::from(cap) * (value / f64::from(cap)).tanh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rope_turns_the_right_elements() {
        let quarter = std::f32::consts::FRAC_PI_2;
        let turned = |style, magnitude, pairs| {
            let mut head = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
            rope(&Rope { style, frequencies: vec![quarter; pairs], magnitude }, 1, &mut head);
            head.map(|value| (value * 1000.0).round() / 1000.0)
        };
        assert_eq!(turned(RopeStyle::Interleaved, 1.0, 3), [-2.0, 1.0, -4.0, 3.0, -6.0, 5.0]);
        assert_eq!(turned(RopeStyle::Halves, 1.0, 3), [-4.0, -5.0, -6.0, 1.0, 2.0, 3.0]);
        assert_eq!(turned(RopeStyle::Halves, 2.0, 2), [-6.0, -8.0, 2.0, 4.0, 5.0, 6.0], "the rest stays as it is");
    }

    #[test]
    fn activations_and_caps_have_their_known_values() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} is not {b}");
        close(activate(Activation::Silu, 1.0), 0.7310586);
        close(activate(Activation::Silu, -800.0), 0.0);
        close(activate(Activation::GeluTanh, 1.0), 0.8411920);
        close(activate(Activation::GeluTanh, -3.0), -0.0036374);
        close(softcap(Some(30.0), 1e9), 30.0);
        close(softcap(Some(30.0), 15.0), 13.8635147);
        close(softcap(None, 1e9), 1e9);
    }
}
