//! Operations and shapes in a few words, the same in tables and in diagrams.

use crate::arch::layer::{Act, Conv, Op};
use crate::arch::node::Node;
use crate::arch::shape::Shape;
use crate::arch::window::{Pair, Window};

/// What an operation does, without its width: `conv 3x3/2 g32`, `max pool 3x3/2`, `ReLU`.
pub fn describe(op: &Op) -> String {
    match op {
        Op::Conv(conv) => {
            let groups =
                if conv.groups > 1 && !is_depthwise(conv) { format!(" g{}", conv.groups) } else { String::new() };
            format!("{} {}{groups}", convolution(conv), window(&conv.window))
        }
        Op::Linear { .. } => "linear".to_owned(),
        Op::BatchNorm { .. } => "batch norm".to_owned(),
        Op::Act(act) => activation(*act).to_owned(),
        Op::MaxPool(pool) => format!("max pool {}", window(pool)),
        Op::AvgPool(pool) => format!("avg pool {}", window(pool)),
        Op::GlobalAvgPool | Op::AdaptiveAvgPool { size: 1 } => "global avg pool".to_owned(),
        Op::AdaptiveAvgPool { size } => format!("avg pool to {size}x{size}"),
        Op::Lrn { size, .. } => format!("LRN over {size}"),
        Op::Dropout { rate } => format!("dropout {rate}"),
        Op::Flatten => "flatten".to_owned(),
        Op::PadShortcut { stride, average, .. } => {
            let step = if *stride == 1 { String::new() } else { format!("/{stride}") };
            format!("{}{step}, zero pad", if *average { "avg pool" } else { "subsample" })
        }
        Op::Scale { factor } => format!("scale {factor}"),
    }
}

/// The same with the width, as it stands in a box of a diagram: `conv 3×3/2, 64`.
pub fn label(op: &Op) -> String {
    let text = match op {
        Op::Conv(conv) => {
            let groups = if conv.groups > 1 && !is_depthwise(conv) {
                format!(", {} groups", conv.groups)
            } else {
                String::new()
            };
            format!("{} {}, {}{groups}", convolution(conv), window(&conv.window), conv.width)
        }
        Op::Linear { width, .. } => format!("linear, {width}"),
        Op::BatchNorm { .. } => "BN".to_owned(),
        Op::PadShortcut { width, .. } => format!("{} to {width}", describe(op)),
        Op::Scale { factor } => format!("× {factor}"),
        op => describe(op),
    };
    times(&text)
}

/// As many groups as channels, so that every channel is convolved by itself.
pub fn is_depthwise(conv: &Conv) -> bool {
    conv.groups > 1 && conv.groups == conv.width
}

fn convolution(conv: &Conv) -> &'static str {
    if is_depthwise(conv) { "depthwise" } else { "conv" }
}

pub fn activation(act: Act) -> &'static str {
    match act {
        Act::None => "identity",
        Act::Relu => "ReLU",
        Act::Relu6 => "ReLU6",
        Act::Silu => "SiLU",
        Act::Sigmoid => "sigmoid",
    }
}

/// `3x3`, and `3x3/2` with stride 2.
fn window(window: &Window) -> String {
    let Pair { h, w } = window.stride;
    let stride = match (h, w) {
        (1, 1) => String::new(),
        (h, w) if h == w => format!("/{h}"),
        (h, w) => format!("/{h}x{w}"),
    };
    format!("{}x{}{stride}", window.kernel.h, window.kernel.w)
}

/// `3x3` with a multiplication sign.
pub fn times(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let digit = |index: Option<usize>| index.and_then(|index| chars.get(index)).is_some_and(char::is_ascii_digit);
    let sign = |(index, &c): (usize, &char)| {
        if c == 'x' && digit(index.checked_sub(1)) && digit(Some(index + 1)) { '×' } else { c }
    };
    chars.iter().enumerate().map(sign).collect()
}

/// `64×56×56`
pub fn shape(shape: Shape) -> String {
    times(&shape.to_string())
}

/// Where a chain of nodes ends: the shape of its last layer, if it has one.
pub fn output(nodes: &[Node]) -> Option<Shape> {
    match nodes.last()? {
        Node::Layer(layer) => Some(layer.output),
        _ => None,
    }
}

/// A count to three digits: `25.6 M`.
pub fn count(n: u64) -> String {
    let value = n as f64;
    for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        // 999 950 is 1.00 M: what would round to four digits takes the next unit.
        if value >= unit * 0.9995 {
            let scaled = value / unit;
            let digits = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
            return format!("{scaled:.digits$} {name}");
        }
    }
    n.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::window::Padding;

    #[test]
    fn convolutions_say_kernel_stride_and_groups() {
        assert_eq!(describe(&Op::Conv(Conv::new(64, 7).stride(2))), "conv 7x7/2");
        assert_eq!(describe(&Op::Conv(Conv::new(128, 3).groups(32))), "conv 3x3 g32");
        assert_eq!(describe(&Op::Conv(Conv::new(96, 3).groups(96))), "depthwise 3x3");
        assert_eq!(describe(&Op::Conv(Conv::new(96, 3).kernel(Pair { h: 1, w: 7 }))), "conv 1x7");
        assert_eq!(label(&Op::Conv(Conv::new(128, 3).groups(32))), "conv 3×3, 128, 32 groups");
        assert_eq!(describe(&Op::MaxPool(Window::new(3, 2, Padding::Half))), "max pool 3x3/2");
    }

    #[test]
    fn the_sign_stands_between_digits_alone() {
        assert_eq!(times("max 3x3/2, 64x56x56 x x1"), "max 3×3/2, 64×56×56 x x1");
    }

    #[test]
    fn counts_have_three_digits() {
        let cases = [(7, "7"), (999, "999"), (1_000, "1.00 k"), (25_557_032, "25.6 M"), (999_960, "1.00 M")];
        for (n, text) in cases {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(4_089_184_256), "4.09 G");
        assert_eq!(count(135_000_000), "135 M");
    }
}
