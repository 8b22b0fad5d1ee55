//! Safe functions called with arguments at random: what comes out is what libtorch's own operations give, or an error,
//! never a read or write elsewhere. `make asan` runs these too.

mod arguments;

use super::fused::{self, Activation, Kernel, Norm, WindowGeometry};
use super::optim::{StepKind, StepNumbers, optimizer_step};
use super::{Result, catch};
use arguments::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use tch::{Device, Kind, Tensor};

fn seed() -> RngSeed {
    RngSeed::Fixed(std::env::var("STRATA_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1))
}

fn activations() -> impl Strategy<Value = Activation> {
    select(vec![Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu])
}

proptest! {
    // STRATA_SEED=2 makes other arguments.
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: seed(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions(case in case(false), relu in any::<bool>()) {
        let Case { window, tensors, .. } = case;
        let ours = |l: &List| fused::conv(some(l, 0), some(l, 1), l[2].as_ref(), &window, relu);
        let theirs = |l: &List| {
            let y = plain_conv(l, &window, groups_of(l));
            if relu { y.relu() } else { y }
        };
        check(&tensors[..3], 3, ours, theirs)?;
    }

    #[test]
    fn depthwise_convolutions(case in case(true)) {
        let Case { kernel, window, tensors } = case;
        let ours = |l: &List| fused::depthwise(some(l, 0), some(l, 1), l[2].as_ref(), kernel, &window);
        check(&tensors[..3], 3, ours, |l| plain_conv(l, &window, some(l, 0).size()[1]))?;
    }

    #[test]
    fn evaluation_in_one_pass(
        (depthwise, case) in any::<bool>().prop_flat_map(|depthwise| (Just(depthwise), case(depthwise))),
        act in activations(),
    ) {
        let Case { kernel, window, tensors } = case;
        let ours = |l: &List| {
            let norm =
                Norm { gamma: l[3].as_ref(), beta: l[4].as_ref(), mean: None, var: None, momentum: 0.1, eps: 2.0, group: None };
            let depthwise = depthwise.then_some(kernel);
            let call = Kernel { weight: some(l, 1), bias: l[2].as_ref(), depthwise, window: &window };
            fused::conv_norm(some(l, 0), &call, &norm, (some(l, 5), some(l, 6)), l[7].as_ref(), act)
        };
        let theirs = |l: &List| {
            let y = plain_conv(l, &window, if depthwise { some(l, 0).size()[1] } else { groups_of(l) });
            let y = y.batch_norm(l[3].as_ref(), l[4].as_ref(), l[5].as_ref(), l[6].as_ref(), false, 0.1, 2.0, false);
            act.apply(match &l[7] {
                Some(add) if add.defined() => y + add,
                _ => y,
            })
        };
        tch::no_grad(|| check(&tensors, 0, ours, theirs))?;
    }

    #[test]
    fn normalisation(case in case(true), statistics in any::<bool>(), train in any::<bool>(), act in activations()) {
        let Case { tensors: t, .. } = case;
        let statistics = |index: usize| t[index].clone().filter(|_| statistics);
        let add = t[7].clone().map(|add| Any { shape: t[0].as_ref().unwrap().shape.clone(), ..add });
        let tensors = [t[0].clone(), t[3].clone(), t[4].clone(), add, statistics(5), statistics(6)];
        let ours = |l: &List| {
            let [gamma, beta, mean, var] = [1, 2, 4, 5].map(|index| l[index].as_ref());
            fused::norm_act(some(l, 0), l[3].as_ref(), &Norm { gamma, beta, mean, var, momentum: 0.1, eps: 2.0, group: None }, act, train)
        };
        let theirs = |l: &List| {
            let [gamma, beta, mean, var] = [1, 2, 4, 5].map(|index| l[index].as_ref());
            let y = some(l, 0).batch_norm(gamma, beta, mean, var, train, 0.1, 2.0, false);
            act.apply(match &l[3] {
                Some(add) if add.defined() => y + add,
                _ => y,
            })
        };
        let smooth = matches!(act, Activation::None | Activation::Silu);
        check(&tensors, if smooth { 4 } else { 0 }, ours, theirs)?;
    }

    #[test]
    fn pooling(case in case(true)) {
        let Case { kernel, window, tensors } = case;
        let theirs = |l: &List| {
            padded(some(l, 0), &kernel, &window, f64::NEG_INFINITY).max_pool2d(kernel, window.stride, [0, 0], [1, 1], false)
        };
        check(&tensors[..1], 1, |l| fused::max_pool(some(l, 0), kernel, &window), theirs)?;
    }

    #[test]
    fn response_normalisation(x in kind().prop_flat_map(|kind| near(vec![2, 5, 3, 2], kind)), size in number(0..9)) {
        prop_assume!(!(1 << 9..=1 << 20).contains(&size)); // right, but slow
        let ours = |l: &List| fused::lrn(some(l, 0), size, 0.9, 0.75, 1.5);
        check(&[Some(x)], 1, ours, |l| fused::plain_lrn(some(l, 0), size, 0.9, 0.75, 1.5))?;
    }

    #[test]
    fn what_moves_numbers(
        maps in kind().prop_flat_map(|kind| vec((1..4i64).prop_flat_map(move |c| near(vec![2, c, 3, 2], kind)), 1..4)),
        channels in number(1..9),
        stride in number(0..4),
    ) {
        let all: Vec<Option<Any>> = maps.iter().cloned().map(Some).collect();
        let parts = |l: &List| l.iter().flatten().map(Tensor::shallow_clone).collect::<Vec<_>>();
        check(&all, all.len(), |l| fused::concat(&parts(l)), |l| Tensor::cat(&parts(l), 1))?;
        prop_assume!(!(1 << 10..1 << 31).contains(&channels)); // right, but large
        let picked = |l: &List| {
            let x = some(l, 0);
            let small = x.slice(2, None, None, stride).slice(3, None, None, stride);
            small.constant_pad_nd([0, 0, 0, 0, 0, channels - x.size()[1]])
        };
        check(&all[..1], 1, |l| fused::subsample(some(l, 0), channels, stride), picked)?;
        let mean = |x: &Tensor| x.mean_dim([2i64, 3].as_slice(), true, None::<Kind>);
        check(&all[..1], 1, |l| fused::squeeze(some(l, 0)).map(|(x, _)| x), |l| some(l, 0).shallow_clone())?;
        check(&all[..1], 1, |l| fused::squeeze(some(l, 0)).map(|(_, mean)| mean), |l| mean(some(l, 0)))?;
        let both = |l: &List| fused::fork(some(l, 0)).map(|(one, other)| one + other * 3.0);
        check(&all[..1], 1, both, |l| some(l, 0) * 4.0)?;
    }

    #[test]
    fn gates((x, factor) in kind().prop_flat_map(|kind| (near(vec![2, 5, 3, 2], kind), near(vec![2, 5, 1, 1], kind)))) {
        check(&[Some(x), Some(factor)], 2, |l| fused::gate(some(l, 0), some(l, 1)), |l| some(l, 0) * some(l, 1))?;
    }

    #[test]
    fn gated_sums(maps in kind().prop_flat_map(|kind| vec(near(vec![2, 5, 3, 2], kind), 3))) {
        let maps: Vec<Option<Any>> = maps.into_iter().map(Some).collect();
        let ours = |l: &List| fused::gated_sum(some(l, 0), some(l, 1), some(l, 2), false);
        check(&maps, 3, ours, |l| some(l, 2) + some(l, 0).sigmoid() * (some(l, 1) - some(l, 2)))?;
    }

    /// The first step of SGD is its gradient, with momentum or without; of Adam and RMSprop no more is asked than that they
    /// end, for a second moment may be negative here.
    #[test]
    fn optimizer_steps(
        lists in vec((vec(1..5i64, 1..4), kind()), 0..3).prop_flat_map(|parameters| {
            let list = |parameters: &[(Vec<i64>, Kind)]| -> Vec<_> {
                parameters.iter().map(|(shape, kind)| near(shape.clone(), *kind)).collect()
            };
            [list(&parameters), list(&parameters), list(&parameters), list(&parameters)]
        }),
        cut in 0..8usize,
        momentum in select(vec![0.0, 0.9]),
    ) {
        let [params, mut grads, mut states, mut others] =
            lists.map(|list| list.iter().map(Any::tensor).collect::<Vec<Tensor>>());
        // Now and then lists of other lengths.
        for (index, list) in [&mut grads, &mut states, &mut others].into_iter().enumerate() {
            if cut == index {
                list.pop();
            }
        }
        let copies = || params.iter().map(|tensor| catch(|| tensor.copy()).ok()).collect::<Vec<_>>();
        let before = copies();
        let both = [states, others];
        let sgd = StepNumbers { lr: 0.5, momentum, first: 1, ..StepNumbers::default() };
        if catch(|| optimizer_step(StepKind::Sgd, &params, &grads, &both, &sgd)).is_ok_and(|done| done.is_ok()) {
            for ((param, grad), before) in params.iter().zip(&grads).zip(&before) {
                if let Some(before) = before.as_ref().filter(|_| grad.defined()) {
                    prop_assert!(far(param, &(before - grad * 0.5)) < 0.02);
                }
            }
        }
        let averages = copies();
        if catch(|| super::ema_update(&params, &both[0], 0.75)).is_ok_and(|done| done.is_ok()) {
            for ((average, param), before) in params.iter().zip(&both[0]).zip(&averages) {
                let Some(before) = before else { continue };
                prop_assert!(far(average, &(before * 0.75 + param * 0.25)) < 0.02);
            }
        }
        let numbers = StepNumbers {
            lr: 0.1, weight_decay: 0.1, momentum, beta1: 0.9, beta2: 0.99, alpha: 0.9, eps: 1e-3, step: 1, ..sgd
        };
        let last = StepNumbers { step: i64::MAX, ..numbers };
        let _ = catch(|| optimizer_step(StepKind::Adam, &params, &grads, &both, &numbers));
        let _ = catch(|| optimizer_step(StepKind::Adamw, &params, &grads, &both, &last));
        let _ = catch(|| optimizer_step(StepKind::Rmsprop, &params, &grads, &both, &numbers));
        let _ = catch(|| super::all_finite(&both[0]));
        let _ = catch(|| super::clip_grad_norm(&grads, 0.1));
        let _ = catch(|| super::zero_grad(&params));
        let _ = catch(|| super::grads(&params).len());
    }

    #[test]
    fn tensors_and_devices(
        any in near(vec![2, 3, 4, 5], Kind::Float),
        device in select(vec![
            Device::Cpu, Device::Mps, Device::Vulkan, Device::Cuda(127), Device::Cuda(128), Device::Cuda(255),
            Device::Cuda(256), Device::Cuda(1 << 32), Device::Cuda(usize::MAX),
        ]),
    ) {
        let tensor = any.tensor();
        if let (true, Ok(Ok(same))) = (tensor.defined(), catch(|| super::channels_last(&tensor))) {
            prop_assert!((same.size()[1] < 2 || same.stride()[1] == 1) && same.equal(&tensor));
        }
        if let (true, Ok(Ok(same))) = (tensor.defined(), catch(|| super::contiguous(&tensor))) {
            prop_assert!(same.equal(&tensor));
        }
        let _ = catch(|| super::set_channels_last(&mut tensor.shallow_clone()));
        let _ = catch(|| fused::supports(&tensor));
        prop_assert_eq!(super::synchronize(device).is_ok(), device == Device::Cpu);
        prop_assert!(device == Device::Cpu || !super::reset_peak_memory(device));
        prop_assert!(device == Device::Cpu || super::peak_memory_mib(device).is_none());
        prop_assert!(super::Graph::record(device, || ()).is_err());
        drop(super::Autocast::bf16(device));
    }
}

fn ones(shape: &[i64]) -> Tensor {
    Tensor::ones(shape, (Kind::Float, Device::Cpu))
}

/// `set_data` replaces a weight without changing its version: the old packed weight used to be taken for the new one's.
#[test]
fn a_weight_that_was_replaced_is_not_taken_for_the_one_that_was_kept() {
    let _no_grad = tch::no_grad_guard();
    let x = super::channels_last(&ones(&[2, 4, 9, 9])).unwrap();
    let window = WindowGeometry { stride: [1, 1], before: [1, 1], out: [9, 9] };
    let mut weight = super::channels_last(&ones(&[2, 4, 3, 3])).unwrap().set_requires_grad(true);
    let _kept = fused::keep_packed_weights();
    let run = |weight: &Tensor| fused::conv(&x, weight, None, &window, false).unwrap();
    let _ = run(&weight);
    let other = super::channels_last(&(ones(&[64, 4, 3, 3]) * 2.0)).unwrap();
    weight.set_data(&other);
    assert_eq!(run(&weight), run(&other));
}

/// What the backward pass reads must be of the sizes that the forward pass found.
#[test]
fn a_gradient_of_tensors_that_were_replaced_is_an_error() {
    let window = WindowGeometry { stride: [1, 1], before: [1, 1], out: [9, 9] };
    let leaf = |shape: &[i64]| super::channels_last(&ones(shape)).unwrap().set_requires_grad(true);
    let norm = || Norm { gamma: None, beta: None, mean: None, var: None, momentum: 0.1, eps: 1e-5, group: None };
    type Call<'a> = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + 'a>;
    let calls: [(&[i64], &[i64], Call); 5] = [
        (&[2, 4, 3, 3], &[64, 4, 3, 3], Box::new(|x, w| fused::conv(x, w, None, &window, true))),
        (&[4, 1, 3, 3], &[4, 1, 5, 5], Box::new(|x, w| fused::depthwise(x, w, None, [3, 3], &window))),
        (&[2, 4, 1, 1], &[2, 4, 9, 9], Box::new(fused::gate)),
        (&[2, 4, 9, 9], &[2, 4, 90, 90], Box::new(|_, x| fused::lrn(x, 5, 1.0, 0.75, 1.0))),
        (&[2, 4, 9, 9], &[2, 4, 90, 90], Box::new(|_, x| fused::norm_act(x, None, &norm(), Activation::Relu, true))),
    ];
    for (shape, other, call) in calls {
        let (x, mut changed) = (leaf(&[2, 4, 9, 9]), leaf(shape));
        let y = call(&x, &changed).unwrap().sum(Kind::Float);
        changed.set_data(&leaf(other).detach());
        assert!(catch(|| y.backward()).is_err(), "{shape:?}");
    }
}

/// Threads that write parts of one another's tensors.
#[test]
fn optimizer_states_that_share_memory_are_refused() {
    let all = ones(&[100]);
    let part = |start| [all.narrow(0, start, 90)];
    let numbers =
        StepNumbers { lr: 0.1, momentum: 0.9, beta1: 0.9, beta2: 0.99, eps: 1e-3, step: 1, ..StepNumbers::default() };
    let step = |kind, params: [Tensor; 1], states: &[Vec<Tensor>]| {
        optimizer_step(kind, &params, &[ones(&[90])], states, &numbers).unwrap_err()
    };
    let error = step(StepKind::Sgd, part(0), &[part(1).into()]);
    assert!(error.0.contains("shares a part of its memory"), "{error}");
    let error = step(StepKind::Adam, [ones(&[90])], &[part(0).into(), part(1).into()]);
    assert!(error.0.contains("states that share memory"), "{error}");
    assert!(super::ema_update(&part(0), &part(1), 0.9).is_err());
    assert!(super::ema_update(&[ones(&[4])], &[ones(&[1])], 0.9).is_err(), "used to be broadcast");
}
