//! The fused operations against libtorch's own, in double: outputs and every gradient.

use super::*;
use tch::Reduction;

#[path = "elementwise_tests.rs"]
mod elementwise;
#[path = "evaluation_tests.rs"]
mod evaluation;

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Numbers between -1 and 1, different for every `salt`.
fn numbers(shape: &[i64], salt: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    ((Tensor::arange(count, DOUBLE) * 0.7 + salt) * 3.3).sin().view(shape)
}

fn channels_last(x: &Tensor) -> Tensor {
    crate::torch::channels_last(x).unwrap()
}

fn leaf(x: &Tensor) -> Tensor {
    x.detach().copy().set_requires_grad(true)
}

/// What `work` gives with this many threads.
fn with_threads<T>(threads: i32, work: impl FnOnce() -> T) -> T {
    let former = tch::get_num_threads();
    tch::set_num_threads(threads);
    let result = work();
    tch::set_num_threads(former);
    result
}

/// Runs both forms on leaves of their own and compares the outputs and the gradients of all leaves.
fn same(leaves: &[Tensor], ours: impl Fn(&[Tensor]) -> Tensor, theirs: impl Fn(&[Tensor]) -> Tensor, tolerance: f64) {
    let run = |form: &dyn Fn(&[Tensor]) -> Tensor| {
        let leaves: Vec<Tensor> = leaves.iter().map(leaf).collect();
        let y = form(&leaves);
        // A different weight for every element, so that no two gradients can be mistaken for one another.
        let pull = numbers(&y.size(), 0.3).to_kind(y.kind());
        (&y * pull).sum(y.kind()).backward();
        let grads: Vec<Tensor> = leaves.iter().map(Tensor::grad).collect();
        (y.detach(), grads)
    };
    let ((y, grads), (expected, expected_grads)) = (run(&ours), run(&theirs));
    // In float a value next to a corner of the non-linearity may fall on the other side of it: compared as a whole.
    let far = |a: &Tensor, b: &Tensor| match a.kind() {
        Kind::Double => (a - b).abs().max().double_value(&[]),
        _ => ((a - b).norm() / b.norm().clamp_min(1e-3)).double_value(&[]),
    };
    assert_eq!(y.size(), expected.size());
    assert!(far(&y, &expected) < tolerance, "output off by {}", far(&y, &expected));
    assert!(expected.abs().max().double_value(&[]) > 0.01, "nothing to compare");
    for (index, (a, b)) in grads.iter().zip(&expected_grads).enumerate() {
        assert!(a.defined() && a.size() == b.size(), "gradient {index}");
        assert!(far(a, b) < tolerance, "gradient {index} off by {}", far(a, b));
    }
}

struct Case {
    images: i64,
    input: [i64; 3],
    width: i64,
    kernel: i64,
    stride: i64,
    pad: i64,
    groups: i64,
}

fn cases() -> Vec<Case> {
    let grouped =
        |images, input, width, kernel, stride, pad, groups| Case { images, input, width, kernel, stride, pad, groups };
    let case = |images, input, width, kernel, stride, pad| grouped(images, input, width, kernel, stride, pad, 1);
    vec![
        case(5, [6, 4, 4], 10, 3, 1, 1),
        // Winograd with as many outputs as one register, or two, of AVX-512 and of AVX2 have.
        case(120, [16, 6, 6], 16, 3, 1, 1),
        case(32, [18, 12, 11], 32, 3, 1, 1),
        case(3, [20, 2, 2], 18, 5, 1, 2),
        case(7, [8, 1, 1], 34, 3, 1, 1),
        case(4, [34, 5, 3], 66, 1, 1, 0),
        case(130, [4, 5, 5], 6, 3, 2, 1),
        case(9, [6, 7, 7], 4, 1, 2, 0),
        case(2, [6, 6, 6], 4, 3, 1, 0),
        case(600, [66, 1, 1], 70, 1, 1, 0),
        case(2, [40, 32, 32], 8, 1, 1, 0),
        case(20, [16, 11, 13], 18, 3, 1, 1),
        case(3, [6, 9, 9], 70, 5, 1, 2),
        case(2, [66, 10, 12], 4, 3, 1, 0),
        case(3, [16, 17, 16], 6, 3, 2, 1),
        case(2, [1, 28, 28], 64, 7, 2, 3),
        case(18, [3, 9, 9], 16, 3, 1, 1),
        // Enough tiles for Winograd's algorithm, in training too: of 2x2 outputs, then of 4x4, then of 5x5 kernels.
        case(120, [16, 6, 6], 18, 3, 1, 1),
        case(26, [18, 13, 12], 20, 3, 1, 1),
        case(32, [16, 12, 11], 70, 3, 1, 1),
        case(52, [16, 9, 8], 18, 5, 1, 2),
        case(25, [34, 12, 13], 70, 5, 1, 2),
        // Groups: several in a slice of channels, one, all; by every variant.
        grouped(32, [32, 12, 11], 32, 3, 1, 1, 8),
        grouped(40, [48, 9, 8], 96, 3, 1, 1, 3),
        grouped(3, [24, 9, 9], 36, 3, 1, 1, 4),
        grouped(3, [12, 9, 9], 12, 3, 1, 1, 6),
        grouped(4, [32, 5, 5], 64, 3, 2, 1, 4),
        grouped(5, [64, 3, 3], 32, 3, 1, 1, 2),
        grouped(2, [20, 17, 16], 40, 3, 2, 1, 4),
        grouped(3, [15, 9, 9], 10, 3, 1, 1, 5),
        grouped(4, [32, 5, 3], 48, 1, 1, 0, 2),
    ]
}

