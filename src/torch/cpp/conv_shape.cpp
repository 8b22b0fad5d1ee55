#include "conv_shape.h"

#include <c10/util/Exception.h>

#include "check.h"
#include "parallel.h"

namespace strata {

Geometry Shape::geometry() const {
  const StrataWindow& w = window;
  return {height, width, w.stride_h, w.stride_w, w.top, w.left, w.out_h, w.out_w, dense};
}

std::vector<Pair> Shape::pairs() const {
  // The tap that meets the pixel itself: others of the kernel only meet padding.
  if (dense) return {{0, 0, window.top * kernel_w + window.left}};
  std::vector<Pair> list;
  for (int64_t oy = 0; oy < window.out_h; ++oy)
    for (int64_t ox = 0; ox < window.out_w; ++ox)
      for (int64_t ky = 0; ky < kernel_h; ++ky)
        for (int64_t kx = 0; kx < kernel_w; ++kx) {
          const int64_t iy = oy * window.stride_h + ky - window.top, ix = ox * window.stride_w + kx - window.left;
          if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
          list.push_back({oy * window.out_w + ox, iy * width + ix, ky * kernel_w + kx});
        }
  return list;
}

Shape shape_of(const Pixels& x, const Tensor& weight, const StrataWindow& window) {
  const auto kind = sums_kind(x.tensor.scalar_type());
  const int64_t groups = std::max<int64_t>(x.channels / weight.size(1), 1);
  TORCH_CHECK(groups * weight.size(1) == x.channels && weight.size(0) % groups == 0 && weight.scalar_type() == kind,
              "a weight ", weight.sizes(), " of ", weight.scalar_type(), " does not fit ", x.channels, " channels of ",
              x.tensor.scalar_type());
  TORCH_CHECK(x.tensor.scalar_type() != at::kBFloat16 || weight.size(0) % 2 == 0, "products take outputs in pairs");
  Shape s{x.images, x.height, x.width, x.channels, weight.size(0), weight.size(2), weight.size(3), window, false, groups};
  require_window(s.height, s.kernel_h, window.stride_h, window.top, window.out_h);
  require_window(s.width, s.kernel_w, window.stride_w, window.left, window.out_w);
  // More memory than any of the variants allocates.
  require_product({double(s.images + 2 * kMaxChunks), double(s.height + s.kernel_h + window.out_h),
                   double(s.width + s.kernel_w + window.out_w), double(s.taps()), double(std::max(s.in, s.out))});
  const auto still = [](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t before) {
    // One tap at every pixel; or a map of one pixel, which only one tap can meet.
    return out == in && ((kernel == 1 && stride == 1 && before == 0) || (in == 1 && before < kernel));
  };
  s.dense = still(s.height, window.out_h, s.kernel_h, window.stride_h, window.top) &&
            still(s.width, window.out_w, s.kernel_w, window.stride_w, window.left);
  return s;
}

std::vector<std::vector<Pair>> grouped(const std::vector<Pair>& pairs, int64_t groups, int64_t Pair::* by) {
  std::vector<std::vector<Pair>> lists(groups);
  for (const Pair& pair : pairs) lists[pair.*by].push_back(pair);
  return lists;
}

}  // namespace strata
