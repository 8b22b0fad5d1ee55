// What every unit uses: errors across the C interface, lists of tensors, devices.
//
// Units include narrow headers of libtorch. ATen/ATen.h or torch/csrc/autograd/custom_function.h take eight seconds each time.

#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "abi.h"

namespace strata {

using at::Tensor;
using Handles = const Tensor* const*;
using Tensors = std::vector<Tensor>;

// A copy for strata_free_text.
char* text(const char* message) noexcept;

// The text of the exception that is being handled.
char* error_text() noexcept;

// Runs the body of a function of the C interface.
template <class F>
char* guarded(F&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (...) {
    return error_text();
  }
}

at::Device device_of(int number);

// An undefined tensor stands for none, as in libtorch.
std::optional<Tensor> or_none(const Tensor* tensor);

Tensors list_of(Handles handles, size_t n);
Tensors defined_of(Handles handles, size_t n);

// Hands out two tensors, or none where memory for the second handle is missing: the caller frees nothing after an error.
void hand_out(const Tensors& both, Tensor** one, Tensor** other);

}  // namespace strata
