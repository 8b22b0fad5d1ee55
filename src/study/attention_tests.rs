use super::*;
use crate::arch::golden::network;
use crate::study::rows::Unseen;

fn subject() -> Subject {
    let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8";
    let mut subject = Subject::example(network(keys, [3, 32, 32], 4), 6);
    subject.weights.iter_mut().for_each(|(_, tensor)| *tensor = tensor.to_kind(Kind::Double));
    subject
}

fn input(subject: &Subject) -> Tensor {
    subject.batches(Split::Test, 6, 6).unwrap().remove(0).0.to_kind(Kind::Double)
}

/// Selvaraju et al. 2017, section 3.1: where a global average and a linear classifier follow, Grad-CAM is the class activation map
/// of Zhou et al. (2016) divided by the number of pixels. In float64, with the classifier's own weights.
#[test]
fn grad_cam_in_front_of_a_global_average_is_the_class_activation_map() {
    let subject = subject();
    let (parts, part) = Attention::default().parts(&subject).unwrap();
    let x = input(&subject);
    for class in 0..4 {
        let wanted = Tensor::full([6], class, (Kind::Int64, tch::Device::Cpu));
        let attribution = Attribution::at(&parts, part, &x, |_| wanted.shallow_clone());
        let _no_grad = tch::no_grad_guard();
        let map = parts.list[..=part].iter().fold(x.shallow_clone(), |x, part| part.forward(&x, false));
        let (_, weight) = subject.weights.iter().find(|(_, tensor)| tensor.size() == [4, map.size()[1]]).unwrap();
        let weights = weight.select(0, class).view([1, -1, 1, 1]);
        let cam = (map.shallow_clone() * weights).sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        assert!(cam.min().double_value(&[]) < 0.0 && cam.max().double_value(&[]) > 0.0, "both signs");
        let expected = cam.relu() / (map.size()[2] * map.size()[3]) as f64;
        let difference = (attribution.cam - &expected).abs().max().double_value(&[]);
        assert!(difference < 1e-12 * expected.max().double_value(&[]), "class {class}: {difference}");
    }
}

/// Against the difference quotient of the predicted class' logit for every channel of some pixels.
#[test]
fn saliency_is_the_slope_of_the_logit() {
    let subject = subject();
    let (parts, part) = Attention::default().parts(&subject).unwrap();
    let x = input(&subject).narrow(0, 1, 1);
    let attribution = Attribution::at(&parts, part, &x, |logits| logits.argmax(1, false));
    let class = attribution.logits.argmax(1, false).int64_value(&[0]);
    let _no_grad = tch::no_grad_guard();
    for [row, column] in [[0, 0], [13, 20], [31, 7]] {
        let slope = |channel: i64| {
            let logit = |step: f64| {
                let x = x.copy();
                let _ = x.select(1, channel).select(1, row).select(1, column).g_add_scalar_(step);
                parts.forward_from(0, &x).double_value(&[0, class])
            };
            ((logit(1e-6) - logit(-1e-6)) / 2e-6).abs()
        };
        let wanted = (0..3).map(slope).fold(0.0, f64::max);
        let found = attribution.saliency.double_value(&[0, row, column]);
        assert!((found - wanted).abs() < 1e-6 * wanted.max(1e-3), "{found} against {wanted}");
    }
}

#[test]
fn an_even_map_has_a_quarter_in_the_centre() {
    let even = Tensor::ones([8, 12], (Kind::Double, tch::Device::Cpu));
    assert_eq!(centre(&even), 0.25);
    let corner = Tensor::zeros([8, 8], (Kind::Double, tch::Device::Cpu));
    let _ = corner.select(0, 0).narrow(0, 0, 1).fill_(1.0);
    assert_eq!(centre(&corner), 0.0);
    let middle = Tensor::zeros([8, 8], (Kind::Double, tch::Device::Cpu));
    let _ = middle.select(0, 3).narrow(0, 5, 1).fill_(1.0);
    assert_eq!(centre(&middle), 1.0);
    assert!(centre(&middle.zeros_like()).is_nan());
}

#[test]
fn images_of_a_split_and_of_a_folder_are_drawn() {
    let subjects = [subject()];
    let folder = tempfile::tempdir().unwrap();
    let table = |study: &Attention| {
        let mut unseen = Unseen;
        let file = tempfile::tempdir().unwrap();
        let mut rows = Rows::open(&file.path().join("rows"), &mut unseen).unwrap();
        study.run(&subjects, &mut rows).unwrap();
        rows.table()
    };
    let study = Attention { images: 3, ..Attention::default() };
    let rows = table(&study);
    assert_eq!(rows.rows.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(), ["class 0", "class 1", "class 2"]);
    let svg = study.picture(&subjects, &rows).unwrap();
    assert_eq!([svg.matches("Grad-CAM<").count(), svg.matches("saliency<").count()], [3, 3]);

    std::fs::create_dir(folder.path().join("class 2")).unwrap();
    for (name, level) in [("a.png", 30), ("class 2/b.png", 200)] {
        let image = image::RgbImage::from_fn(40, 32, |x, y| image::Rgb([level, (x * 6) as u8, (y * 7) as u8]));
        image.save(folder.path().join(name)).unwrap();
    }
    let study = Attention { path: folder.path().display().to_string(), ..Attention::default() };
    assert_eq!(study.files(&[]).unwrap().len(), 2);
    let rows = table(&study);
    assert_eq!(
        rows.rows.iter().map(|row| [&row[1], &row[2]]).collect::<Vec<_>>(),
        [["a.png", ""], ["class 2/b.png", "class 2"]]
    );
    assert!(study.picture(&subjects, &rows).unwrap().contains("a.png"));
    let none = Attention { path: folder.path().join("none").display().to_string(), ..study };
    assert!(none.files(&[]).is_err());
    assert!(
        Attention { part: 99, ..Attention::default() }
            .run(&subjects, &mut Rows::open(&folder.path().join("r"), &mut Unseen).unwrap())
            .is_err()
    );
}
