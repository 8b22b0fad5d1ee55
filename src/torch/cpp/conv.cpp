// The convolution: in training with its gradients, in evaluation with all that follows it, in one pass.

#include <c10/util/Exception.h>
#include <ATen/core/grad_mode.h>

#include "autograd.h"
#include "check.h"
#include "conv_groups.h"
#include "norm.h"

namespace strata {
namespace {

// Output pixels from which on the images are processed one by one: the rows of a product over the batch then lie so far
// apart that each is a page of its own.
constexpr int64_t kManyPixels = 50;

bool by_rows(const Shape& s) {
  const StrataWindow& w = s.window;
  return !s.dense && s.in % 2 == 0 && w.stride_h == 1 && w.stride_w == 1 && s.out_pixels() >= kManyPixels &&
         w.top < s.kernel_h && w.left < s.kernel_w && w.out_h <= s.height + w.top && w.out_w <= s.width + w.left &&
         s.height + w.top <= w.out_h + s.kernel_h - 1 && s.width + w.left <= w.out_w + s.kernel_w - 1;
}

bool by_columns(const Shape& s) {
  return s.in % 2 || (!s.dense && !by_rows(s) && s.out_pixels() >= kManyPixels && s.taps() > 1);
}

Tensor channels_last_weight(const Tensor& w) {
  require_weight(w);
  const int64_t o = w.size(0), i = w.size(1), h = w.size(2), x = w.size(3);
  const bool good = (i == 1 || w.stride(1) == 1) && (x == 1 || w.stride(3) == i) && (h == 1 || w.stride(2) == i * x) &&
                    (o == 1 || w.stride(0) == i * x * h);
  if (good) return w;
  const Tensor copy = new_map(o, i, h, x, w.scalar_type());
  copy.copy_(w);
  return copy;
}

// What the output is used for: evaluation tolerates more rounding than training.
enum class For { kTraining, kEvaluation };

// A convolution without groups, in the variant that suits its shape.
template <class T>
void convolve_dense(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y, For purpose) {
  const bool fused = purpose == For::kEvaluation && by_fused_winograd<T>(s, end.ld);
  const auto variant = fused               ? fused_winograd_forward<T>
                       : by_winograd<T>(s) ? winograd_forward<T>
                       : by_rows(s)        ? rows_forward<T>
                       : by_columns(s)     ? columns_forward<T>
                                           : batch_forward<T>;
  variant(s, x, ld_x, w, end, y);
}

template <class T>
void convolve(const Shape& s, const Pixels& x, const Tensor& weight, const End<T>& end, T* y, For purpose) {
  using A = Acc<T>;
  const T* in = data<T>(x.tensor);
  const Weight<A> w = weight_of<A>(weight, s);
  if (s.groups == 1) return convolve_dense(s, in, x.ld, w, end, y, purpose);
  const Slices slices(s);
  const Shape& slice = slices.shape;
  for (int64_t i = 0; i < slices.count; ++i) {
    const Buffer<A> dense = slices.dense(i, w);
    const int64_t col = i * slice.out;
    convolve_dense<T>(slice, in + i * slice.in, x.ld, weight_of<A>(dense.tensor, slice), end.from(col), y + col,
                      purpose);
  }
}

template <class T>
void backward_dense(const Shape& s, ConvBackward<T> to) {
  if (to.dx && !to.relu && by_winograd<T>(s.turned())) {
    winograd_input_gradient<T>(s, to);
    to.dx = nullptr;
  }
  if (to.dw && !to.relu && by_winograd<T>(s)) {
    winograd_weight_gradient<T>(s, to);
    to.dw = nullptr;
  }
  if (!to.dx && !to.dw && !to.db) return;
  const auto variant = by_rows(s) ? rows_backward<T> : by_columns(s) ? columns_backward<T> : batch_backward<T>;
  variant(s, to);
}

template <class T>
void backward(const Shape& s, const ConvBackward<T>& to) {
  using A = Acc<T>;
  if (s.groups == 1) return backward_dense(s, to);
  const Slices slices(s);
  const Shape& slice = slices.shape;
  const Buffer<A> dw(to.dw ? slice.out * slice.taps() * slice.in : 0);
  for (int64_t i = 0; i < slices.count; ++i) {
    const Buffer<A> dense = slices.dense(i, to.weight);
    const int64_t row = i * slice.in, col = i * slice.out;
    backward_dense<T>(slice, {to.dy + col, to.ld_dy, to.y + col, to.ld_y, to.relu, to.x + row, to.ld_x,
                              weight_of<A>(dense.tensor, slice), to.dx ? to.dx + row : nullptr, to.ld_dx,
                              to.dw ? dw.data : nullptr, to.db ? to.db + col : nullptr});
    if (to.dw) slices.gather(i, dw.data, to.dw);
  }
}

// What follows a convolution that a shortcut joins: act(factor · (conv(x) + bias) + shortcut).
struct Sum {
  std::optional<Tensor> shortcut;
  double factor = 1;
  bool relu = false;
};

// factor · (sums + bias) as a scale and a shift.
struct Affine {
  std::optional<Tensor> scale, shift;

