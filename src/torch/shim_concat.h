// Maps side by side along the channels. Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

namespace {

struct ConcatFunction : torch::autograd::Function<ConcatFunction> {
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* context, at::TensorList inputs) {
    std::vector<Pixels> parts;
    std::vector<int64_t> widths;
    int64_t channels = 0;
    for (const Tensor& input : inputs) {
      parts.push_back(pixels(input));
      widths.push_back(parts.back().channels);
      channels += widths.back();
    }
    const Pixels& first = parts.front();
    Tensor y = new_map(first.images, channels, first.height, first.width, first.tensor.scalar_type());
    const int64_t bytes = static_cast<int64_t>(y.element_size()), per_image = first.height * first.width;
    char* out = static_cast<char*>(y.mutable_data_ptr());
    std::vector<const char*> from;
    for (const Pixels& part : parts) from.push_back(static_cast<const char*>(part.tensor.const_data_ptr()));
    tasks(first.images, [&](int64_t n) {
      for (int64_t pixel = n * per_image; pixel < (n + 1) * per_image; ++pixel) {
        char* to = out + pixel * channels * bytes;
        for (size_t i = 0; i < parts.size(); ++i) {
          std::memcpy(to, from[i] + pixel * parts[i].ld * bytes, widths[i] * bytes);
          to += widths[i] * bytes;
        }
      }
    });
    context->saved_data["widths"] = widths;
    return y;
  }

  // Slices: whoever takes them reads them in place.
  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    torch::autograd::variable_list parts;
    int64_t start = 0;
    for (const int64_t width : context->saved_data["widths"].toIntVector()) {
      parts.push_back(grads[0].narrow(1, start, width));
      start += width;
    }
    return parts;
  }
};

}  // namespace
