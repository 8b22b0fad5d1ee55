//! Similarity of representations: linear CKA (Kornblith et al. 2019), debiased and in minibatches (Nguyen et al. 2021).

use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject};
use crate::figures::heatmap::Heatmap;
use crate::figures::ramp::Ramp;
use crate::named::{KeyError, check_range};
use crate::runs::{Table, significant};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use tch::{Kind, Tensor};

/// Options of the study `similarity`: CKA between the outputs of the parts of one run, or of two, on test images. Outputs are
/// flattened; sums of the unbiased HSIC over batches are divided, not their quotients averaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Similarity {
    /// Test images; a last batch that is not full is left out.
    pub images: usize,
    pub batch: usize,
}

impl Default for Similarity {
    fn default() -> Similarity {
        Similarity { images: 2048, batch: 256 }
    }
}

const COLUMNS: [&str; 7] = ["run", "part", "name", "other_run", "other_part", "other_name", "cka"];

/// The Gram matrix of features `[N, …]` as a row `[N²]`, prepared so that the product with another such row is the unbiased HSIC
/// of Song et al. (2012), up to a factor.
///
/// Centring a matrix with a zero diagonal in the unbiased way (Székely and Rizzo 2014) makes the HSIC a plain inner product.
fn prepared(features: &Tensor) -> Tensor {
    let x = features.flatten(1, -1).to_kind(Kind::Double);
    let n = x.size()[0] as f64;
    let gram = x.matmul(&x.transpose(0, 1));
    let diagonal = Tensor::eye(n as i64, (Kind::Double, x.device()));
    let off = Tensor::ones_like(&diagonal) - diagonal;
    let k = gram * &off;
    let sums = k.sum_dim_intlist([1i64].as_slice(), true, Kind::Double);
    let total = k.sum(Kind::Double) / ((n - 1.0) * (n - 2.0));
    let centred = &k - (&sums + sums.transpose(0, 1)) / (n - 2.0) + total;
    (centred * off).flatten(0, -1)
}

impl Protocol for Similarity {
    fn about(&self) -> &'static str {
        "CKA between the layers of one run or two"
    }

    fn runs(&self) -> RangeInclusive<usize> {
        1..=2
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("batch", self.batch as f64, 4.0, 1e5)?;
        check_range("images", self.images as f64, self.batch as f64, 1e9)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        let [first, second] = [subjects.first(), subjects.last()];
        let (Some(first), Some(second)) = (first, second) else { return Ok(()) };
        let (cka, names) = self.cka(first, second)?;
        let [own, other] = &names;
        rows.begin(&COLUMNS, own.len() * other.len());
        for (i, name) in own.iter().enumerate() {
            for (j, other_name) in other.iter().enumerate() {
                let value = cka.double_value(&[i as i64, j as i64]);
                let number = |index: usize| (index + 1).to_string();
                rows.row(i * other.len() + j, "", || {
                    let own = [first.name.clone(), number(i), name.clone()];
                    let other = [second.name.clone(), number(j), other_name.clone(), significant(value)];
                    Ok(own.into_iter().chain(other).collect())
                })?;
            }
        }
        Ok(())
    }

    fn picture(&self, _: &[Subject], table: &Table) -> Result<String, StudyError> {
        let view = Selection::new(table);
        let (parts, others) = (view.values("part"), view.values("other_part"));
        let values = parts.iter().map(|part| view.matching(&[("part", part)]).numbers("cka")).collect();
        let label = |run: &str| format!("part of {run}, in order");
        let number = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        let heatmap = Heatmap {
            title: "Similarity of representations".to_owned(),
            note: format!(
                "Linear CKA, debiased, on {} test images; 1 is the same up to rotation and scale.",
                self.images
            ),
            labels: [label(view.text("other_run")), label(view.text("run"))],
            x: number(&others),
            y: number(&parts),
            values,
            unit: "CKA".to_owned(),
            ramp: Ramp::Linear([0.0, 1.0]),
            contours: Vec::new(),
            path: Vec::new(),
            surface: false,
        };
        Ok(heatmap.svg())
    }
}