fn check(case: &Case, relu: bool, kind: Kind, tolerance: f64) {
    let Case { images, input: [c, h, w], width, kernel, stride, pad, groups } = *case;
    let x = channels_last(&numbers(&[images, c, h, w], 0.1).to_kind(kind));
    let weight = (numbers(&[width, c / groups, kernel, kernel], 0.2) * 0.3).to_kind(kind);
    let bias = numbers(&[width], 0.4).to_kind(kind);
    let out = [(h + 2 * pad - kernel) / stride + 1, (w + 2 * pad - kernel) / stride + 1];
    let window = WindowGeometry { stride: [stride, stride], before: [pad, pad], out };
    let ours = |l: &[Tensor]| conv(&l[0], &l[1], Some(&l[2]), &window, relu).unwrap();
    let theirs = |l: &[Tensor]| {
        let y = l[0].conv2d(&l[1], Some(&l[2]), [stride, stride], [pad, pad], [1, 1], groups);
        if relu { y.relu() } else { y }
    };
    same(&[x, weight, bias], ours, theirs, tolerance);
}

#[test]
fn a_convolution_of_products_is_the_convolution() {
    for case in cases() {
        check(&case, true, Kind::Double, 1e-10);
        check(&case, false, Kind::Double, 1e-10);
    }
}

/// The end of a residual block: relu(factor · (conv(x) + bias) + shortcut), and the same without the factor or the ReLU.
#[test]
fn a_shortcut_joins_the_convolution() {
    for (case, (factor, relu)) in
        cases().iter().zip([(0.3, true), (1.0, true), (0.3, false), (1.0, false)].into_iter().cycle())
    {
        let Case { images, input: [c, h, w], width, kernel, stride, pad, groups } = *case;
        let x = channels_last(&numbers(&[images, c, h, w], 0.1));
        let weight = numbers(&[width, c / groups, kernel, kernel], 0.2) * 0.3;
        let bias = numbers(&[width], 0.4);
        let out = [(h + 2 * pad - kernel) / stride + 1, (w + 2 * pad - kernel) / stride + 1];
        let shortcut = channels_last(&numbers(&[images, width, out[0], out[1]], 0.5));
        let window = WindowGeometry { stride: [stride, stride], before: [pad, pad], out };
        let ours = |l: &[Tensor]| conv_sum(&l[0], &l[1], Some(&l[2]), (factor, &l[3]), &window, relu).unwrap();
        let theirs = |l: &[Tensor]| {
            let y = l[0].conv2d(&l[1], Some(&l[2]), [stride, stride], [pad, pad], [1, 1], groups) * factor + &l[3];
            if relu { y.relu() } else { y }
        };
        let leaves = [x, weight, bias, shortcut];
        same(&leaves, ours, theirs, 1e-10);
        // Evaluation, which records no graph, has a path of its own.
        let off = tch::no_grad(|| (ours(&leaves) - theirs(&leaves)).abs().max().double_value(&[]));
        assert!(off < 1e-10, "evaluation off by {off}");
    }
}

