// Convolutions of stride 1 on larger maps, image by image. In an image padded on all sides, channels last, the pixels that
// a row of the kernel covers lie side by side: one product [pixels, width · in] · [width · in, out] for each row of the
// kernel, whose left operand is the image itself, read with overlap. Nothing is gathered, and the depth of a product is
// `width` times that of a product over the batch.

#include "conv.h"

namespace strata {
namespace {

// An image of `rows` x `cols` pixels within a frame of zeros.
struct Frame {
  int64_t rows, cols;     // of the image
  int64_t top, left;      // where it lies
  int64_t height, width;  // of the frame
  int64_t pixels() const { return height * width; }

  // The place of the image's first pixel.
  template <class T>
  T* inside(T* frame, int64_t channels) const {
    return frame + (top * width + left) * channels;
  }

  // Copies an image into a frame that is zero around it.
  template <class T>
  void place(const T* from, int64_t ld, int64_t channels, T* frame) const {
    T* to = inside(frame, channels);
    for (int64_t y = 0; y < rows; ++y, from += cols * ld, to += width * channels)
      if (ld == channels)
        std::memcpy(to, from, cols * channels * sizeof(T));
      else
        for (int64_t x = 0; x < cols; ++x) std::memcpy(to + x * channels, from + x * ld, channels * sizeof(T));
  }
};

// out[rows, cols of the map] = end(the products of the framed image with each row of the kernel).
// `packed` is [kernel_h][kernel_w · in / pair][out][pair].
template <class T>
void frame_products(const T* framed, const Frame& f, int64_t kernel_h, int64_t kernel_w, int64_t in, int64_t out,
                    const T* packed, const End<T>& end, T* to) {
  using A = Acc<T>;
  const int64_t height = f.height - kernel_h + 1, width = f.width - kernel_w + 1, depth = kernel_w * in;
  // As many rows of the map as keep their sums in the first cache.
  const int64_t strip = std::min(kCols, out), rows = std::max<int64_t>(1, kRows * kCols / strip / f.width);
  A* sums = scratch<A>(rows * f.width * strip);
  for (int64_t y = 0; y < height; y += rows) {
    const int64_t count = std::min(rows, height - y), m = (count - 1) * f.width + width;
    for (int64_t col = 0; col < out; col += kCols) {
      const int64_t n = std::min(kCols, out - col);
      for (int64_t ky = 0; ky < kernel_h; ++ky)
        product(m, n, depth, in, out, n, ky > 0, framed + (y + ky) * f.width * in,
                packed + ky * depth * out + col * kPair<T>, sums);
      for (int64_t row = 0; row < count; ++row)
        store_pixels(sums + row * f.width * n, n, width, n, end, (y + row) * width, col, to);
    }
  }
}

Frame input_frame(const Shape& s) {
  return {s.height, s.width, s.window.top, s.window.left, s.window.out_h + s.kernel_h - 1, s.window.out_w + s.kernel_w - 1};
}
// The gradient of the output, framed for the convolution with the turned kernel.
Frame gradient_frame(const Shape& s) {
  return {s.window.out_h, s.window.out_w, s.kernel_h - 1 - s.window.top, s.kernel_w - 1 - s.window.left,
          s.height + s.kernel_h - 1, s.width + s.kernel_w - 1};
}

}  // namespace

template <class T>
void rows_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  const auto& k = kernels<T>();
  const Frame frame = input_frame(s);
  const int64_t depth = s.kernel_w * s.in;
  const auto packed = packed_weight<T>(Variant::kRows, {}, w.tensor, s.kernel_h * depth * s.out, [&](T* to) {
    tasks(s.kernel_h, [&](int64_t ky) {
      k.interleave_transposed(w.data + ky * depth, s.out, depth, w.ld, to + ky * depth * s.out, s.out);
    });
  });
  const int64_t chunks = std::min(2 * kMaxChunks, s.images);
  tasks(chunks, [&](int64_t index) {
    const Chunk chunk(s.images, index, chunks);
    T* framed = zeroed<T>(0, frame.pixels() * s.in);
    for (int64_t n = chunk.begin; n < chunk.end; ++n) {
      frame.place(x + n * s.height * s.width * ld_x, ld_x, s.in, framed);
      const int64_t start = n * s.window.out_h * s.window.out_w * end.ld;
      const End<T> here{end.scale, end.shift, end.add ? end.add + start : nullptr, end.act, end.ld};
      frame_products(framed, frame, s.kernel_h, s.kernel_w, s.in, s.out, packed.data, here, y + start);
    }
  });
}
STRATA_FORWARD(rows_forward)

namespace {

// What one task of the backward pass keeps and writes: its share of the images, its own sums.
template <class T>
struct RowsBackward {
  using A = Acc<T>;
  const Shape& s;
  const ConvBackward<T>& to;
  Frame frame, turned_frame;  // of the input, of the gradient
  // The gradient in rows as wide as the framed input's, zeros where that has no output: between two rows of a framed gradient lie
  // zeros, so that it is that already where it is as wide.
  Frame flat;
  bool same_width;
  int64_t length, even;  // pixels of all such rows, but for those right of the last; rounded up for products of pairs
  int64_t span;          // length of a channel of the framed input, with what the last taps reach over
  Buffer<T> packed;      // the kernel turned by half a circle, from outputs to inputs

