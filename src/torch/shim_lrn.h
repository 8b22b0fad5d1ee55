// Local response normalisation, channels last. Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

namespace {

// Of a window; more than any map has.
constexpr int64_t kMostChannels = 1 << 20;

struct LrnFunction : torch::autograd::Function<LrnFunction> {
  using Context = torch::autograd::AutogradContext;

  // `numbers`: alpha, beta, k, in the form of PyTorch.
  static Tensor forward(Context* context, const Tensor& input, int64_t size, const std::vector<double>& numbers) {
    require_map(input);
    TORCH_CHECK(size > 0 && size <= kMostChannels, "a window of ", size, " channels");
    const Pixels x = dense_pixels(input);
    Tensor y = new_map(x.images, x.channels, x.height, x.width, x.tensor.scalar_type());
    each(x, size, numbers, [&](auto zero, int64_t first, int64_t rows, const strata::Lrn& l) {
      using T = decltype(zero);
      kernels<T>().lrn(data<T>(x.tensor) + first * l.cols, rows, l, mutable_data<T>(y) + first * l.cols,
                       scratch<Acc<T>>(l.room()));
    });
    context->save_for_backward({x.tensor});
    context->saved_data["size"] = size;
    context->saved_data["numbers"] = numbers;
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const Pixels x = dense_pixels(context->get_saved_variables()[0]);
    const auto kind = x.tensor.scalar_type();
    const Pixels dy = dense_pixels(grads[0].to(kind));
    require_alike(dy.tensor, x.tensor.sizes(), kind);
    Tensor dx = new_map(x.images, x.channels, x.height, x.width, kind);
    const auto numbers = context->saved_data["numbers"].toDoubleVector();
    each(x, context->saved_data["size"].toInt(), numbers, [&](auto zero, int64_t first, int64_t rows, const strata::Lrn& l) {
      using T = decltype(zero);
      const int64_t at = first * l.cols;
      kernels<T>().lrn_backward(data<T>(x.tensor) + at, data<T>(dy.tensor) + at, rows, l, mutable_data<T>(dx) + at,
                                scratch<Acc<T>>(3 * l.room()));
    });
    return {dx, Tensor(), Tensor()};
  }

  // Calls f(zero of the element type, first row, rows, window) for pieces of the map, on all threads.
  template <class F>
  static void each(const Pixels& x, int64_t size, const std::vector<double>& numbers, F&& f) {
    const strata::Lrn window{x.channels, size, numbers[0], numbers[1], numbers[2]};
    const Pieces pieces(x.rows(), x.channels);
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      tasks(pieces.count, [&](int64_t i) { f(zero, pieces.begin(i), pieces.length(i), window); });
    });
  }
};

}  // namespace
