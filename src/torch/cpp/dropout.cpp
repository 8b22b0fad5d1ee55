// Dropout (Srivastava et al. 2014): a number is 0 with a probability, else divided by the rest of it.
//
// libtorch draws its mask from the one generator of the CPU, number by number on one thread, which took a third of a training step of
// Network in Network. Here a mask is a function of a key and the place in memory: all threads draw, and nothing is kept for the
// backward pass, which draws it again.

#include <ATen/ops/empty_strided.h>
#include <c10/util/Exception.h>

#include "autograd.h"
#include "check.h"
#include "maps.h"
#include "parallel.h"

namespace strata {
namespace {

// Numbers of a task.
constexpr int64_t kPiece = 256 * kRandomBlock;

// `x` is dense.
Tensor masked(const Tensor& x, double rate, uint64_t key) {
  const Tensor y = at::empty_strided(x.sizes(), x.strides(), x.options());
  const auto threshold = static_cast<uint32_t>(rate * 0x1p32);
  with_type(x.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t size = x.numel();
    tasks((size + kPiece - 1) / kPiece, [&](int64_t i) {
      const int64_t first = i * kPiece;
      kernels<T>().dropout(data<T>(x) + first, first, std::min(kPiece, size - first), key, threshold,
                           static_cast<Acc<T>>(1 / (1 - rate)), mutable_data<T>(y) + first);
    });
  });
  return y;
}

Tensor dropout(const Tensor& input, double rate, uint64_t key) {
  const auto forward = [&]() -> Forward {
    require_numbers(input);
    TORCH_CHECK(rate >= 0 && rate < 1, "a dropout rate of ", rate);
    const Tensor x = input.is_non_overlapping_and_dense() ? input : input.contiguous();
    const auto backward = [sizes = x.sizes().vec(), strides = x.strides().vec(), options = x.options(), rate,
                           key](const Gradients& given) -> Tensors {
      Tensor dy = given.outputs[0];
      if (dy.strides() != strides || dy.scalar_type() != options.dtype()) {
        dy = at::empty_strided(sizes, strides, options);
        dy.copy_(given.outputs[0]);
      }
      return {masked(dy, rate, key)};
    };
    return {{masked(x, rate, key)}, {}, backward};
  };
  return differentiable({input}, forward)[0];
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_dropout(const Tensor* x, double rate, uint64_t key, Tensor** out) {
  return guarded([&] { *out = new Tensor(dropout(*x, rate, key)); });
}
