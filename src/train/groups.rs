//! Parameter groups: which optimizer updates a parameter, at what learning rate and with what weight decay.

use crate::arch::Network;
use crate::arch::params::{Param, Role};
use crate::config::Train;
use crate::recipe::OptimizerSpec;
use tch::Tensor;

/// Parameters that are updated with the same numbers.
pub(super) struct ParamGroup {
    pub names: Vec<String>,
    pub params: Vec<Tensor>,
    pub optimizer: OptimizerSpec,
    /// Learning rate before warm-up and schedule.
    pub lr: f64,
    pub weight_decay: f64,
}

/// Divides parameters of a network into groups, those with weight decay first, each in the given order.
///
/// `train.layer_decay` multiplies a rate once for each [level](crate::arch::Position::level) above the parameter's own, so
/// that the last one keeps its rate (timm's `param_groups_layer_decay`); `train.bias_lr_factor` multiplies that of biases.
pub(super) fn param_groups(train: &Train, network: &Network, params: Vec<(Param, Tensor)>) -> Vec<ParamGroup> {
    let positions = network.positions();
    let last = positions.values().map(|position| position.level).max().unwrap_or(0);
    let companion = train.optimizer.companion();
    let decays = |param: &Param| train.decay_all || param.role.is_weight();
    let (decayed, free): (Vec<_>, Vec<_>) = params.into_iter().partition(|(param, _)| decays(param));
    let mut groups: Vec<ParamGroup> = Vec::new();
    for (params, weight_decay) in [(decayed, train.weight_decay), (free, 0.0)] {
        let first = groups.len();
        for (param, tensor) in params {
            let position = positions[&param.name];
            let (optimizer, lr) = match &companion {
                Some((optimizer, lr)) if !(position.hidden && param.role.is_weight()) => (optimizer, *lr),
                _ => (&train.optimizer, train.lr),
            };
            let lr = lr * train.layer_decay.powi((last - position.level) as i32) * bias_factor(train, param.role);
            let same = |group: &&mut ParamGroup| group.lr == lr && group.optimizer == *optimizer;
            match groups[first..].iter_mut().find(same) {
                Some(group) => {
                    group.names.push(param.name);
                    group.params.push(tensor);
                }
                None => groups.push(ParamGroup {
                    names: vec![param.name],
                    params: vec![tensor],
                    optimizer: optimizer.clone(),
                    lr,
                    weight_decay,
                }),
            }
        }
    }
    groups
}

fn bias_factor(train: &Train, role: Role) -> f64 {
    match role {
        Role::ConvBias(_) | Role::LinearBias(_) | Role::Beta => train.bias_lr_factor,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Experiment, Machine};
    use crate::model::Model;
    use std::collections::HashMap;
    use tch::Device;

    /// The groups of an ImageNet ResNet-18, each parameter with its group's number.
    fn groups(keys: &str) -> (Vec<ParamGroup>, HashMap<String, usize>) {
        let text = format!(
            "[data]\ndataset = 'synthetic'\nvalidation = 9\n[model]\npreset = 'resnet'\ndepth = 18\nwidth = 4\n\
             input = [3, 32, 32]\n[train]\nepochs = 1\n{keys}"
        );
        let experiment = Experiment::parse("x", &text, "x", &[], Machine::default()).unwrap();
        let model = Model::new(&experiment.network, Device::Cpu, 0).unwrap();
        let groups = param_groups(&experiment.train, &experiment.network, model.trainable());
        let numbers = groups
            .iter()
            .enumerate()
            .flat_map(|(number, group)| group.names.iter().map(move |name| (name.clone(), number)))
            .collect();
        (groups, numbers)
    }

    #[test]
    fn without_factors_there_are_weights_and_the_rest() {
        let (parts, numbers) = groups("lr = 0.3\nweight_decay = 0.1");
        let found: Vec<_> = parts.iter().map(|group| (group.params.len(), group.lr, group.weight_decay)).collect();
        assert_eq!(found, [(21, 0.3, 0.1), (41, 0.3, 0.0)]);
        assert_eq!((numbers["conv1.weight"], numbers["bn1.weight"], numbers["fc.bias"]), (0, 1, 1));
        assert_eq!(groups("weight_decay = 0.1\ndecay_all = true").0.len(), 1);
    }

    /// The factors of timm 1.0's `param_groups_layer_decay(create_model("resnet18"), layer_decay=0.75)`.
    #[test]
    fn layer_decay_is_timms() {
        let (parts, numbers) = groups("lr = 1.0\nlayer_decay = 0.75\nbias_lr_factor = 2");
        for (name, factor) in [
            ("conv1.weight", 0.075_084_686_279_296_88),
            ("bn1.weight", 0.075_084_686_279_296_88),
            ("layer1.0.conv1.weight", 0.100_112_915_039_062_5),
            ("layer2.0.downsample.0.weight", 0.177_978_515_625),
            ("layer3.1.bn2.weight", 0.421_875),
            ("layer4.1.conv2.weight", 0.75),
            ("fc.weight", 1.0),
        ] {
            assert_eq!(parts[numbers[name]].lr, factor, "{name}");
        }
        assert_eq!((parts[numbers["fc.bias"]].lr, parts[numbers["layer4.1.bn2.bias"]].lr), (2.0, 1.5));
    }
}
