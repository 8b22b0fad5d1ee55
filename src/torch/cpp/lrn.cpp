// Local response normalisation, channels last.

#include <c10/util/Exception.h>

#include "autograd.h"
#include "check.h"
#include "maps.h"
#include "parallel.h"

namespace strata {
namespace {

// In a window; more than any map has.
constexpr int64_t kMostChannels = 1 << 20;

// Calls f(zero of the element type, first row, rows) for pieces of the map, on all threads.
template <class F>
void each_piece(const Pixels& x, F&& f) {
  const Pieces pieces(x.rows(), x.channels);
  with_type(x.tensor.scalar_type(), [&](auto zero) {
    tasks(pieces.count, [&](int64_t i) { f(zero, pieces.begin(i), pieces.length(i)); });
  });
}

Tensors backward(const Gradients& given, const Lrn& window) {
  const Pixels x = dense_pixels(given.saved[0]);
  const auto kind = x.tensor.scalar_type();
  const Pixels dy = dense_pixels(given.outputs[0].to(kind));
  require_alike(dy.tensor, x.tensor.sizes(), kind);
  require_alike(x.tensor, {x.images, window.cols, x.height, x.width}, kind);
  const Tensor dx = new_map(x.images, x.channels, x.height, x.width, kind);
  each_piece(x, [&](auto zero, int64_t first, int64_t rows) {
    using T = decltype(zero);
    const int64_t at = first * window.cols;
    kernels<T>().lrn_backward(data<T>(x.tensor) + at, data<T>(dy.tensor) + at, rows, window, mutable_data<T>(dx) + at,
                              scratch<Acc<T>>(3 * window.workspace()));
  });
  return {dx};
}

// alpha, beta and k as in PyTorch.
Tensor lrn(const Tensor& input, int64_t size, double alpha, double beta, double k) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    TORCH_CHECK(size > 0 && size <= kMostChannels, "a window of ", size, " channels");
    const Pixels x = dense_pixels(input);
    const Lrn window{x.channels, size, alpha, beta, k};
    const Tensor y = new_map(x.images, x.channels, x.height, x.width, x.tensor.scalar_type());
    each_piece(x, [&](auto zero, int64_t first, int64_t rows) {
      using T = decltype(zero);
      const int64_t at = first * window.cols;
      kernels<T>().lrn(data<T>(x.tensor) + at, rows, window, mutable_data<T>(y) + at, scratch<Acc<T>>(window.workspace()));
    });
    return {{y}, {x.tensor}, [window](const Gradients& given) { return backward(given, window); }};
  };
  return differentiable({input}, forward)[0];
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_lrn(const Tensor* x, int64_t size, double alpha, double beta, double k, Tensor** out) {
  return guarded([&] { *out = new Tensor(lrn(*x, size, alpha, beta, k)); });
}
