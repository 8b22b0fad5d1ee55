// Maximum pooling, channels last. Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

namespace {

struct PoolFunction : torch::autograd::Function<PoolFunction> {
  using Context = torch::autograd::AutogradContext;

  // `sides`: kernel, stride, padding before, each height then width; then output height and width.
  static Tensor forward(Context* context, const Tensor& input, const std::vector<int64_t>& sides) {
    require_map(input);
    const Pixels x = dense_pixels(input);
    const strata::Pool pool = window(x, sides);
    TORCH_CHECK(pool.top < pool.kernel_h && pool.left < pool.kernel_w && (pool.oh - 1) * pool.stride_h - pool.top < pool.h &&
                    (pool.ow - 1) * pool.stride_w - pool.left < pool.w,
                "a window beside the map has no maximum");
    Tensor y = new_map(x.images, x.channels, pool.oh, pool.ow, x.tensor.scalar_type());
    Tensor tap = at::empty({x.images * pool.oh * pool.ow * x.channels}, at::kByte);
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t in_size = x.height * x.width * x.channels, out_size = pool.oh * pool.ow * x.channels;
      const T* in = data<T>(x.tensor);
      T* out = mutable_data<T>(y);
      uint8_t* taps = mutable_data<uint8_t>(tap);
      tasks(x.images, [&](int64_t i) {
        kernels<T>().max_pool(in + i * in_size, pool, out + i * out_size, taps + i * out_size);
      });
    });
    context->save_for_backward({tap});
    context->saved_data["sides"] = sides;
    context->saved_data["shape"] = std::vector<int64_t>{x.images, x.channels, x.height, x.width};
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const Tensor tap = context->get_saved_variables()[0];
    const auto shape = context->saved_data["shape"].toIntVector();
    const Pixels dy = dense_pixels(grads[0]);
    const Tensor dx = new_map(shape[0], shape[1], shape[2], shape[3], dy.tensor.scalar_type());
    const strata::Pool pool = window({dx, shape[0], shape[1], shape[2], shape[3], shape[1]},
                                     context->saved_data["sides"].toIntVector());
    with_type(dy.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t in_size = pool.h * pool.w * pool.cols, out_size = pool.oh * pool.ow * pool.cols;
      const T* up = data<T>(dy.tensor);
      const uint8_t* taps = data<uint8_t>(tap);
      T* to = mutable_data<T>(dx);
      tasks(shape[0], [&](int64_t i) {
        kernels<T>().max_pool_backward(up + i * out_size, taps + i * out_size, pool, to + i * in_size);
      });
    });
    return {dx, Tensor()};
  }

  static strata::Pool window(const Pixels& x, const std::vector<int64_t>& s) {
    require_window(x.height, s[0], s[2], s[4], s[6]);
    require_window(x.width, s[1], s[3], s[5], s[7]);
    TORCH_CHECK(s[0] * s[1] <= 256, "a window of ", s[0], "x", s[1], " has more than 256 taps");
    return {x.height, x.width, s[6], s[7], x.channels, s[0], s[1], s[2], s[3], s[4], s[5]};
  }
};

}  // namespace
