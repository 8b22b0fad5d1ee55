//! Evaluation, which records no graph, against libtorch's operations.

use super::*;
use crate::torch::{StepKind, StepNumbers, optimizer_step};

/// Evaluation folds the normalisation into the end of the convolution.
#[test]
fn evaluation_in_one_pass() {
    for (depthwise, grouped) in [(false, false), (false, true), (true, true)] {
        for (c, side, kernel, stride) in [(6, 4, 3, 1), (20, 9, 3, 1), (16, 17, 3, 2), (3, 9, 3, 1), (6, 5, 1, 1)] {
            for added in [false, true] {
                let (width, groups) = match grouped {
                    true if depthwise => (c, c),
                    true => (10 * c, if c % 2 == 0 { c / 2 } else { c }),
                    false => (10, 1),
                };
                if depthwise && added {
                    continue;
                }
                let out = (side - 1) / stride + 1;
                let window = WindowGeometry { stride: [stride, stride], before: [kernel / 2; 2], out: [out, out] };
                let x = channels_last(&numbers(&[4, c, side, side], 0.1));
                let weight = numbers(&[width, c / groups, kernel, kernel], 0.2);
                let [bias, gamma, beta, mean] = [0.3, 0.4, 0.5, 0.6].map(|salt| numbers(&[width], salt));
                let var = numbers(&[width], 0.7) + 2.0;
                let add = numbers(&[4, width, out, out], 0.8);
                let norm = Norm {
                    gamma: Some(&gamma),
                    beta: Some(&beta),
                    mean: Some(&mean),
                    var: Some(&var),
                    momentum: 0.1,
                    eps: 1e-3,
                    group: None,
                };
                let taps = depthwise.then_some([kernel, kernel]);
                let form = Kernel { weight: &weight, bias: Some(&bias), depthwise: taps, window: &window };
                let add = added.then_some(&add);
                let y = conv_norm(&x, &form, &norm, (&mean, &var), add, Activation::Relu).unwrap();
                let plain = x.conv2d(&weight, Some(&bias), [stride; 2], [kernel / 2; 2], [1, 1], groups);
                let normed =
                    plain.batch_norm(Some(&gamma), Some(&beta), Some(&mean), Some(&var), false, 0.1, 1e-3, false);
                let expected = add.map_or(normed.shallow_clone(), |add| normed + add).relu();
                assert!((y - &expected).abs().max().double_value(&[]) < 1e-10);
                assert!(expected.max().double_value(&[]) > 0.1);
            }
        }
    }
}

/// A map [images, inputs, side, side], a weight to `outputs` and what [`conv_norm`] adds; large enough for Winograd's algorithm.
fn tiled([images, inputs, outputs, side]: [i64; 4], kernel: i64) -> [Tensor; 3] {
    let map = |channels, salt| channels_last(&numbers(&[images, channels, side, side], salt));
    [map(inputs, 0.1), numbers(&[outputs, inputs, kernel, kernel], 0.2), map(outputs, 0.8)]
}

/// Evaluation, Winograd's form where there are tiles enough: act(conv(x) · gamma + beta + add).
fn evaluated(x: &Tensor, weight: &Tensor, add: Option<&Tensor>) -> Tensor {
    let (outputs, sides) = (weight.size()[0], x.size());
    let window = WindowGeometry { stride: [1, 1], before: [weight.size()[2] / 2; 2], out: [sides[2], sides[3]] };
    let column = |salt| numbers(&[outputs], salt).to_kind(weight.kind());
    let (gamma, beta, mean, var) = (column(0.4), column(0.5), column(0.6), column(0.7) + 2.0);
    let norm =
        Norm { gamma: Some(&gamma), beta: Some(&beta), mean: None, var: None, momentum: 0.1, eps: 1e-3, group: None };
    let form = Kernel { weight, bias: None, depthwise: None, window: &window };
    conv_norm(x, &form, &norm, (&mean, &var), add, Activation::Relu).unwrap()
}

/// What libtorch computes of them, in double.
fn expected(x: &Tensor, weight: &Tensor, add: Option<&Tensor>) -> Tensor {
    let column = |salt| numbers(&[weight.size()[0]], salt);
    let (gamma, beta, mean, var) = (column(0.4), column(0.5), column(0.6), column(0.7) + 2.0);
    let plain = x.conv2d(weight, None::<&Tensor>, [1, 1], [weight.size()[2] / 2; 2], [1, 1], 1);
    let normed = plain.batch_norm(Some(&gamma), Some(&beta), Some(&mean), Some(&var), false, 0.1, 1e-3, false);
    add.map_or(normed.shallow_clone(), |add| normed + add).relu()
}

