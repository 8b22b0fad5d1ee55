// What only moves numbers: maps side by side along the channels, shortcuts that add channels of zeros, batches from memory.

#include <c10/util/Exception.h>

#include <cstring>

#include "autograd.h"
#include "check.h"
#include "maps.h"
#include "parallel.h"

namespace strata {
namespace {

Tensor concat(const Tensors& inputs) {
  const auto forward = [&]() -> Forward {
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
    const Tensor y = new_map(first.images, channels, first.height, first.width, first.tensor.scalar_type());
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
    // The gradients are slices, which the operations that take them read in place.
    return {{y}, {}, [widths](const Gradients& given) {
      Tensors slices;
      int64_t start = 0;
      for (const int64_t width : widths) {
        slices.push_back(given.outputs[0].narrow(1, start, width));
        start += width;
      }
      return slices;
    }};
  };
  return differentiable(inputs, forward)[0];
}

// Shortcut A (He et al. 2015): every `stride`-th pixel of a map, zeros for the channels that it lacks.
struct Subsampling {
  int64_t images, channels, height, width, stride;
  int64_t rows() const { return (height + stride - 1) / stride; }
  int64_t cols() const { return (width + stride - 1) / stride; }

  // Calls f(pixel of the large map, pixel of the small one) for those that meet in image n.
  template <class F>
  void meet(int64_t n, F&& f) const {
    for (int64_t y = 0; y < rows(); ++y)
      for (int64_t x = 0; x < cols(); ++x)
        f((n * height + y * stride) * width + x * stride, (n * rows() + y) * cols() + x);
  }
};

Tensors subsample_gradients(const Gradients& given, const Subsampling& s) {
  const Pixels dy = pixels(given.outputs[0]);
  const Tensor dx = new_map(s.images, s.channels, s.height, s.width, dy.tensor.scalar_type());
  const int64_t bytes = static_cast<int64_t>(dx.element_size()), kept = s.channels * bytes, image = s.height * s.width * kept;
  const char* up = static_cast<const char*>(dy.tensor.const_data_ptr());
  char* to = static_cast<char*>(dx.mutable_data_ptr());
  tasks(s.images, [&](int64_t n) {
    if (s.stride > 1) std::memset(to + n * image, 0, image);
    s.meet(n, [&](int64_t large, int64_t small) { std::memcpy(to + large * kept, up + small * dy.ld * bytes, kept); });
  });
  return {dx};
}

Tensor subsample(const Tensor& input, int64_t channels, int64_t stride) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    TORCH_CHECK(stride > 0 && stride <= kLongestSide, "a stride of ", stride);
    TORCH_CHECK(channels >= input.size(1) && channels <= kLongestSide, "shortcut A only adds channels");
    const Pixels x = pixels(input);
    const Subsampling s{x.images, x.channels, x.height, x.width, stride};
    require_product({double(x.images), double(channels), double(x.height), double(x.width)});
    const Tensor y = new_map(x.images, channels, s.rows(), s.cols(), x.tensor.scalar_type());
    const int64_t bytes = static_cast<int64_t>(y.element_size()), kept = x.channels * bytes, size = channels * bytes;
    const char* in = static_cast<const char*>(x.tensor.const_data_ptr());
    char* out = static_cast<char*>(y.mutable_data_ptr());
    tasks(x.images, [&](int64_t n) {
      s.meet(n, [&](int64_t from, int64_t to) {
        std::memcpy(out + to * size, in + from * x.ld * bytes, kept);
        std::memset(out + to * size + kept, 0, size - kept);
      });
    });
    return {{y}, {}, [s](const Gradients& given) { return subsample_gradients(given, s); }};
  };
  return differentiable({input}, forward)[0];
}

// Images [N, C, H, W] from memory as a tensor with channels last, in one pass.
Tensor images_from(const float* from, int64_t n, int64_t c, int64_t h, int64_t w) {
  const Tensor y = new_map(n, c, h, w, at::kFloat);
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
}  // namespace strata

using namespace strata;

extern "C" char* strata_concat(size_t n, Handles parts, Tensor** out) {
  return guarded([&] { *out = new Tensor(concat(list_of(parts, n))); });
}

extern "C" char* strata_subsample(const Tensor* x, int64_t channels, int64_t stride, Tensor** out) {
  return guarded([&] { *out = new Tensor(subsample(*x, channels, stride)); });
}

// `shape` has four numbers.
extern "C" char* strata_images(const float* from, const int64_t* shape, Tensor** out) {
  return guarded([&] { *out = new Tensor(images_from(from, shape[0], shape[1], shape[2], shape[3])); });
}
