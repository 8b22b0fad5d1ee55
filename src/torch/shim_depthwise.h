// Depthwise convolutions (MobileNets; Howard et al. 2017), channels last. Included by shim.cpp alone.

#pragma once

#include "shim_pool.h"

namespace {

struct DepthwiseFunction : torch::autograd::Function<DepthwiseFunction> {
  using Context = torch::autograd::AutogradContext;

  static void require_taps(const Tensor& weight, int64_t channels, at::ScalarType activations,
                           const std::vector<int64_t>& sides) {
    require_weight(weight);
    TORCH_CHECK(weight.sizes() == at::IntArrayRef({channels, 1, sides[0], sides[1]}) &&
                    weight.scalar_type() == sums_kind(activations),
                "a depthwise weight ", weight.sizes(), " of ", weight.scalar_type(), " does not fit ", channels,
                " channels of ", activations, " and a kernel of ", sides[0], "x", sides[1]);
  }

  // A weight [C, 1, h, w] as [taps, C].
  static Tensor by_tap(const Tensor& weight) {
    return weight.reshape({weight.size(0), weight.size(2) * weight.size(3)}).t().contiguous();
  }

  static Tensor convolved(const Pixels& x, const Tensor& taps, const Tensor& shift, int act,
                          const std::vector<int64_t>& sides) {
    const strata::Pool window = PoolFunction::window(x, sides);
    Tensor y = new_map(x.images, x.channels, window.oh, window.ow, x.tensor.scalar_type());
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t in_size = x.height * x.width * x.channels, out_size = window.oh * window.ow * x.channels;
      const T* in = data<T>(x.tensor);
      T* out = mutable_data<T>(y);
      tasks(x.images, [&](int64_t n) {
        kernels<T>().depthwise(in + n * in_size, data<Acc<T>>(taps), data_or_null<Acc<T>>(shift), act, window,
                               out + n * out_size);
      });
    });
    return y;
  }

  // `sides` as in PoolFunction.
  static Tensor forward(Context* context, const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias,
                        const std::vector<int64_t>& sides) {
    require_map(input);
    const auto kind = activation_kind(input);
    require_taps(weight, input.size(1), kind, sides);
    require_column(bias, weight.size(0), kind, "the bias");
    const Pixels x = dense_pixels(input.to(kind));
    const Tensor y = convolved(x, by_tap(weight.detach()), bias ? *bias : Tensor(), strata::kNone, sides);
    context->save_for_backward({x.tensor, weight});
    context->saved_data["sides"] = sides;
    context->saved_data["kind"] = static_cast<int64_t>(input.scalar_type());
    context->saved_data["bias"] = bias.has_value();
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const auto saved = context->get_saved_variables();
    const Pixels x = dense_pixels(saved[0]);
    const Tensor& weight = saved[1];
    const auto kind = x.tensor.scalar_type();
    const Pixels dy = dense_pixels(grads[0].to(kind));
    const auto sides = context->saved_data["sides"].toIntVector();
    const strata::Pool window = PoolFunction::window(x, sides);
    require_taps(weight, x.channels, kind, sides);
    require_alike(dy.tensor, {x.images, x.channels, window.oh, window.ow}, kind);
    const bool wants_input = context->needs_input_grad(0), wants_bias = context->saved_data["bias"].toBool();
    const Tensor taps = by_tap(weight.detach());
    Tensor dx, dw, db;
    if (wants_input) dx = new_map(x.images, x.channels, x.height, x.width, kind);
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      using A = Acc<T>;
      const auto& k = kernels<T>();
      const int64_t in_size = x.height * x.width * x.channels, out_size = window.oh * window.ow * x.channels;
      const T *in = data<T>(x.tensor), *up = data<T>(dy.tensor);
      const int64_t parts = std::min(kParts, x.images), size = taps.numel();
      // Of stride 1, the gradient of the input is the same convolution with the kernel turned by half a circle.
      const bool turns = window.stride_h == 1 && window.stride_w == 1 && window.top < window.kernel_h &&
                         window.left < window.kernel_w;
      const Tensor turned = turns && wants_input ? taps.flip(0).contiguous() : Tensor();
      const strata::Pool back{window.oh, window.ow, window.h, window.w, window.cols, window.kernel_h, window.kernel_w, 1, 1,
                              window.kernel_h - 1 - window.top, window.kernel_w - 1 - window.left};
      const Tensor partial = at::zeros({parts, size + x.channels}, kKind<A>);
      tasks(parts, [&](int64_t part) {
        A* sums = mutable_data<A>(partial) + part * (size + x.channels);
        for (int64_t n = x.images * part / parts; n < x.images * (part + 1) / parts; ++n) {
          if (turned.defined())
            k.depthwise(up + n * out_size, data<A>(turned), nullptr, strata::kNone, back,
                        mutable_data<T>(dx) + n * in_size);
          else if (wants_input)
            k.depthwise_input(up + n * out_size, data<A>(taps), window, mutable_data<T>(dx) + n * in_size);
          k.depthwise_weight(in + n * in_size, up + n * out_size, window, sums, wants_bias ? sums + size : nullptr);
        }
      });
      const Tensor total = partial.sum(0);
      dw = at::empty_like(weight);  // dense, where the weight is expanded
      dw.copy_(total.narrow(0, 0, size).reshape({-1, x.channels}).t().reshape(weight.sizes()));
      if (wants_bias) db = total.narrow(0, size, x.channels).clone();
    });
    const auto came_as = static_cast<at::ScalarType>(context->saved_data["kind"].toInt());
    if (dx.defined()) dx = dx.to(came_as);
    return {dx, dw, db, Tensor()};
  }
};

// Evaluation: act(norm(conv(x))) in one pass, the norm's scale being part of the weight. Records no graph.
Tensor depthwise_norm(const Tensor& input, const Tensor& weight, const Tensor& affine, int act,
                      const std::vector<int64_t>& sides) {
  at::NoGradGuard no_grad;
  require_map(input);
  const auto kind = activation_kind(input);
  DepthwiseFunction::require_taps(weight, input.size(1), kind, sides);
  require_column(affine[0], input.size(1), kind, "the scale");
  const Pixels x = dense_pixels(input.to(kind));
  const Tensor taps = DepthwiseFunction::by_tap(weight) * affine[0];
  return DepthwiseFunction::convolved(x, taps, affine[1], act, sides);
}

}  // namespace