#[test]
fn in_float_too() {
    for case in cases() {
        check(&case, true, Kind::Float, 2e-4);
    }
}

/// Under autocast: the same function of the same rounded numbers, its sums in float.
#[test]
fn in_bfloat16_it_is_as_near_as_bfloat16_allows() {
    for Case { images, input: [c, h, w], width, kernel, stride, pad, groups } in cases() {
        let rounded = |x: Tensor| x.to_kind(Kind::BFloat16).to_kind(Kind::Float);
        let x = channels_last(&rounded(numbers(&[images, c, h, w], 0.1)));
        let weight = rounded(numbers(&[width, c / groups, kernel, kernel], 0.2) * 0.3);
        let out = [(h + 2 * pad - kernel) / stride + 1, (w + 2 * pad - kernel) / stride + 1];
        let window = WindowGeometry { stride: [stride, stride], before: [pad, pad], out };
        let run = |ours: bool| {
            let leaves = [leaf(&x), leaf(&weight)];
            let y = if ours {
                let _autocast = crate::torch::Autocast::bf16(Device::Cpu);
                conv(&leaves[0], &leaves[1], None, &window, true).unwrap()
            } else {
                leaves[0].conv2d(&leaves[1], None::<&Tensor>, [stride, stride], [pad, pad], [1, 1], groups).relu()
            };
            assert_eq!(y.kind(), if ours { Kind::BFloat16 } else { Kind::Float });
            let y = y.to_kind(Kind::Float);
            y.mse_loss(&y.zeros_like(), Reduction::Sum).backward();
            [y.detach(), leaves[0].grad(), leaves[1].grad()]
        };
        for (index, (a, b)) in run(true).iter().zip(&run(false)).enumerate() {
            assert_eq!(a.kind(), Kind::Float);
            let off = ((a - b).norm() / b.norm()).double_value(&[]);
            assert!(
                off < 0.01,
                "{index}: off by {off} in {c}x{h}x{w} → {width}, kernel {kernel}, stride {stride}, groups {groups}"
            );
        }
    }
}

/// Without a ReLU, the gradients use Winograd's algorithm, too. Transforms and products are in float, so that only the stored results are
/// rounded.
#[test]
fn in_bfloat16_winograds_sums_are_in_float() {
    for [images, inputs, outputs, side] in [[32, 16, 32, 12], [9, 64, 48, 21], [120, 16, 18, 6], [26, 18, 20, 13]] {
        let rounded = |x: Tensor| channels_last(&x.to_kind(Kind::BFloat16).to_kind(Kind::Float));
        let x = rounded(numbers(&[images, inputs, side, side], 0.1));
        let pull = rounded(numbers(&[images, outputs, side, side], 0.3));
        let weight = rounded(numbers(&[outputs, inputs, 3, 3], 0.2));
        let run = |kind: Kind, form: &dyn Fn(&[Tensor]) -> Tensor| {
            let leaves = [&x, &weight].map(|tensor| leaf(&tensor.to_kind(kind)));
            let y = form(&leaves);
            (&y * pull.to_kind(y.kind())).sum(Kind::Double).backward();
            [y.detach(), leaves[0].grad(), leaves[1].grad()]
        };
        let window = WindowGeometry { stride: [1, 1], before: [1, 1], out: [side, side] };
        let ours = run(Kind::Float, &|l| {
            let _autocast = crate::torch::Autocast::bf16(Device::Cpu);
            conv(&l[0], &l[1], None, &window, false).unwrap()
        });
        let exact = run(Kind::Double, &|l| l[0].conv2d(&l[1], None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1));
        // Half a unit in the last place of bfloat16; the gradient of the weight is stored in float.
        let stored = [2e-3, 2e-3, 1e-5];
        for ((a, b), most) in ours.iter().zip(&exact).zip(stored) {
            let off = ((a.to_kind(Kind::Double) - b).norm() / b.norm()).double_value(&[]);
            assert!(off < most, "{images}x{inputs}x{side}x{side} → {outputs}: off by {off:.1e} of {most}");
        }
    }
}

