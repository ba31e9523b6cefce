//! Functions of single elements: activations and soft caps.

use inkling_compute::Activation;

use super::math::{gelu_tanh, silu, tanh};

/// `gate = activation(gate) ⊙ up`.
#[inline(always)]
pub(crate) fn activate(activation: Activation, gate: &mut [f32], up: &[f32]) {
    match activation {
        Activation::Silu => gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = silu(*gate) * up),
        Activation::GeluTanh => gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = gelu_tanh(*gate) * up),
    }
}

/// `x = cap · tanh(x / cap)`.
#[inline(always)]
pub(crate) fn softcap(x: &mut [f32], cap: f32) {
    x.iter_mut().for_each(|x| *x = cap * tanh(*x / cap));
}
