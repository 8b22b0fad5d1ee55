// Maps side by side along the channels, shortcuts that add channels of zeros, batches from memory: what only moves numbers.
// Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

namespace {

struct ConcatFunction : torch::autograd::Function<ConcatFunction> {
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* context, at::TensorList inputs) {
    TORCH_CHECK(!inputs.empty(), "there is nothing to concatenate");
    std::vector<Pixels> parts;
    std::vector<int64_t> widths;
    int64_t channels = 0;
    for (const Tensor& input : inputs) {
      require_map(input);
      TORCH_CHECK(input.scalar_type() == inputs[0].scalar_type() && input.size(0) == inputs[0].size(0) &&
                      input.size(2) == inputs[0].size(2) && input.size(3) == inputs[0].size(3),
                  "maps side by side must agree but in their channels: ", inputs[0].sizes(), ", ", input.sizes());
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
    require_first_order();
    torch::autograd::variable_list parts;
    int64_t start = 0;
    for (const int64_t width : context->saved_data["widths"].toIntVector()) {
      parts.push_back(grads[0].narrow(1, start, width));
      start += width;
    }
    return parts;
  }
};

// Shortcut A (He et al. 2015): every `stride`-th pixel of a map, zeros for the channels that it lacks.
struct SubsampleFunction : torch::autograd::Function<SubsampleFunction> {
  using Context = torch::autograd::AutogradContext;

  // Calls f(pixel of the large map, pixel of the small one) for those that meet in image n.
  template <class F>
  static void meet(int64_t n, int64_t height, int64_t width, int64_t stride, F&& f) {
    const int64_t rows = (height + stride - 1) / stride, cols = (width + stride - 1) / stride;
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t x = 0; x < cols; ++x)
        f((n * height + y * stride) * width + x * stride, (n * rows + y) * cols + x);
  }

  static Tensor forward(Context* context, const Tensor& input, int64_t channels, int64_t stride) {
    require_map(input);
    TORCH_CHECK(stride > 0 && stride <= kMostOfASide, "a stride of ", stride);
    TORCH_CHECK(channels >= input.size(1) && channels <= kMostOfASide, "shortcut A only adds channels");
    const Pixels x = pixels(input);
    require_product({double(x.images), double(channels), double(x.height), double(x.width)});
    Tensor y = new_map(x.images, channels, (x.height + stride - 1) / stride, (x.width + stride - 1) / stride,
                       x.tensor.scalar_type());
    const int64_t bytes = static_cast<int64_t>(y.element_size()), kept = x.channels * bytes, size = channels * bytes;
    const char* in = static_cast<const char*>(x.tensor.const_data_ptr());
    char* out = static_cast<char*>(y.mutable_data_ptr());
    tasks(x.images, [&](int64_t n) {
      meet(n, x.height, x.width, stride, [&](int64_t from, int64_t to) {
        std::memcpy(out + to * size, in + from * x.ld * bytes, kept);
        std::memset(out + to * size + kept, 0, size - kept);
      });
    });
    context->saved_data["shape"] = std::vector<int64_t>{x.images, x.channels, x.height, x.width, stride};
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const auto s = context->saved_data["shape"].toIntVector();
    const Pixels dy = pixels(grads[0]);
    Tensor dx = new_map(s[0], s[1], s[2], s[3], dy.tensor.scalar_type());
    const int64_t bytes = static_cast<int64_t>(dx.element_size()), kept = s[1] * bytes, image = s[2] * s[3] * kept;
    const char* up = static_cast<const char*>(dy.tensor.const_data_ptr());
    char* to = static_cast<char*>(dx.mutable_data_ptr());
    tasks(s[0], [&](int64_t n) {
      if (s[4] > 1) std::memset(to + n * image, 0, image);
      meet(n, s[2], s[3], s[4], [&](int64_t large, int64_t small) {
        std::memcpy(to + large * kept, up + small * dy.ld * bytes, kept);
      });
    });
    return {dx, Tensor(), Tensor()};
  }
};

// Images [N, C, H, W] from memory as a tensor with channels last, in one pass.
Tensor images_from(const float* from, int64_t n, int64_t c, int64_t h, int64_t w) {
  Tensor y = new_map(n, c, h, w, at::kFloat);
  float* out = mutable_data<float>(y);
  const int64_t plane = h * w;
  tasks(n, [&](int64_t i) {
    const float* image = from + i * c * plane;
    float* to = out + i * c * plane;
    if (c == 1) {
      std::memcpy(to, image, plane * sizeof(float));
      return;
    }
    for (int64_t channel = 0; channel < c; ++channel)
      for (int64_t pixel = 0; pixel < plane; ++pixel) to[pixel * c + channel] = image[channel * plane + pixel];
  });
  return y;
}

}  // namespace
