//! Log-probabilities on request: natural logarithms of the model's own distribution, `log softmax(logits)` before any
//! bias, penalty, filter or temperature.

use crate::GenerateError;
use crate::math::ln;
use crate::sampler::candidates::{Candidate, Candidates};

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogProb {
    /// The token.
    pub token: u32,
    /// At most 0; −∞ for a token that the model rules out.
    pub log_prob: f32,
}

/// The log-probabilities at one generated token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogProbs {
    /// The token that was chosen.
    pub chosen: LogProb,
    /// The likeliest tokens, best first; as many as were asked for.
    pub top: Vec<LogProb>,
}

/// Computes log-probabilities; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct LogProbs {
    all: Candidates,
    best: Candidates,
    log_total: f64,
}

impl LogProbs {
    /// Looks at the untouched `logits` of a step and keeps the best `top` of them.
    pub(crate) fn observe(&mut self, logits: &[f32], top: usize) -> Result<(), GenerateError> {
        self.all.fill_all(logits)?;
        self.log_total = f64::from(self.all.max) + ln(self.all.weigh(1.0));
        self.best.items.clear();
        if top > 0 {
            self.best.fill_top(logits, top)?;
        }
        Ok(())
    }

    /// The log-probabilities of the observed step, at which `token` was chosen.
    pub(crate) fn chosen(&self, token: u32) -> TokenLogProbs {
        let of = |candidate: &Candidate| LogProb {
            token: candidate.id,
            log_prob: (f64::from(candidate.logit) - self.log_total) as f32,
        };
        // `all` is in the order of ids.
        let chosen = self.all.items.binary_search_by_key(&token, |candidate| candidate.id);
        let none = LogProb { token, log_prob: f32::NEG_INFINITY };
        TokenLogProbs {
            chosen: chosen.map_or(none, |index| of(&self.all.items[index])),
            top: self.best.items.iter().map(of).collect(),
        }
    }
}

/// `−ln p(token)` under `logits`, in f64: what perplexity sums up.
pub fn negative_log_likelihood(logits: &[f32], token: u32) -> Result<f64, GenerateError> {
    let mut probs = LogProbs::default();
    probs.observe(logits, 0)?;
    let chosen = probs.all.items.binary_search_by_key(&token, |candidate| candidate.id);
    Ok(chosen.map_or(f64::INFINITY, |index| probs.log_total - f64::from(probs.all.items[index].logit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_log_softmax() {
        let logits = [1.0, 3.0, f32::NEG_INFINITY, -2.0, 3.0];
        let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        let mut probs = LogProbs::default();
        probs.observe(&logits, 3).unwrap();
        let got = probs.chosen(3);
        let expected = |id: usize| ((f64::from(logits[id]).exp()) / total).ln();
        assert!((f64::from(got.chosen.log_prob) - expected(3)).abs() < 1e-6);
        assert_eq!(got.top.iter().map(|t| t.token).collect::<Vec<_>>(), [1, 4, 0]);
        assert!(got.top.iter().all(|t| (f64::from(t.log_prob) - expected(t.token as usize)).abs() < 1e-6));
        assert_eq!(probs.chosen(2).chosen.log_prob, f32::NEG_INFINITY);
        assert!((negative_log_likelihood(&logits, 0).unwrap() + expected(0)).abs() < 1e-12);
        assert_eq!(negative_log_likelihood(&logits, 2).unwrap(), f64::INFINITY);
    }
}