#[test]
fn a_slice_of_channels_needs_no_copy() {
    let whole = channels_last(&numbers(&[4, 24, 3, 3], 0.5));
    let weight = numbers(&[10, 8, 3, 3], 0.6);
    let window = WindowGeometry { stride: [1, 1], before: [1, 1], out: [3, 3] };
    let part = |l: &[Tensor]| l[0].narrow(1, 8, 8);
    same(
        &[whole, weight],
        |l| conv(&part(l), &l[1], None, &window, true).unwrap(),
        |l| part(l).conv2d(&l[1], None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1).relu(),
        1e-10,
    );
}

#[test]
fn normalisation_with_what_follows_it() {
    let acts = [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu];
    for (shape, kind, tolerance) in [
        ([6, 16, 4, 4], Kind::Double, 1e-9),
        ([3, 21, 5, 2], Kind::Double, 1e-9),
        ([200, 40, 7, 7], Kind::Float, 2e-2),
        ([2, 1, 3, 3], Kind::Double, 1e-9),
    ] {
        for act in acts {
            for (train, added) in [(true, false), (false, false), (true, true), (false, true)] {
                if added && matches!(act, Activation::Relu6 | Activation::Silu) {
                    continue;
                }
                let x = channels_last(&(numbers(&shape, 0.1) * 3.0 + 5.0).to_kind(kind));
                let add = channels_last(&numbers(&shape, 0.8).to_kind(kind));
                let c = shape[1];
                let (gamma, beta) = ((numbers(&[c], 0.2) + 1.5).to_kind(kind), numbers(&[c], 0.3).to_kind(kind));
                let running = || [(numbers(&[c], 0.4) + 5.0).to_kind(kind), (numbers(&[c], 0.5) + 2.0).to_kind(kind)];
                let (ours, theirs) = (running(), running());
                let form = |l: &[Tensor]| {
                    let norm = Norm {
                        gamma: Some(&l[2]),
                        beta: Some(&l[3]),
                        mean: Some(&ours[0]),
                        var: Some(&ours[1]),
                        momentum: 0.1,
                        eps: 1e-3,
                        group: None,
                    };
                    let y = norm_act(&l[0], added.then_some(&l[1]), &norm, act, train).unwrap();
                    if added { y } else { y + &l[1] * 0.0 }
                };
                let plain = |l: &[Tensor]| {
                    let [mean, var] = &theirs;
                    let y = l[0].batch_norm(Some(&l[2]), Some(&l[3]), Some(mean), Some(var), train, 0.1, 1e-3, false);
                    if added { act.apply(y + &l[1]) } else { act.apply(y) + &l[1] * 0.0 }
                };
                same(&[x, add, gamma, beta], form, plain, tolerance);
                for (a, b) in ours.iter().zip(&theirs) {
                    assert!((a - b).abs().max().double_value(&[]) < 1e-5, "running statistics");
                }
            }
        }
    }
}

#[test]
fn response_normalisation_and_its_gradient() {
    // Odd and even windows, wider than the channels; ends of vectors; AlexNet's power and another.
    for (channels, size, beta) in [(19, 5, 0.75), (32, 4, 0.75), (3, 7, 0.6), (64, 1, 0.75), (50, 2, 1.0)] {
        let x = channels_last(&(numbers(&[3, channels, 4, 5], 0.1) * 3.0));
        let ours = |l: &[Tensor]| lrn(&l[0], size, 0.9, beta, 1.5).unwrap();
        same(&[x.shallow_clone()], ours, |l| plain_lrn(&l[0], size, 0.9, beta, 1.5), 1e-12);
        let rounded = x.to_kind(Kind::BFloat16);
        let exact = plain_lrn(&rounded.to_kind(Kind::Double), size, 0.9, beta, 1.5);
        let y = lrn(&rounded, size, 0.9, beta, 1.5).unwrap();
        assert_eq!(y.kind(), Kind::BFloat16);
        let off = ((y.to_kind(Kind::Double) - &exact).norm() / exact.norm()).double_value(&[]);
        assert!(off < 3e-3, "{channels} channels, windows of {size}: off by {off}");
    }
    assert!(lrn(&channels_last(&numbers(&[1, 4, 2, 2], 0.1)), 0, 1.0, 0.75, 1.0).is_err());
}

