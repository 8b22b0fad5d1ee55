//! Tests of passes over single numbers: gates, gated sums, dropout.

use super::*;

#[test]
fn squeeze_gate_and_fork() {
    let x = channels_last(&numbers(&[5, 19, 3, 4], 0.1));
    let ours = |l: &[Tensor]| {
        let (one, other) = fork(&l[0]).unwrap();
        let (same, mean) = squeeze(&one).unwrap();
        gate(&same, &mean.sigmoid()).unwrap() + other
    };
    let theirs = |l: &[Tensor]| {
        let mean = l[0].mean_dim([2i64, 3].as_slice(), true, None::<Kind>);
        &l[0] * mean.sigmoid() + &l[0]
    };
    same(&[x], ours, theirs, 1e-12);
}

#[test]
fn gated_sums() {
    let maps = [0.1, 0.2, 0.3].map(|seed| channels_last(&numbers(&[3, 19, 3, 5], seed)));
    let highway = |l: &[Tensor]| &l[2] + l[0].sigmoid() * (&l[1] - &l[2]);
    same(&maps, |l| gated_sum(&l[0], &l[1], &l[2], false).unwrap(), highway, 1e-12);
    let shortcut_only = |l: &[Tensor]| &l[1] + (1.0 - l[0].sigmoid()) * &l[2];
    same(&maps, |l| gated_sum(&l[0], &l[1], &l[2], true).unwrap(), shortcut_only, 1e-12);
    let rounded = maps.each_ref().map(|map| map.to_kind(Kind::BFloat16));
    let exact = highway(&rounded.each_ref().map(|map| map.to_kind(Kind::Double)));
    let y = gated_sum(&rounded[0], &rounded[1], &rounded[2], false).unwrap();
    assert!(
        (y.to_kind(Kind::Double) - &exact).abs().max().double_value(&[]) < 0.01 * exact.abs().max().double_value(&[])
    );
    let small = channels_last(&numbers(&[3, 19, 3, 4], 0.1));
    assert!(gated_sum(&maps[0], &maps[1], &small, false).is_err());
    assert!(gated_sum(&maps[0], &maps[1], &rounded[2], false).is_err());
}

/// Salmon et al. 2011, known answers of Philox4x32-10 for a counter and a key of zeros: 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
#[test]
fn dropout_draws_by_philox() {
    let ones = Tensor::ones([100], (Kind::Double, Device::Cpu));
    for (place, number) in [(0, 0x6627_e8d5_u32), (16, 0xe169_c58d), (32, 0xbc57_ac4c), (48, 0x9b00_dbd8)] {
        let share = f64::from(number) / 4_294_967_296.0;
        let value = |rate: f64| dropout(&ones, rate, 0).unwrap().double_value(&[place]);
        assert_eq!(value(share + 1e-6), 0.0);
        assert_eq!(value(share - 1e-6), 1.0 / (1.0 - (share - 1e-6)));
    }
}

#[test]
fn dropout_keeps_its_share_and_its_mask() {
    for kind in [Kind::BFloat16, Kind::Float, Kind::Double] {
        let x = channels_last(&Tensor::ones([7, 19, 31, 33], (kind, Device::Cpu))).set_requires_grad(true);
        let y = dropout(&x, 0.25, 7).unwrap();
        let mean = y.to_kind(Kind::Double).mean(None::<Kind>).double_value(&[]);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        y.to_kind(Kind::Float).sum(None::<Kind>).backward();
        assert!(x.grad().equal(&y), "the backward pass has another mask");
        assert!(dropout(&x, 0.25, 7).unwrap().equal(&y));
        assert!(!dropout(&x, 0.25, 8).unwrap().equal(&y));
        assert!(
            with_threads(3, || dropout(&x, 0.25, 7).unwrap()).equal(&with_threads(1, || dropout(&x, 0.25, 7).unwrap()))
        );
        // A gradient that is laid out otherwise, and a tensor with gaps.
        let leaf = x.detach().set_requires_grad(true);
        (dropout(&leaf, 0.25, 7).unwrap().contiguous() * 2.0)
            .contiguous()
            .to_kind(Kind::Float)
            .sum(None::<Kind>)
            .backward();
        assert!(leaf.grad().equal(&(&y * 2.0)));
        assert_eq!(dropout(&x.narrow(3, 1, 20), 0.25, 7).unwrap().size(), [7, 19, 31, 20]);
    }
    let x = numbers(&[5], 0.1);
    assert!(dropout(&x, 0.0, 3).unwrap().equal(&x));
    assert!(dropout(&x, 1.0, 3).is_err() && dropout(&x, f64::NAN, 3).is_err());
    assert!(dropout(&x.to_kind(Kind::Int64), 0.5, 3).is_err());
}