  Affine(const std::optional<Tensor>& bias, double factor, int64_t out, at::ScalarType activations) : shift(bias) {
    if (factor == 1) return;
    scale = new_tensor({out}, sums_kind(activations)).fill_(factor);
    if (bias) shift = bias->mul(factor);
  }
};

// A shortcut as it is added to the output `y`; undefined where there is none.
Tensor addend(const std::optional<Tensor>& shortcut, const Tensor& y) {
  if (!shortcut) return {};
  require_map(*shortcut);
  TORCH_CHECK(shortcut->sizes() == y.sizes(), "a shortcut ", shortcut->sizes(), " does not fit ", y.sizes());
  return dense_pixels(shortcut->to(y.scalar_type())).tensor;
}

// dy · (y > 0)
Pixels masked(const Pixels& dy, const Tensor& y) {
  const Tensor out = new_map(dy.images, dy.channels, dy.height, dy.width, y.scalar_type());
  const int64_t rows = dy.height * dy.width, cols = dy.channels;
  with_type(y.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    tasks(dy.images, [&](int64_t n) {
      kernels<T>().mask(data<T>(dy.tensor) + n * rows * dy.ld, dy.ld, data<T>(y) + n * rows * cols, cols, rows, cols, true,
                        mutable_data<T>(out) + n * rows * cols, cols, nullptr);
    });
  });
  return pixels(out);
}

// The kinds of the inputs whose gradients are maps; that of the shortcut where there is one.
struct Kinds {
  at::ScalarType input;
  std::optional<at::ScalarType> shortcut;
};

// The gradients of input, weight, bias and shortcut; `saved` are input, weight and output of the forward pass.
Tensors conv_gradients(const Gradients& given, const StrataWindow& window, const Kinds& kinds, bool bias, double factor, bool relu) {
  const Pixels x = pixels(given.saved[0]);
  Tensor w = channels_last_weight(given.saved[1]);
  const Tensor& y = given.saved[2];
  const Shape s = shape_of(x, w, window);
  const auto kind = x.tensor.scalar_type();
  Pixels dy = pixels(given.outputs[0].to(kind));
  require_alike(dy.tensor, {s.images, s.out, s.window.out_h, s.window.out_w}, kind);
  require_alike(y, dy.tensor.sizes(), kind);
  Tensor dx, dw, db, shortcut;
  if (kinds.shortcut) {
    // The gradient before the ReLU is that of the shortcut and of the convolution: masked once for both.
    if (relu) dy = masked(dy, y);
    relu = false;
    shortcut = dy.tensor.to(*kinds.shortcut);
  }
  if (factor != 1) w = w.mul(factor);
  if (given.wants(0)) dx = new_map(s.images, s.in, s.height, s.width, kind);
  if (given.wants(1)) dw = new_like(w);
  if (bias) db = new_tensor({s.out}, w.scalar_type());
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    using A = Acc<T>;
    const ConvBackward<T> to{data<T>(dy.tensor), dy.ld, data<T>(y), s.out, relu,
                             data<T>(x.tensor), x.ld, weight_of<A>(w, s),
                             dx.defined() ? mutable_data<T>(dx) : nullptr, s.in,
                             dw.defined() ? mutable_data<A>(dw) : nullptr, db.defined() ? mutable_data<A>(db) : nullptr};
    backward(s, to);
  });
  if (dx.defined()) dx = dx.to(kinds.input);
  if (factor != 1)
    for (const Tensor& gradient : {dw, db})
      if (gradient.defined()) gradient.mul_(factor);
  return {dx, dw, db, shortcut};
}

