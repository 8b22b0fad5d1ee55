//! The fused operations against libtorch's own, in double: outputs and every gradient.

use super::*;
use tch::Reduction;

#[path = "convolution_tests.rs"]
mod convolution;
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