#[test]
fn winograds_form_is_the_convolution() {
    // Even and odd sides, several images in a band of tiles, ends of vectors, several strips of outputs.
    let three = [[5, 16, 18, 30], [120, 16, 18, 6], [70, 18, 16, 7], [260, 16, 80, 3], [17, 34, 130, 16]];
    let five = [[5, 16, 18, 30], [70, 18, 80, 8], [42, 20, 130, 9]];
    let shapes = three.into_iter().map(|shape| (shape, 3)).chain(five.into_iter().map(|shape| (shape, 5)));
    for (shape, kernel) in shapes {
        let [x, weight, add] = tiled(shape, kernel);
        for add in [None, Some(&add)] {
            let (y, theirs) = (evaluated(&x, &weight, add), expected(&x, &weight, add));
            let off = (y - &theirs).abs().max().double_value(&[]);
            assert!(off < 1e-9, "{shape:?}: off by {off}");
            assert!(theirs.max().double_value(&[]) > 1.0);
        }
        let single = |x: &Tensor| x.to_kind(Kind::Float);
        let (y, exact) = (evaluated(&single(&x), &single(&weight), None), expected(&x, &weight, None));
        let off = ((y.to_kind(Kind::Double) - &exact).norm() / exact.norm()).double_value(&[]);
        assert!(off < 1e-5, "{shape:?}: in float off by {off}");
        println!("{shape:?}: relative error in float {off:.1e}");
        // A slice of the channels, read in place.
        let wide = Tensor::cat(&[&x, &x], 1);
        let slice = channels_last(&wide).narrow(1, shape[1], shape[1]);
        let off = (evaluated(&slice, &weight, None) - evaluated(&x, &weight, None)).abs().max().double_value(&[]);
        assert!(off == 0.0, "{shape:?}");
    }
}

/// In bfloat16 the transforms round once more: at most three times the error of the direct form.
#[test]
fn winograds_form_in_bfloat16_is_nearly_as_exact_as_the_direct_one() {
    // Blocks of 16, 32 and 64 channels, one and several; odd sides, a last group that is not full.
    for shape in [[5, 16, 16, 32], [17, 64, 64, 16], [70, 48, 32, 7], [9, 128, 48, 21], [31, 96, 16, 13]] {
        let [images, inputs, outputs, side] = shape;
        // As they come in a network: activations behind a relu, weights about zero.
        let noise = |shape: &[i64]| (numbers(shape, 0.3) * 43758.5453).frac();
        let map = |channels| channels_last(&noise(&[images, channels, side, side])).relu();
        let [x, add] = [inputs, outputs].map(|channels| map(channels).to_kind(Kind::BFloat16));
        let weight = noise(&[outputs, inputs, 3, 3]);
        let single = weight.to_kind(Kind::Float);
        let exact = expected(&x.to_kind(Kind::Double), &weight, Some(&add.to_kind(Kind::Double)));
        let error = |y: Tensor| ((y.to_kind(Kind::Double) - &exact).norm() / exact.norm()).double_value(&[]);
        // One image at a time there are too few tiles: the direct form.
        let images: Vec<Tensor> =
            (0..shape[0]).map(|n| evaluated(&x.narrow(0, n, 1), &single, Some(&add.narrow(0, n, 1)))).collect();
        let (direct, tiles) = (error(Tensor::cat(&images, 0)), error(evaluated(&x, &single, Some(&add))));
        assert!(direct > 0.0 && tiles != direct, "one form twice");
        assert!(tiles < 3.0 * direct, "{shape:?}: {tiles:.2e}, the direct form {direct:.2e}");
        println!("{shape:?}: relative error {tiles:.2e}, the direct form's {direct:.2e}");
    }
}

/// One image at a time there are too few tiles for Winograd's algorithm: the guard gives those bits for the whole batch.
#[test]
fn direct_convolutions_can_be_required() {
    let [x, weight, _] = tiled([5, 16, 18, 30], 3).map(|tensor| tensor.to_kind(Kind::Float));
    let images: Vec<Tensor> = (0..5).map(|n| evaluated(&x.narrow(0, n, 1), &weight, None)).collect();
    let direct = Tensor::cat(&images, 0);
    assert_ne!(evaluated(&x, &weight, None), direct);
    {
        let _direct = use_direct_convolutions();
        assert_eq!(evaluated(&x, &weight, None), direct);
    }
    assert_ne!(evaluated(&x, &weight, None), direct, "the guard is dropped");
}

/// A parameter's layout is kept from batch to batch, until it changes or the guard goes.
#[test]
fn weights_are_kept_and_not_too_long() {
    // A form for large maps, one for small ones, gathered windows, a 1x1 kernel; one output in double.
    for (channels, side, kernel, stride) in [(16, 32, 3, 1), (18, 9, 3, 1), (6, 2, 3, 1), (6, 17, 3, 2), (8, 5, 1, 1)] {
        let x = channels_last(&numbers(&[5, channels, side, side], 0.1));
        let weight = channels_last(&numbers(&[16, channels, kernel, kernel], 0.2)).set_requires_grad(true);
        let out = (side - 1) / stride + 1;
        let window = WindowGeometry { stride: [stride; 2], before: [kernel / 2; 2], out: [out, out] };
        let y = || tch::no_grad(|| conv(&x, &weight, None, &window, false).unwrap());
        let off = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        let first = y();
        let kept = keep_packed_weights();
        let nested = keep_packed_weights();
        assert_eq!(off(&y(), &first), 0.0);
        // Behind libtorch's back nothing is noticed: the layout is a kept one.
        let _ = tch::no_grad(|| weight.data().g_mul_scalar_(2.0));
        drop(nested);
        assert_eq!(off(&y(), &first), 0.0);
        let _ = tch::no_grad(|| weight.shallow_clone().g_mul_scalar_(2.0));
        assert!(off(&y(), &(&first * 4.0)) < 1e-9, "a changed weight is laid out again");
        let _ = tch::no_grad(|| weight.data().g_mul_scalar_(2.0));
        drop(kept);
        assert!(off(&y(), &(&first * 8.0)) < 1e-9, "nothing is kept behind the guard");
    }
}

