//! Convolutions of every variant, alone and with a shortcut in the sum, against libtorch's.

use super::*;

#[derive(Debug)]
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

impl Case {
    /// The map, the weight and the bias, in double.
    fn tensors(&self) -> [Tensor; 3] {
        let Case { images, input: [c, h, w], width, kernel, groups, .. } = *self;
        let x = channels_last(&numbers(&[images, c, h, w], 0.1));
        [x, numbers(&[width, c / groups, kernel, kernel], 0.2) * 0.3, numbers(&[width], 0.4)]
    }

    fn window(&self) -> WindowGeometry {
        let Case { input: [_, h, w], kernel, stride, pad, .. } = *self;
        let out = [h, w].map(|side| (side + 2 * pad - kernel) / stride + 1);
        WindowGeometry { stride: [stride, stride], before: [pad, pad], out }
    }

    /// The convolution by libtorch.
    fn plain(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let Case { stride, pad, groups, .. } = *self;
        x.conv2d(weight, bias, [stride, stride], [pad, pad], [1, 1], groups)
    }
}

fn check(case: &Case, relu: bool, kind: Kind, tolerance: f64) {
    let window = case.window();
    let ours = |l: &[Tensor]| conv(&l[0], &l[1], Some(&l[2]), &window, relu).unwrap();
    let theirs = |l: &[Tensor]| {
        let y = case.plain(&l[0], &l[1], Some(&l[2]));
        if relu { y.relu() } else { y }
    };
    same(&case.tensors().map(|tensor| tensor.to_kind(kind)), ours, theirs, tolerance);
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
        let window = case.window();
        let [down, right] = window.out;
        let shortcut = channels_last(&numbers(&[case.images, case.width, down, right], 0.5));
        let ours = |l: &[Tensor]| conv_sum(&l[0], &l[1], Some(&l[2]), (factor, &l[3]), &window, relu).unwrap();
        let theirs = |l: &[Tensor]| {
            let y = case.plain(&l[0], &l[1], Some(&l[2])) * factor + &l[3];
            if relu { y.relu() } else { y }
        };
        let [x, weight, bias] = case.tensors();
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
    for case in cases() {
        let window = case.window();
        let [x, weight, _] = case.tensors().map(|x| x.to_kind(Kind::BFloat16).to_kind(Kind::Float));
        let run = |ours: bool| {
            let leaves = [leaf(&x), leaf(&weight)];
            let y = if ours {
                let _autocast = crate::torch::Autocast::bf16(Device::Cpu);
                conv(&leaves[0], &leaves[1], None, &window, true).unwrap()
            } else {
                case.plain(&leaves[0], &leaves[1], None).relu()
            };
            assert_eq!(y.kind(), if ours { Kind::BFloat16 } else { Kind::Float });
            let y = y.to_kind(Kind::Float);
            y.mse_loss(&y.zeros_like(), Reduction::Sum).backward();
            [y.detach(), leaves[0].grad(), leaves[1].grad()]
        };
        for (index, (a, b)) in run(true).iter().zip(&run(false)).enumerate() {
            assert_eq!(a.kind(), Kind::Float);
            let off = ((a - b).norm() / b.norm()).double_value(&[]);
            assert!(off < 0.01, "{index}: off by {off} in {case:?}");
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
