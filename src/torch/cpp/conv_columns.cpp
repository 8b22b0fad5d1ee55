// Convolutions that the other variants do not suit (a stride on a large map, an odd number of channels): image by image, the
// values under the kernel are copied side by side, then one product [pixels, taps · in] · [taps · in, out].

#include "conv.h"

namespace strata {
namespace {

// Values that a copy of known length may read and write past its end.
constexpr int64_t kBeyond = 16;

// Copies `size` values, and what follows them up to a length that the compiler knows, which takes a fraction of the time.
// What is too much the next copy overwrites.
template <class T>
inline void copy_more(const T* from, int64_t size, T* to) {
  if (size <= kBeyond)
    std::memcpy(to, from, kBeyond * sizeof(T));
  else
    std::memcpy(to, from, size * sizeof(T));
}

// The values under the kernel at every output pixel of image `n`, zeros where it reaches over the edge: [pixels, taps · in],
// `ld` apart. Up to kBeyond values past their end are overwritten.
template <class T>
void gather_columns(const Shape& s, const T* images, int64_t n, int64_t ld_x, T* to, int64_t ld) {
  const StrataWindow& w = s.window;
  // Taps that lie side by side in the kernel do so in the image: copied at once.
  const int64_t span = s.kernel_w * s.in, row = s.width * ld_x, image = s.height * row;
  const T *x = images + n * image, *end_of_images = images + s.images * image;
  const bool side_by_side = ld_x == s.in;
  for (int64_t oy = 0; oy < w.out_h; ++oy) {
    const int64_t top = oy * w.stride_h - w.top;
    const int64_t ky_begin = std::clamp<int64_t>(-top, 0, s.kernel_h);
    const int64_t ky_end = std::clamp(s.height - top, ky_begin, s.kernel_h);
    for (int64_t ox = 0; ox < w.out_w; ++ox, to += ld) {
      const int64_t left = ox * w.stride_w - w.left;
      const int64_t kx_begin = std::clamp<int64_t>(-left, 0, s.kernel_w);
      const int64_t kx_end = std::clamp(s.width - left, kx_begin, s.kernel_w);
      const T* from = x + (top + ky_begin) * row + (left + kx_begin) * ld_x;
      T* at = to + ky_begin * span + kx_begin * s.in;
      const int64_t size = (kx_end - kx_begin) * s.in;
      const bool inside = size == span;
      if (!inside || ky_begin > 0) std::fill(to, to + ld, T{});
      if (inside && side_by_side && from + (ky_end - ky_begin - 1) * row + kBeyond <= end_of_images)
        for (int64_t ky = ky_begin; ky < ky_end; ++ky, from += row, at += span) copy_more(from, span, at);
      else
        for (int64_t ky = ky_begin; ky < ky_end; ++ky, from += row, at += span)
          if (side_by_side)
            std::memcpy(at, from, size * sizeof(T));
          else
            for (int64_t kx = 0; kx < kx_end - kx_begin; ++kx)
              std::memcpy(at + kx * s.in, from + kx * ld_x, s.in * sizeof(T));
      std::fill(to + ky_end * span, to + ld, T{});
    }
  }
}

// The transpose of gather_columns: each pixel of `dx` is the sum of the values that were copied from it. A row of the kernel is added
// at once.
template <class A>
void scatter_columns(const Shape& s, const A* columns, int64_t ld, A* dx) {
  const auto& k = kernels<A>();
  const StrataWindow& w = s.window;
  std::fill(dx, dx + s.height * s.width * s.in, A(0));
  for (int64_t oy = 0; oy < w.out_h; ++oy)
    for (int64_t ox = 0; ox < w.out_w; ++ox, columns += ld) {
      const int64_t top = oy * w.stride_h - w.top, left = ox * w.stride_w - w.left;
      const int64_t kx_begin = std::clamp<int64_t>(-left, 0, s.kernel_w);
      const int64_t kx_end = std::clamp(s.width - left, kx_begin, s.kernel_w);
      for (int64_t ky = std::max<int64_t>(-top, 0); ky < std::min(s.kernel_h, s.height - top); ++ky) {
        A* to = dx + ((top + ky) * s.width + left + kx_begin) * s.in;
        k.add(to, columns + (ky * s.kernel_w + kx_begin) * s.in, (kx_end - kx_begin) * s.in, to);
      }
    }
}

}  // namespace

template <class T>
void columns_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const int64_t width = s.taps() * s.in, depth = width + width % kPair<T>, pixels = s.window.out_h * s.window.out_w;
  const auto packed = packed_weight<T>(Variant::kColumns, {}, w.tensor, depth * s.out, [&](T* to) {
    k.interleave_transposed(w.data, s.out, width, w.ld, to, s.out);
  });
  tasks(s.images, [&](int64_t n) {
    T* columns = workspace<T>(0, pixels * depth + kBeyond);
    gather_columns(s, x, n, ld_x, columns, depth);
    A* sums = scratch<A>(kRows * kCols);
    for (int64_t row = 0; row < pixels; row += kRows)
      for (int64_t col = 0; col < s.out; col += kCols) {
        const int64_t m = std::min(kRows, pixels - row), count = std::min(kCols, s.out - col);
        product(m, count, depth, depth, s.out, count, false, columns + row * depth, packed.data + col * kPair<T>, sums);
        store_pixels(sums, count, m, count, end, n * pixels + row, col, y);
      }
  });
}
STRATA_FORWARD(columns_forward)