/// Winograd's layouts are kept too, one for each precision.
#[test]
fn transformed_weights_are_kept_for_their_precision() {
    for [inputs, outputs] in [[16, 16], [20, 24]] {
        let x = channels_last(&numbers(&[5, inputs, 32, 32], 0.1).to_kind(Kind::Float));
        let weight = numbers(&[outputs, inputs, 3, 3], 0.2).to_kind(Kind::Float);
        let weight = channels_last(&weight).set_requires_grad(true);
        let run = |bf16: bool| {
            let _no_grad = tch::no_grad_guard();
            let _autocast = crate::torch::Autocast::bf16_if(bf16, Device::Cpu);
            evaluated(&x, &weight, None)
        };
        let fresh = [run(false), run(true)];
        let _kept = keep_packed_weights();
        for bf16 in [false, true, false, true] {
            assert_eq!(run(bf16), fresh[usize::from(bf16)]);
        }
        let _ = tch::no_grad(|| weight.shallow_clone().g_mul_scalar_(3.0));
        assert!(run(true) != fresh[1] && run(false) != fresh[0]);
    }
}

/// One parameter in windows that need different taps of it.
#[test]
fn a_layout_is_kept_for_its_window() {
    let x = channels_last(&numbers(&[3, 6, 1, 1], 0.1));
    let weight = channels_last(&numbers(&[4, 6, 3, 3], 0.2)).set_requires_grad(true);
    let at = |before| {
        let window = WindowGeometry { stride: [1, 1], before: [before; 2], out: [1, 1] };
        tch::no_grad(|| conv(&x, &weight, None, &window, false).unwrap())
    };
    let fresh = [0, 1, 2].map(at);
    let _kept = keep_packed_weights();
    for before in [1, 0, 2, 0, 1] {
        assert_eq!(at(before), fresh[before as usize]);
    }
}

/// A step of an optimizer of ours writes raw memory.
#[test]
fn a_step_makes_kept_weights_new() {
    let x = channels_last(&numbers(&[5, 6, 9, 9], 0.1).to_kind(Kind::Float));
    let weight = channels_last(&numbers(&[4, 6, 3, 3], 0.2).to_kind(Kind::Float)).set_requires_grad(true);
    let window = WindowGeometry { stride: [1, 1], before: [1, 1], out: [9, 9] };
    let _kept = keep_packed_weights();
    let y = || tch::no_grad(|| conv(&x, &weight, None, &window, false).unwrap());
    let before = y();
    conv(&x, &weight, None, &window, false).unwrap().sum(Kind::Float).backward();
    let numbers = StepNumbers { lr: 0.1, alpha: 0.9, eps: 1e-8, ..StepNumbers::default() };
    let averages = [vec![weight.zeros_like().detach()]];
    let params = [weight.shallow_clone()];
    optimizer_step(StepKind::Rmsprop, &params, &[weight.grad()], &averages, &numbers).unwrap();
    assert!(y() != before);
}

/// Where a task ends, and who does it, must not show in evaluation either.
#[test]
fn the_number_of_threads_changes_no_bit_of_evaluation() {
    // Winograd in registers and by products, rows, columns of one and of several channels, small maps.
    for (channels, side, kernel, stride) in
        [(16, 33, 3, 1), (20, 32, 3, 1), (18, 9, 5, 1), (3, 17, 3, 2), (8, 17, 3, 2), (16, 3, 3, 1)]
    {
        let x = channels_last(&numbers(&[7, channels, side, side], 0.1).to_kind(Kind::BFloat16));
        let weight = numbers(&[24, channels, kernel, kernel], 0.2).to_kind(Kind::Float);
        let out = (side - 1) / stride + 1;
        let window = WindowGeometry { stride: [stride; 2], before: [kernel / 2; 2], out: [out, out] };
        let column = |salt| numbers(&[24], salt).to_kind(Kind::Float);
        let (mean, var) = (column(0.4), column(0.5) + 2.0);
        let norm = Norm { gamma: None, beta: None, mean: None, var: None, momentum: 0.1, eps: 1e-5, group: None };
        let kernel = Kernel { weight: &weight, bias: None, depthwise: None, window: &window };
        let run = || {
            let y = conv_norm(&x, &kernel, &norm, (&mean, &var), None, Activation::Silu).unwrap();
            gate(&lrn(&y, 5, 1.0, 0.75, 1.0).unwrap(), &squeeze(&y).unwrap().1).unwrap()
        };
        let one = with_threads(1, run);
        assert!(with_threads(2, run) == one && with_threads(3, run) == one, "{channels} channels of {side}x{side}");
    }
}
