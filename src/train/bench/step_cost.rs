//! The minimum work of a step: its arithmetic, and the bytes that must move.

use super::{Phase, Roofline};
use crate::config::{Experiment, Precision};
use serde::Serialize;

/// The minimum work of one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepCost {
    /// Floating-point operations of convolutions and linear layers, a multiply-add being two. Training does each three
    /// times: forward, for the gradient of the input and for that of the weights.
    pub flops: f64,
    /// Bytes, if every output of those layers is written once and read once forward, and read once, its gradient written
    /// and read, backward (all else fused into them); and weights, gradients and optimizer state as often as they must.
    pub bytes: f64,
}

impl StepCost {
    /// The cost of a step of `experiment`, auxiliary heads included where it trains.
    pub fn of(experiment: &Experiment, phase: Phase) -> StepCost {
        let (trunk, aux) = (experiment.network.cost(), experiment.network.aux_cost());
        let train = &experiment.train;
        let batch = train.batch as f64;
        let element = match train.precision {
            Precision::Fp32 => 4.0,
            Precision::Bf16 | Precision::Fp16 => 2.0,
        };
        match phase {
            Phase::Eval => StepCost {
                flops: 2.0 * trunk.macs as f64 * batch,
                bytes: 2.0 * element * trunk.activations as f64 * batch + element * trunk.params as f64,
            },
            Phase::Train => {
                let buffers = train.optimizer.buffers().len() as f64;
                // Weights are read forward and backward, their fp32 gradients written and read; the fp32 weights and each
                // buffer are read and written by the optimizer.
                let a_weight = 2.0 * element + 8.0 + 8.0 * (1.0 + buffers);
                StepCost {
                    flops: 6.0 * (trunk.macs + aux.macs) as f64 * batch,
                    bytes: 5.0 * element * (trunk.activations + aux.activations) as f64 * batch
                        + a_weight * (trunk.params + aux.params) as f64,
                }
            }
        }
    }

    /// Milliseconds that the arithmetic takes at the measured peak of the precision.
    pub fn arithmetic_ms(&self, roofline: &Roofline, precision: Precision) -> f64 {
        let gflops = match precision {
            Precision::Fp32 => roofline.fp32_gflops,
            Precision::Bf16 | Precision::Fp16 => roofline.bf16_gflops,
        };
        self.flops / (1e6 * gflops)
    }

    /// Milliseconds that the bytes take at the measured bandwidth of memory. Maps that stay in a cache take less.
    pub fn memory_ms(&self, roofline: &Roofline) -> f64 {
        self.bytes / (1e6 * roofline.copy_gigabytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    /// A linear layer of 4 inputs and 10 outputs on 3 images, counted by hand.
    #[test]
    fn work_by_hand() {
        let text = "[data]\ndataset = 'synthetic'\nvalidation = 100\n[model]\ninput = [1, 2, 2]\n\
                    rows = [{ op = 'classifier' }]\n[train]\nepochs = 1\nbatch = 3\nprecision = 'fp32'";
        let experiment = Experiment::parse("work", text, "work", &[], Machine::default()).unwrap();
        let (params, macs, outputs, images) = (4.0 * 10.0 + 10.0, 40.0, 10.0, 3.0);
        let eval = StepCost::of(&experiment, Phase::Eval);
        assert_eq!(eval, StepCost { flops: 2.0 * macs * images, bytes: 8.0 * outputs * images + 4.0 * params });
        let train = StepCost::of(&experiment, Phase::Train);
        // SGD: 8 bytes of weights, 8 of gradients, 16 of weights and momentum in the optimizer.
        assert_eq!(train, StepCost { flops: 6.0 * macs * images, bytes: 20.0 * outputs * images + 32.0 * params });
        let roofline = Roofline { fp32_gflops: 1e-6, bf16_gflops: 1.0, copy_gigabytes: 1e-6 };
        assert_eq!(train.arithmetic_ms(&roofline, Precision::Fp32), train.flops);
        assert_eq!(train.memory_ms(&roofline), train.bytes);
    }
}