template <class T>
void columns_backward(const Shape& s, const ConvBackward<T>& to) {
  const auto& [dy, ld_dy, y, ld_y, relu, x, ld_x, w, dx, ld_dx, dw, db] = to;
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const int64_t width = s.taps() * s.in, depth = width + width % kPair<T>, pixels = s.window.out_h * s.window.out_w;
  const int64_t even = pixels + pixels % 2, size = s.out * depth;
  Buffer<T> packed(dx ? s.out * width : 0);
  if (dx) k.interleave_weights(w.data, s.out, width, w.ld, packed.data);
  constexpr bool pairs = kPair<T> > 1;
  const int64_t chunks = chunk_count(s.images, size);
  Buffer<A> partial(dw ? chunks * size : 0);
  std::vector<A> sums(db ? chunks * s.out : 0, A(0));
  tasks(chunks, [&](int64_t index) {
    const Chunk chunk(s.images, index, chunks);
    T* masked = workspace<T>(0, even * s.out);
    T* columns = workspace<T>(1, even * depth + kBeyond);
    // Copies for products of bfloat16; those of float read a transposed operand where it lies.
    T *turned = workspace<T>(2, pairs ? s.out * even : 0), *right = workspace<T>(3, pairs ? even * depth : 0);
    for (int64_t n = chunk.begin; n < chunk.end; ++n) {
      k.mask(dy + n * pixels * ld_dy, ld_dy, y + n * pixels * ld_y, ld_y, pixels, s.out, relu, masked,
             s.out, db ? &sums[index * s.out] : nullptr);
      if (dw) {
        gather_columns(s, x, n, ld_x, columns, depth);
        if constexpr (pairs) {
          k.transpose(masked, pixels, s.out, s.out, turned, even);
          if (even > pixels)
            for (int64_t o = 0; o < s.out; ++o) turned[o * even + pixels] = T{};
          k.interleave(columns, pixels, depth, depth, right);
        }
        const bool add = n > chunk.begin;
        for (int64_t row = 0; row < s.out; row += kCols)
          for (int64_t col = 0; col < depth; col += kCols) {
            const int64_t m = std::min(kCols, s.out - row), count = std::min(kCols, depth - col);
            A* block = partial.data + index * size + row * depth + col;
            if constexpr (pairs)
              product(m, count, pixels, even, depth, depth, add, turned + row * even, right + col * kPair<T>, block);
            else
              k.product_of_transposed(m, count, pixels, s.out, depth, depth, add, masked + row, columns + col, block);
          }
      }
      if (!dx) continue;
      A* spread = scratch<A>(pixels * width + s.height * s.width * s.in);
      A* image = spread + pixels * width;
      for (int64_t row = 0; row < pixels; row += kRows)
        product(std::min(kRows, pixels - row), width, s.out, s.out, width, width, false, masked + row * s.out,
                packed.data, spread + row * width);
      scatter_columns(s, spread, width, image);
      k.store(image, s.in, s.height * s.width, s.in, nullptr, nullptr, nullptr, 0, kNone,
              dx + n * s.height * s.width * ld_dx, ld_dx);
    }
  });
  if (dw)
    tasks(s.out, [&](int64_t o) {
      for (int64_t i = 0; i < width; ++i) dw[o * width + i] = sum_of_chunks(partial.data, chunks, size, o * depth + i);
    });
  if (db) {
    const auto sum = total(sums, chunks, s.out);
    std::copy(sum.begin(), sum.end(), db);
  }
}
STRATA_BACKWARD(columns_backward)

}  // namespace strata