// The convolution and what follows it, recorded for its gradients.
Tensor conv(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, const Sum& sum, const StrataWindow& window) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    const auto kind = activation_kind(input);
    const Tensor w = channels_last_weight(weight);
    require_column(bias, w.size(0), kind, "the bias");
    const Pixels x = pixels(input.to(kind));
    const Shape s = shape_of(x, w, window);
    const Tensor y = new_map(s.images, s.out, s.window.out_h, s.window.out_w, kind), other = addend(sum.shortcut, y);
    const Affine affine(bias, sum.factor, s.out, kind);
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      using A = Acc<T>;
      const End<T> end{data_or_null<A>(affine.scale), data_or_null<A>(affine.shift), data_or_null<T>(other),
                       sum.relu ? kRelu : kNone, s.out};
      convolve<T>(s, x, w, end, mutable_data<T>(y), For::kTraining);
    });
    Kinds kinds{input.scalar_type(), {}};
    if (sum.shortcut) kinds.shortcut = sum.shortcut->scalar_type();
    return {{y}, {x.tensor, weight, y}, [=, biased = bias.has_value(), factor = sum.factor, relu = sum.relu](const Gradients& given) {
      return conv_gradients(given, window, kinds, biased, factor, relu);
    }};
  };
  return differentiable({input, weight, bias.value_or(Tensor()), sum.shortcut.value_or(Tensor())}, forward)[0];
}

// act(conv(x) · scale + shift + add) in one pass, which records no graph.
Tensor conv_end(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& scale,
                const std::optional<Tensor>& shift, const std::optional<Tensor>& add, int act, const StrataWindow& window) {
  at::NoGradGuard no_grad;
  require_map(input);
  const auto kind = activation_kind(input);
  const Pixels x = pixels(input.to(kind));
  const Tensor w = channels_last_weight(weight);
  const Shape s = shape_of(x, w, window);
  const Tensor y = new_map(s.images, s.out, s.window.out_h, s.window.out_w, kind), other = addend(add, y);
  require_column(scale, s.out, kind, "the scale");
  require_column(shift, s.out, kind, "the shift");
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    using A = Acc<T>;
    const End<T> end{data_or_null<A>(scale), data_or_null<A>(shift), data_or_null<T>(other), act, s.out};
    convolve<T>(s, x, w, end, mutable_data<T>(y), For::kEvaluation);
  });
  return y;
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_conv(const Tensor* x, const Tensor* weight, const Tensor* bias, const Tensor* shortcut, double factor,
                             int relu, const StrataWindow* window, Tensor** out) {
  return guarded([&] {
    const Sum sum{or_none(shortcut), factor, relu != 0};
    if (at::GradMode::is_enabled()) {
      *out = new Tensor(conv(*x, *weight, or_none(bias), sum, *window));
      return;
    }
    require_map(*x);
    require_weight(*weight);
    const Affine affine(or_none(bias), factor, weight->size(0), activation_kind(*x));
    *out = new Tensor(conv_end(*x, *weight, affine.scale, affine.shift, sum.shortcut, relu ? kRelu : kNone, *window));
  });
}

// A convolution in evaluation with the normalisation after it, the sum with `add` and the non-linearity.
extern "C" char* strata_conv_norm(const Tensor* x, const Tensor* weight, const Tensor* bias, const StrataNorm* norm,
                                  const Tensor* add, int act, const StrataWindow* window, Tensor** out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const Tensor affine = running_affine(*norm, or_none(bias));
    *out = new Tensor(conv_end(*x, *weight, affine[0], affine[1], or_none(add), act, *window));
  });
}