  RowsBackward(const Shape& s, const ConvBackward<T>& to)
      : s(s), to(to), frame(input_frame(s)), turned_frame(gradient_frame(s)),
        flat{s.window.out_h, s.window.out_w, 0, 0, s.window.out_h + 1, frame.width},
        same_width(turned_frame.width == frame.width), length((s.window.out_h - 1) * frame.width + s.window.out_w),
        even(length + length % 2), span((frame.pixels() + s.kernel_w + 32) / 32 * 32) {
    if (!to.dx) return;
    packed = Buffer<T>(s.taps() * s.out * s.in);
    tasks(s.taps(), [&](int64_t tap) {
      kernels<T>().interleave_weights(to.weight.tap(s.taps() - 1 - tap, s.in), s.out, s.in, to.weight.ld,
                                      packed.data + tap * s.out * s.in);
    });
  }

  // Adds the weight's gradient of these images to `dw` [taps, in, out] and the bias's to `db`, which may be null; writes dx.
  void images(const Chunk& chunk, A* dw, A* db) const {
    T* gradient = zeroed<T>(0, turned_frame.pixels() * s.out);
    T* framed = zeroed<T>(1, frame.pixels() * s.in);
    T* wide = same_width ? nullptr : zeroed<T>(2, flat.pixels() * s.out);
    T* turned = zeroed<T>(3, kPair<T> > 1 ? s.in * span + even * s.out : 0);
    for (int64_t n = chunk.begin; n < chunk.end; ++n) {
      place_gradient(n, gradient, db);
      if (to.dx)
        frame_products<T>(gradient, turned_frame, s.kernel_h, s.kernel_w, s.out, s.in, packed.data,
                          {nullptr, nullptr, nullptr, kNone, to.ld_dx}, to.dx + n * s.height * s.width * to.ld_dx);
      if (!dw) continue;
      frame.place(to.x + n * s.height * s.width * to.ld_x, to.ld_x, s.in, framed);
      add_products(framed, wide_rows(gradient, wide), turned, n > chunk.begin, dw);
    }
  }

 private:
  // The gradient of image n, masked by the non-linearity, into its frame.
  void place_gradient(int64_t n, T* gradient, A* db) const {
    for (int64_t row = 0; row < s.window.out_h; ++row) {
      const int64_t pixel = (n * s.window.out_h + row) * s.window.out_w;
      kernels<T>().mask(to.dy + pixel * to.ld_dy, to.ld_dy, to.y + pixel * to.ld_y, to.ld_y, s.window.out_w, s.out, to.relu,
                        turned_frame.inside(gradient, s.out) + row * turned_frame.width * s.out, s.out, db);
    }
  }

  // The gradient in rows as wide as the framed input's; `wide` has room for them where they must be copied.
  const T* wide_rows(const T* gradient, T* wide) const {
    const T* rows = turned_frame.inside(gradient, s.out);
    if (same_width) return rows;
    for (int64_t row = 0; row < s.window.out_h; ++row)
      std::memcpy(wide + row * frame.width * s.out, rows + row * turned_frame.width * s.out,
                  s.window.out_w * s.out * sizeof(T));
    return wide;
  }

  // For each tap of the kernel, the product of the framed input, transposed, and the rows of the gradient. Those of float
  // read both where they lie, those of bfloat16 copies, which `turned` has room for.
  void add_products(const T* framed, const T* rows, T* turned, bool add, A* dw) const {
    T* right = turned + s.in * span;
    if constexpr (kPair<T> > 1) {
      kernels<T>().transpose(framed, frame.pixels(), s.in, s.in, turned, span);
      kernels<T>().interleave(rows, length, s.out, s.out, right);
    }
    for (int64_t tap = 0; tap < s.taps(); ++tap) {
      const int64_t shift = tap / s.kernel_w * frame.width + tap % s.kernel_w;
      for (int64_t row = 0; row < s.in; row += kCols)
        for (int64_t col = 0; col < s.out; col += kCols) {
          const int64_t m = std::min(kCols, s.in - row), n = std::min(kCols, s.out - col);
          A* sums = dw + (tap * s.in + row) * s.out + col;
          if constexpr (kPair<T> > 1)
            product(m, n, even, span, s.out, s.out, add, turned + row * span + shift, right + col * kPair<T>, sums);
          else
            kernels<T>().product_of_transposed(m, n, length, s.in, s.out, s.out, add, framed + shift * s.in + row,
                                               rows + col, sums);
        }
    }
  }
};

}  // namespace

template <class T>
void rows_backward(const Shape& s, const ConvBackward<T>& to) {
  using A = Acc<T>;
  const RowsBackward<T> backward(s, to);
  const int64_t size = s.taps() * s.in * s.out, chunks = chunk_count(s.images, size);
  const Buffer<A> partial(to.dw ? chunks * size : 0);
  std::vector<A> sums(to.db ? chunks * s.out : 0, A(0));
  tasks(chunks, [&](int64_t index) {
    backward.images(Chunk(s.images, index, chunks), to.dw ? partial.data + index * size : nullptr,
                    to.db ? &sums[index * s.out] : nullptr);
  });
  if (to.dw)
    tasks(s.taps() * s.in, [&](int64_t row) {
      for (int64_t o = 0; o < s.out; ++o)
        to.dw[o * s.taps() * s.in + row] = sum_of_chunks(partial.data, chunks, size, row * s.out + o);
    });
  if (!to.db) return;
  const auto sum = total(sums, chunks, s.out);
  std::copy(sum.begin(), sum.end(), to.db);
}
STRATA_BACKWARD(rows_backward)

}  // namespace strata