#[test]
fn pooling_finds_the_same_maxima() {
    for (side, kernel, stride, pad) in [(7, 3, 2, 1), (4, 3, 1, 1), (6, 2, 2, 0), (1, 3, 1, 1)] {
        let x = channels_last(&numbers(&[5, 19, side, side], 0.1));
        let out = (side + 2 * pad - kernel) / stride + 1;
        let window = WindowGeometry { stride: [stride, stride], before: [pad, pad], out: [out, out] };
        same(
            &[x],
            |l| max_pool(&l[0], [kernel, kernel], &window).unwrap(),
            |l| l[0].max_pool2d([kernel, kernel], [stride, stride], [pad, pad], [1, 1], false),
            1e-12,
        );
    }
    let holes = channels_last(&Tensor::full([1, 2, 2, 2], f64::NAN, DOUBLE));
    let window = WindowGeometry { stride: [2, 2], before: [0, 0], out: [1, 1] };
    assert!(max_pool(&holes, [2, 2], &window).unwrap().isnan().all().int64_value(&[]) == 1);
}

/// Where a task ends, and who does it, must not show in the sums: the forms for small maps, for rows, for columns.
#[test]
fn the_number_of_threads_changes_no_bit() {
    for (side, channels, stride) in [(6, 32, 1), (11, 16, 1), (17, 8, 2), (9, 3, 1)] {
        no_bit_changes(side, channels, stride);
    }
}

fn no_bit_changes(side: i64, channels: i64, stride: i64) {
    let x = channels_last(&numbers(&[64, channels, side, side], 0.1).to_kind(Kind::Float));
    let weight = numbers(&[48, channels, 3, 3], 0.2).to_kind(Kind::Float);
    let taps = numbers(&[48, 1, 3, 3], 0.3).to_kind(Kind::Float);
    let out = (side - 1) / stride + 1;
    let window = WindowGeometry { stride: [stride; 2], before: [1, 1], out: [out, out] };
    let same = WindowGeometry { stride: [1, 1], before: [1, 1], out: [out, out] };
    let run = || {
        let leaves = [leaf(&x), leaf(&weight), leaf(&taps)];
        let _autocast = crate::torch::Autocast::bf16(Device::Cpu);
        let y = conv(&leaves[0], &leaves[1], None, &window, true).unwrap();
        let norm = Norm { gamma: None, beta: None, mean: None, var: None, momentum: 0.1, eps: 1e-5, group: None };
        let z = norm_act(&y, Some(&y), &norm, Activation::Relu, true).unwrap();
        let z = depthwise(&lrn(&z, 5, 1.0, 0.75, 1.0).unwrap(), &leaves[2], None, [3, 3], &same).unwrap();
        z.to_kind(Kind::Float).square().sum(Kind::Float).backward();
        [z.to_kind(Kind::Float), leaves[0].grad(), leaves[1].grad(), leaves[2].grad()]
    };
    let one = with_threads(1, run);
    for threads in [2, 3] {
        for (index, (one, other)) in one.iter().zip(&with_threads(threads, run)).enumerate() {
            assert_eq!(one, other, "tensor {index}, {threads} threads, {channels} channels of {side}x{side}");
        }
    }
}

#[test]
fn a_depthwise_convolution_is_one_with_a_group_a_channel() {
    for (kind, tolerance) in [(Kind::Double, 1e-10), (Kind::Float, 1e-4)] {
        for (images, c, side, kernel, stride) in
            [(5, 19, 6, 3, 1), (3, 32, 7, 5, 2), (20, 16, 1, 5, 1), (2, 40, 2, 3, 2)]
        {
            let pad = kernel / 2;
            let x = channels_last(&numbers(&[images, c, side, side], 0.1).to_kind(kind));
            let (weight, bias) =
                (numbers(&[c, 1, kernel, kernel], 0.2).to_kind(kind), numbers(&[c], 0.3).to_kind(kind));
            let out = (side + 2 * pad - kernel) / stride + 1;
            let window = WindowGeometry { stride: [stride, stride], before: [pad, pad], out: [out, out] };
            same(
                &[x, weight, bias],
                |l| depthwise(&l[0], &l[1], Some(&l[2]), [kernel, kernel], &window).unwrap(),
                |l| l[0].conv2d(&l[1], Some(&l[2]), [stride, stride], [pad, pad], [1, 1], c),
                tolerance,
            );
        }
    }
}

#[test]
fn concatenation_gives_slices_back() {
    let parts = [3, 8, 1].map(|c| channels_last(&numbers(&[4, c, 3, 2], 0.1 * c as f64)));
    same(&parts, |l| concat(l).unwrap(), |l| Tensor::cat(l, 1), 1e-12);
}

