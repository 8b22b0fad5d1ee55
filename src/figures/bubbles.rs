//! The deck's chart (after Canziani et al. 2016): accuracy against operations, the area of a mark for the parameters.

use crate::arch::presets::Preset;
use crate::config::{Experiment, Origin};
use crate::figures::chart::{Areas, Axis, COLOURS, Chart, ChartPoint, Marks, Series};

/// The families of the legend, with their colours.
const FAMILIES: [(&str, &str); 8] = [
    ("AlexNet", COLOURS[6]),
    ("VGG", COLOURS[1]),
    ("Inception", COLOURS[2]),
    ("ResNet", COLOURS[0]),
    ("ResNeXt", COLOURS[5]),
    ("Wide ResNet", COLOURS[3]),
    ("MobileNet", COLOURS[7]),
    ("EfficientNet", COLOURS[4]),
];

/// The chart of all experiments with a published Top-1 from a single crop (their `[expect] source` says so): results from
/// ten crops or dense evaluation are better by a per cent or two and would not compare.
pub fn accuracy_against_operations(experiments: &[Experiment]) -> Chart {
    let mut chart = Chart::new(
        "Accuracy against operations on ImageNet",
        Axis::new("operations for one image (10⁹ multiply-adds, logarithmic)").log().padding(0.05),
        Axis::new("published Top-1 accuracy, single crop").percent().padding(0.07),
    );
    chart.subtitle =
        "Parameters and operations as counted by Strata; the area of a mark is proportional to its parameters".into();
    for (name, colour) in FAMILIES {
        let mut points: Vec<ChartPoint> =
            experiments.iter().filter(|experiment| family(experiment) == Some(name)).filter_map(point).collect();
        // Two strides of one ResNet are one mark: the better one.
        points.sort_by(|a, b| a.area.total_cmp(&b.area).then(b.y.total_cmp(&a.y)));
        points.dedup_by(|a, b| a.area == b.area);
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        if !points.is_empty() {
            let linked = name == "EfficientNet";
            chart.series.push(Series { name: name.to_owned(), colour, marks: Marks::Points { points, linked } });
        }
    }
    let shown = [5.0, 50.0, 150.0].map(|millions| (millions * 1e6, format!("{millions} M")));
    chart.areas = Some(Areas { label: "parameters".to_owned(), shown: shown.to_vec() });
    chart
}

fn family(experiment: &Experiment) -> Option<&'static str> {
    let Origin::Preset(preset) = &experiment.origin else { return None };
    Some(match preset {
        Preset::Alexnet(_) => "AlexNet",
        Preset::Vgg(_) => "VGG",
        Preset::Googlenet(_) | Preset::InceptionResnet(_) => "Inception",
        Preset::Resnet(keys) if keys.base_width > 64 => "Wide ResNet",
        Preset::Resnet(_) => "ResNet",
        Preset::Resnext(_) => "ResNeXt",
        Preset::WideResnet(_) => "Wide ResNet",
        Preset::MobilenetV1(_) | Preset::MobilenetV2(_) => "MobileNet",
        Preset::Efficientnet(_) => "EfficientNet",
        Preset::Nin(_) | Preset::Highway(_) => return None,
    })
}

fn point(experiment: &Experiment) -> Option<ChartPoint> {
    let expect = experiment.expect.as_ref().filter(|expect| expect.source.contains("1-crop"))?;
    let y = expect.test_top1?;
    let cost = experiment.network.cost();
    let (params, macs) = (cost.params as f64, cost.macs as f64 / 1e9);
    let label = label(&experiment.name);
    let hint = format!(
        "{label}: {:.1} % Top-1, {macs:.2} G multiply-adds, {:.1} M parameters ({})",
        100.0 * y,
        params / 1e6,
        expect.source
    );
    Some(ChartPoint { x: macs, y, area: params, label, hint })
}

/// A file's name as the papers write it, short where the colour says the rest.
fn label(name: &str) -> String {
    const WRITTEN: [(&str, &str); 10] = [
        ("alexnet", "AlexNet"),
        ("vgg", "VGG-"),
        ("googlenet", "GoogLeNet"),
        ("inception_resnet_v", "Inception-ResNet v"),
        ("se_resnet", "SE-ResNet-"),
        ("wide_resnet", "WRN-"),
        ("resnext", "ResNeXt-"),
        ("resnet", "ResNet-"),
        ("mobilenet_v", "MobileNet v"),
        ("efficientnet_b", "B"),
    ];
    let found = WRITTEN.iter().find_map(|(prefix, text)| Some((text, name.strip_prefix(prefix)?)));
    let Some((text, rest)) = found else { return name.to_owned() };
    let rest = rest.replace("_bn", " BN").replace("_preact", " pre-act");
    let rest = if text.starts_with("WRN") { rest.replace('_', "-") } else { rest.replace('_', " ") };
    format!("{text}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;
    use std::path::Path;

    #[test]
    fn labels_are_as_the_papers_write_them() {
        let written =
            ["resnext50_32x4d", "vgg16_bn", "wide_resnet50_2", "efficientnet_b7", "resnet50", "mine"].map(label);
        assert_eq!(written, ["ResNeXt-50 32x4d", "VGG-16 BN", "WRN-50-2", "B7", "ResNet-50", "mine"]);
    }

    #[test]
    fn the_chart_has_single_crops_alone() {
        let experiment = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("experiments/imagenet/{name}.toml"));
            Experiment::load(&path, &[], Machine::default()).unwrap()
        };
        let svg = accuracy_against_operations(&["resnet50", "resnet34_a"].map(experiment)).svg();
        assert!(svg.contains("ResNet-50") && !svg.contains("ResNet-34"));
    }
}
