// What squeeze-and-excitation (Hu et al. 2018) and shortcuts need: a map used twice, its mean over pixels, its product with
// a factor a channel. Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

namespace {

// x · factor, with a factor [N, C, 1, 1].
struct GateFunction : torch::autograd::Function<GateFunction> {
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* context, const Tensor& input, const Tensor& factor) {
    require_map(input);
    require_map(factor);
    TORCH_CHECK(factor.dim() == 4 && factor.size(0) == input.size(0) && factor.size(1) == input.size(1) &&
                    factor.size(2) == 1 && factor.size(3) == 1,
                "a factor ", factor.sizes(), " is none a channel of ", input.sizes());
    const Pixels x = dense_pixels(input);
    const Tensor f = dense_pixels(factor.to(x.tensor.scalar_type())).tensor;
    Tensor y = new_map(x.images, x.channels, x.height, x.width, x.tensor.scalar_type());
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t pixels = x.height * x.width, size = pixels * x.channels;
      tasks(x.images, [&](int64_t n) {
        kernels<T>().gate(data<T>(x.tensor) + n * size, data<T>(f) + n * x.channels, pixels, x.channels,
                          mutable_data<T>(y) + n * size);
      });
    });
    context->save_for_backward({x.tensor, f});
    context->saved_data["kind"] = static_cast<int64_t>(factor.scalar_type());
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const auto saved = context->get_saved_variables();
    const Pixels x = dense_pixels(saved[0]), dy = dense_pixels(grads[0]);
    const auto kind = x.tensor.scalar_type();
    require_alike(dy.tensor, x.tensor.sizes(), kind);
    require_alike(saved[1], {x.images, x.channels, 1, 1}, kind);
    const bool wants_factor = context->needs_input_grad(1);
    Tensor dx = new_map(x.images, x.channels, x.height, x.width, kind), df = new_map(x.images, x.channels, 1, 1, kind);
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      const auto& k = kernels<T>();
      const int64_t pixels = x.height * x.width, size = pixels * x.channels;
      tasks(x.images, [&](int64_t n) {
        const T* up = data<T>(dy.tensor) + n * size;
        k.gate(up, data<T>(saved[1]) + n * x.channels, pixels, x.channels, mutable_data<T>(dx) + n * size);
        if (wants_factor)
          k.column_sums(up, data<T>(x.tensor) + n * size, pixels, x.channels, 1, mutable_data<T>(df) + n * x.channels);
      });
    });
    if (!wants_factor) return {dx, Tensor()};
    return {dx, df.to(static_cast<at::ScalarType>(context->saved_data["kind"].toInt()))};
  }
};

// The map itself and its mean over pixels [N, C, 1, 1]: their gradients are added in one pass.
struct SqueezeFunction : torch::autograd::Function<SqueezeFunction> {
  using Context = torch::autograd::AutogradContext;

  static torch::autograd::variable_list forward(Context* context, const Tensor& input) {
    require_map(input);
    const Pixels x = dense_pixels(input);
    context->set_materialize_grads(false);
    Tensor mean = new_map(x.images, x.channels, 1, 1, x.tensor.scalar_type());
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t pixels = x.height * x.width;
      tasks(x.images, [&](int64_t n) {
        kernels<T>().column_sums(data<T>(x.tensor) + n * pixels * x.channels, nullptr, pixels, x.channels,
                                 Acc<T>(1) / pixels, mutable_data<T>(mean) + n * x.channels);
      });
    });
    context->saved_data["shape"] = std::vector<int64_t>{x.images, x.channels, x.height, x.width};
    return {input.alias(), mean};
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    if (!grads[1].defined()) return {grads[0]};
    const auto s = context->saved_data["shape"].toIntVector();
    const auto kind = grads[1].scalar_type();
    const Tensor mean = dense_pixels(grads[1]).tensor;
    Tensor whole;
    if (grads[0].defined()) whole = dense_pixels(grads[0].to(kind)).tensor;
    Tensor dx = new_map(s[0], s[1], s[2], s[3], kind);
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      const int64_t pixels = s[2] * s[3], size = pixels * s[1];
      tasks(s[0], [&](int64_t n) {
        kernels<T>().add_column(whole.defined() ? data<T>(whole) + n * size : nullptr, data<T>(mean) + n * s[1], pixels,
                                s[1], Acc<T>(1) / pixels, mutable_data<T>(dx) + n * size);
      });
    });
    return {dx};
  }
};

// The map twice, for two paths whose gradients are added by our own pass.
struct ForkFunction : torch::autograd::Function<ForkFunction> {
  using Context = torch::autograd::AutogradContext;

  static torch::autograd::variable_list forward(Context* context, const Tensor& x) {
    require_map(x);
    context->set_materialize_grads(false);
    return {x.alias(), x.alias()};
  }

  static torch::autograd::variable_list backward(Context*, const torch::autograd::variable_list& grads) {
    require_first_order();
    if (!grads[0].defined() || !grads[1].defined()) return {grads[0].defined() ? grads[0] : grads[1]};
    if (grads[0].scalar_type() != grads[1].scalar_type()) return {grads[0] + grads[1]};
    const Pixels a = dense_pixels(grads[0]), b = dense_pixels(grads[1]);
    Tensor dx = new_map(a.images, a.channels, a.height, a.width, a.tensor.scalar_type());
    with_type(a.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t size = a.height * a.width * a.channels;
      tasks(a.images, [&](int64_t n) {
        kernels<T>().add(data<T>(a.tensor) + n * size, data<T>(b.tensor) + n * size, size, mutable_data<T>(dx) + n * size);
      });
    });
    return {dx};
  }
};

}  // namespace