impl Similarity {
    /// CKA `[parts of the first, parts of the second]` and the names of the parts.
    fn cka(&self, first: &Subject, second: &Subject) -> Result<(Tensor, [Vec<String>; 2]), StudyError> {
        let _no_grad = tch::no_grad_guard();
        let networks = [(first, first.parts()?), (second, second.parts()?)];
        let mut sums: Option<[Tensor; 3]> = None;
        let [own, other] = [first, second].map(|subject| subject.batches(Split::Test, self.images, self.batch));
        for ((x, labels), (y, other_labels)) in own?.into_iter().zip(other?) {
            if !labels.equal(&other_labels) {
                return Err(StudyError::Unfit("the runs need the same test images".to_owned()));
            }
            if labels.size()[0] < self.batch as i64 {
                continue;
            }
            let grams = |(subject, parts): &(&Subject, crate::model::SplitModel), x: &Tensor| {
                let _autocast = subject.autocast();
                let mut x = x.shallow_clone();
                let mut grams = Vec::new();
                for part in &parts.list {
                    x = part.forward(&x, false);
                    grams.push(prepared(&x));
                }
                Tensor::stack(&grams, 0)
            };
            let [a, b] = [grams(&networks[0], &x), grams(&networks[1], &y)];
            let own = |a: &Tensor| a.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
            let batch = [a.matmul(&b.transpose(0, 1)), own(&a), own(&b)];
            sums = Some(match sums {
                None => batch,
                Some([ab, aa, bb]) => [ab + &batch[0], aa + &batch[1], bb + &batch[2]],
            });
        }
        let Some([ab, aa, bb]) = sums else {
            return Err(StudyError::Unfit(format!("there are fewer than {} test images", self.batch)));
        };
        let cka = ab / (aa.unsqueeze(1) * bb.unsqueeze(0)).sqrt();
        let names = networks.map(|(_, parts)| parts.list.iter().map(|part| part.label.clone()).collect());
        Ok((cka, names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn input(shape: [i64; 2], factor: f64) -> Tensor {
        (Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * factor).sin().view(shape)
    }

    /// Song et al. 2012, equation 5, term by term.
    #[test]
    fn the_inner_product_is_the_unbiased_hsic() {
        let (x, y) = (input([7, 3], 0.7), input([7, 5], 1.3));
        let n = 7.0;
        let zero_diagonal = |x: &Tensor| {
            let gram = x.matmul(&x.transpose(0, 1));
            &gram - gram.diagonal(0, 0, 1).diag_embed(0, 0, 1)
        };
        let [k, l] = [zero_diagonal(&x), zero_diagonal(&y)];
        let total = |tensor: &Tensor| tensor.sum(Kind::Double).double_value(&[]);
        let product = k.matmul(&l);
        let hsic = (product.trace().double_value(&[]) + total(&k) * total(&l) / ((n - 1.0) * (n - 2.0))
            - 2.0 / (n - 2.0) * total(&product))
            / (n * (n - 3.0));
        let ours = (prepared(&x) * prepared(&y)).sum(Kind::Double).double_value(&[]) / (n * (n - 3.0));
        assert!((ours - hsic).abs() < 1e-12 * hsic.abs().max(1.0), "{ours} against {hsic}");
    }

    /// Kornblith et al. 2019: CKA of a representation with itself, rotated or scaled, is 1.
    #[test]
    fn a_network_is_like_itself() {
        let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8";
        let subject = Subject::example(crate::arch::golden::network(keys, [3, 32, 32], 4), 16);
        let (cka, names) = Similarity { images: 16, batch: 8 }.cka(&subject, &subject).unwrap();
        let ones = cka.diagonal(0, 0, 1);
        assert!(ones.allclose(&ones.ones_like(), 1e-9, 1e-9, false), "{ones}");
        assert_eq!(names[0].len() as i64, cka.size()[0]);
        assert!((&cka - cka.transpose(0, 1)).abs().max().double_value(&[]) < 1e-9);
    }
}
