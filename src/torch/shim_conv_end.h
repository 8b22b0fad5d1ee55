// Evaluation of a convolution with all that follows it, in one pass. Included by shim.cpp alone.

#pragma once

#include "shim_conv.h"

namespace {

// What batch normalisation with running statistics does to a channel: x · scale + shift. Rows: scale, shift.
Tensor running_affine(const std::optional<Tensor>& gamma, const std::optional<Tensor>& beta, const std::optional<Tensor>& mean,
                      const std::optional<Tensor>& var, const std::optional<Tensor>& bias, double eps) {
  TORCH_CHECK(mean && mean->defined() && var && var->defined(), "there are no statistics");
  const int64_t channels = var->numel();
  const auto kind = var->scalar_type();
  for (const auto* column : {&gamma, &beta, &mean, &var, &bias})
    require_column(*column, channels, kind, "a tensor of the normalisation");
  // By hand: as operations of libtorch it is half a dozen calls, and there is one such in every layer.
  Tensor columns = at::empty({2, channels}, kind == at::kDouble ? at::kDouble : at::kFloat);
  const auto fill = [&](auto zero) {
    using A = decltype(zero);
    const A *g = data_or_null<A>(gamma), *b = data_or_null<A>(beta), *c = data_or_null<A>(bias);
    const A *m = data<A>(*mean), *v = data<A>(*var);
    A *scale = mutable_data<A>(columns), *shift = scale + channels;
    for (int64_t i = 0; i < channels; ++i) {
      scale[i] = (g ? g[i] : A(1)) / std::sqrt(v[i] + static_cast<A>(eps));
      shift[i] = ((c ? c[i] : A(0)) - m[i]) * scale[i] + (b ? b[i] : A(0));
    }
  };
  kind == at::kDouble ? fill(double{}) : fill(float{});
  return columns;
}

// Evaluation: act(conv(x) · scale + shift + add) in one pass. Records no graph.
Tensor conv_end(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& scale,
                const std::optional<Tensor>& shift, const std::optional<Tensor>& add, const std::vector<int64_t>& sides) {
  at::NoGradGuard no_grad;
  require_map(input);
  const auto kind = activation_kind(input);
  const Pixels x = pixels(input.to(kind));
  const Tensor w = channels_last_weight(weight);
  const Shape s = ConvFunction::shape_of(x, w, sides);
  Tensor y = new_map(s.images, s.out, s.window.out_h, s.window.out_w, kind), other;
  if (add) {
    require_map(*add);
    TORCH_CHECK(add->sizes() == y.sizes(), "a shortcut ", add->sizes(), " does not fit ", y.sizes());
    other = dense_pixels(add->to(kind)).tensor;
  }
  require_column(scale, s.out, kind, "the scale");
  require_column(shift, s.out, kind, "the shift");
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    using A = Acc<T>;
    const End<T> end{data_or_null<A>(scale), data_or_null<A>(shift), data_or_null<T>(other),
                     static_cast<int>(sides[6])};
    if (by_winograd(s))
      winograd_forward(s, data<T>(x.tensor), x.ld, weight_of<A>(w, s), end, mutable_data<T>(y));
    else
      convolve<T>(s, x, w, end, mutable_data<T>(y));
  });
  return y;
}

}  // namespace
