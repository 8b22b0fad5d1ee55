// Maximum pooling, channels last. The taps that were largest are kept in bytes, an eighth of what libtorch's indices take.

#include "pool.h"

#include <c10/util/Exception.h>

#include "autograd.h"
#include "check.h"
#include "parallel.h"

namespace strata {

Pool pool_window(const Pixels& x, int64_t kernel_h, int64_t kernel_w, const StrataWindow& w) {
  require_window(x.height, kernel_h, w.stride_h, w.top, w.out_h);
  require_window(x.width, kernel_w, w.stride_w, w.left, w.out_w);
  TORCH_CHECK(kernel_h * kernel_w <= 256, "a window of ", kernel_h, "x", kernel_w, " has more than 256 taps");
  return {x.height, x.width, w.out_h, w.out_w, x.channels, kernel_h, kernel_w, w.stride_h, w.stride_w, w.top, w.left};
}

namespace {

Tensors backward(const Gradients& given, const Pool& pool, int64_t images) {
  const Tensor& tap = given.saved[0];
  const Pixels dy = dense_pixels(given.outputs[0]);
  const Tensor dx = new_map(images, pool.cols, pool.h, pool.w, dy.tensor.scalar_type());
  with_type(dy.tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t in_size = pool.h * pool.w * pool.cols, out_size = pool.oh * pool.ow * pool.cols;
    const T* up = data<T>(dy.tensor);
    const uint8_t* taps = data<uint8_t>(tap);
    T* to = mutable_data<T>(dx);
    tasks(images, [&](int64_t i) {
      kernels<T>().max_pool_backward(up + i * out_size, taps + i * out_size, pool, to + i * in_size);
    });
  });
  return {dx};
}

Tensor max_pool(const Tensor& input, int64_t kernel_h, int64_t kernel_w, const StrataWindow& window) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    const Pixels x = dense_pixels(input);
    const Pool pool = pool_window(x, kernel_h, kernel_w, window);
    TORCH_CHECK(pool.top < pool.kernel_h && pool.left < pool.kernel_w && (pool.oh - 1) * pool.stride_h - pool.top < pool.h &&
                    (pool.ow - 1) * pool.stride_w - pool.left < pool.w,
                "a window beside the map has no maximum");
    const Tensor y = new_map(x.images, x.channels, pool.oh, pool.ow, x.tensor.scalar_type());
    const Tensor tap = new_tensor({x.images * pool.oh * pool.ow * x.channels}, at::kByte);
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
    return {{y}, {tap}, [pool, images = x.images](const Gradients& given) { return backward(given, pool, images); }};
  };
  return differentiable({input}, forward)[0];
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_max_pool(const Tensor* x, int64_t kernel_h, int64_t kernel_w, const StrataWindow* window,
                                 Tensor** out) {
  return guarded([&] { *out = new Tensor(max_pool(*x, kernel_h, kernel_w, *window)); });
}