/// bfloat16 takes another way through the kernels.
#[test]
fn pooling_in_bfloat16_finds_the_same_maxima() {
    for (c, side, kernel, stride, pad) in [(19, 7, 3, 2, 1), (64, 4, 3, 1, 1), (33, 6, 2, 2, 0)] {
        let x = channels_last(&numbers(&[5, c, side, side], 0.1).to_kind(Kind::BFloat16));
        let out = (side + 2 * pad - kernel) / stride + 1;
        let window = WindowGeometry { stride: [stride, stride], before: [pad, pad], out: [out, out] };
        same(
            &[x],
            |l| max_pool(&l[0], [kernel, kernel], &window).unwrap().to_kind(Kind::Float),
            |l| l[0].max_pool2d([kernel, kernel], [stride, stride], [pad, pad], [1, 1], false).to_kind(Kind::Float),
            0.01,
        );
    }
    for sign in [1.0, -1.0] {
        let hole = channels_last(&Tensor::from_slice(&[1.0, f64::NAN * sign, 2.0, 3.0]).view([1, 1, 2, 2]));
        let window = WindowGeometry { stride: [2, 2], before: [0, 0], out: [1, 1] };
        let found = max_pool(&hole.to_kind(Kind::BFloat16), [2, 2], &window).unwrap();
        assert!(found.to_kind(Kind::Float).double_value(&[0, 0, 0, 0]).is_nan());
    }
}

#[test]
fn shortcut_a_picks_pixels_and_adds_channels() {
    for (side, stride) in [(6, 2), (5, 2), (4, 1)] {
        let x = channels_last(&numbers(&[3, 7, side, side], 0.1));
        let theirs = |l: &[Tensor]| {
            l[0].slice(2, None, None, stride).slice(3, None, None, stride).constant_pad_nd([0, 0, 0, 0, 0, 5])
        };
        same(&[x], |l| subsample(&l[0], 12, stride).unwrap(), theirs, 1e-12);
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_not_a_read_past_the_end() {
    let x = channels_last(&numbers(&[2, 4, 6, 6], 0.1).to_kind(Kind::Float));
    let window = WindowGeometry { stride: [1, 1], before: [1, 1], out: [6, 6] };
    let weight = |out: i64, channels: i64, kind| numbers(&[out, channels, 3, 3], 0.2).to_kind(kind);
    assert!(conv(&x, &weight(6, 5, Kind::Float), None, &window, false).is_err());
    assert!(conv(&x, &weight(6, 4, Kind::Double), None, &window, false).is_err());
    let short = numbers(&[3], 0.3).to_kind(Kind::Float);
    assert!(conv(&x, &weight(6, 4, Kind::Float), Some(&short), &window, false).is_err());
    let norm =
        |column| Norm { gamma: column, beta: column, mean: None, var: None, momentum: 0.1, eps: 1e-5, group: None };
    assert!(norm_act(&x, None, &norm(Some(&short)), Activation::None, true).is_err());
    assert!(norm_act(&x, None, &norm(None), Activation::None, false).is_err());
    assert!(norm_act(&x, Some(&short), &norm(None), Activation::None, true).is_err());
    assert!(depthwise(&x, &numbers(&[5, 1, 3, 3], 0.2).to_kind(Kind::Float), None, [3, 3], &window).is_err());
    assert!(max_pool(&x, [17, 17], &window).is_err());
    assert!(concat(&[]).is_err());
    assert!(gate(&x, &short).is_err());
    let vector = numbers(&[2, 4], 0.1).to_kind(Kind::Float);
    assert!(conv(&vector, &weight(6, 4, Kind::Float), None, &window, false).is_err());
}

#[test]
fn activations_have_the_numbers_of_the_kernels() {
    // SAFETY: the name is a string of C.
    let number = |name: &std::ffi::CStr| unsafe { ffi::strata_activation(name.as_ptr()) };
    for act in [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu] {
        let name = std::ffi::CString::new(format!("{act:?}").to_lowercase()).unwrap();
        assert_eq!(number(&name), act as c_int, "{act:?}");
    }
    assert_eq!(number(c"sigmoid"), -1, "it has no kernel, and no entry in `Activation`");
}
