// Gradients of a list of parameters: clear, clip, check.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>

#include <cmath>

#include "base.h"

using namespace strata;

extern "C" {

char* strata_zero_grad(size_t n, Handles params) {
  return guarded([&] {
    for (size_t i = 0; i < n; ++i)
      if (params[i]->defined() && params[i]->grad().defined()) params[i]->mutable_grad().reset();
  });
}

char* strata_clip_grad_norm(size_t n, Handles grads, double max_norm, double* norm) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Tensors list = defined_of(grads, n);
    *norm = 0.0;
    if (list.empty()) return;
    *norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(list, 2))).item<double>();
    // A norm that is not finite is left to the caller: scaling by it would only spread the NaN.
    if (std::isfinite(*norm) && *norm > max_norm) at::_foreach_mul_(list, max_norm / (*norm + 1e-6));
  });
}

char* strata_all_finite(size_t n, Handles tensors, int* finite) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Tensors list = defined_of(tensors, n);
    *finite = 1;
    if (list.empty()) return;
    // A sum with an infinity or a NaN in it is never finite, and is the fastest pass over memory there is.
    Tensors sums;
    sums.reserve(list.size());
    for (const Tensor& tensor : list) TORCH_CHECK(!tensor.is_complex(), "complex numbers are not looked at");
    for (const Tensor& tensor : list) sums.push_back(tensor.sum().to(list[0].device(), at::kFloat));
    if (at::isfinite(at::stack(sums)).all().item<bool>()) return;
    // Large finite values may have overflowed the sum: look at each element.
    for (const Tensor& tensor : list)
      if (!at::isfinite(tensor).all().item<bool>()) {
        *finite = 0;
        return;
      }
  });
}

}  // extern "C"
