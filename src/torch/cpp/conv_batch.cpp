// Convolutions as matrix products over the batch, for small maps. Every pair of an output pixel and an input pixel that a tap
// of the kernel joins is one product [images, in] · [in, out]. Pairs with padding do not exist, so that a small map costs what
// it needs: on a 2x2 map a 3x3 kernel has 16 pairs, not 36. A 1x1 convolution is one pair over all pixels of the batch.

#include "conv.h"

namespace strata {
namespace {

// The activations [N, pixels, C] as [pixels, N, C], so that a pixel's images follow one another; the same memory where
// they do already, or where `copy` is false.
template <class T>
struct ByPixel {
  Buffer<T> buffer;
  const T* data;
  int64_t ld, step;  // of images, of pixels

  ByPixel(const T* from, int64_t ld_pixels, int64_t batch, int64_t pixels, int64_t channels, bool copy)
      : data(from), ld(ld_pixels * pixels), step(ld_pixels) {
    if (!copy || pixels == 1) return;
    buffer = Buffer<T>(batch * pixels * channels);
    data = buffer.data, ld = channels, step = batch * channels;
    tasks(pixels, [&](int64_t p) {
      for (int64_t n = 0; n < batch; ++n)
        std::memcpy(buffer.data + (p * batch + n) * channels, from + (n * pixels + p) * ld_pixels, channels * sizeof(T));
    });
  }
};

// Lays out the matrices of the taps that some pair uses, `size` numbers each, by pack(rows of the tap, first, count, to), a
// row being an output.
template <class T, class Pack>
void pack_taps(const Shape& s, const std::vector<Pair>& pairs, const Weight<Acc<T>>& w, int64_t size, T* packed, Pack&& pack) {
  std::vector<char> used(s.taps(), 0);
  for (const Pair& pair : pairs) used[pair.tap] = 1;
  const int64_t bands = blocks(s.out, kCols);
  tasks(s.taps() * bands, [&](int64_t task) {
    const int64_t tap = task / bands, first = task % bands * kCols;
    if (used[tap])
      pack(w.tap(tap, s.in) + first * w.ld, first, std::min(kCols, s.out - first), packed + tap * size);
  });
}

// The gradient of the output, masked by the non-linearity, in the layouts that the products want; and its sums. Products of
// float read a transposed operand where it lies.
template <class T>
struct Masked {
  using A = Acc<T>;
  Buffer<T> masked, turned;
  const T* data;  // [pixels, batch, out]
  int64_t ld, step, batch_room;

  // `turned` is [pixels, out, batch], for products of bfloat16. It and the sums `db` are made where they are wanted.
  Masked(const Shape& s, const ConvBackward<T>& to) {
    const auto& k = kernels<T>();
    const int64_t batch = s.batch(), pixels = s.out_pixels();
    batch_room = batch + batch % 2;
    data = to.dy, ld = to.ld_dy * pixels, step = to.ld_dy;
    // A dense gradient without a mask is read where it lies.
    const bool copies = to.relu || pixels > 1;
    if (copies) masked = Buffer<T>(pixels * batch * s.out), data = masked.data, ld = s.out, step = batch * s.out;
    const bool turns = to.dw && kPair<T> > 1;
    if (turns) turned = Buffer<T>(pixels * s.out * batch_room);
    const int64_t bands = blocks(batch, kRows);
    std::vector<A> parts(to.db ? pixels * bands * s.out : 0, A(0));
    tasks(pixels * bands, [&](int64_t task) {
      const int64_t p = task / bands, row = task % bands * kRows, m = std::min(kRows, batch - row);
      A* part = to.db ? &parts[task * s.out] : nullptr;
      if (copies || part)
        k.mask(to.dy + (row * pixels + p) * to.ld_dy, to.ld_dy * pixels, to.y + (row * pixels + p) * to.ld_y,
               pixels * to.ld_y, m, s.out, to.relu, copies ? masked.data + (p * batch + row) * s.out : nullptr, s.out, part);
      if (!turns) return;
      T* across = turned.data + p * s.out * batch_room + row;
      k.transpose(data + p * step + row * ld, m, s.out, ld, across, batch_room);
      // Products of bfloat16 read images in pairs.
      if (row + m == batch && batch % 2)
        for (int64_t c = 0; c < s.out; ++c) across[c * batch_room + m] = T{};
    });
    if (!to.db) return;
    const auto sum = total(parts, pixels * bands, s.out);
    std::copy(sum.begin(), sum.end(), to.db);
  }
};

// The left operands of the products: a matrix [batch, depth] for each pixel, `step` apart.
template <class T>
struct Left {
  const T* data;
  int64_t ld, step, batch, depth;
};

// The right operands: a matrix [depth, cols], interleaved, for each tap, `step` apart.
template <class T>
struct Right {
  const T* data;
  int64_t cols, step;
};

// Where products are written if nothing is done to them: a matrix [batch, cols] for each pixel, `step` apart. Null where something is, or
// where sums have another type than T.
template <class T>
struct Direct {
  Acc<T>* sums = nullptr;
  int64_t ld = 0, step = 0;

  Direct(T* to, bool plain, int64_t pixels, int64_t ld_pixels) : ld(pixels * ld_pixels), step(ld_pixels) {
    if constexpr (std::is_same_v<T, Acc<T>>)
      if (plain) sums = to;
  }
};

// For each pixel, the sum over its pairs of the products of the pair's other pixel, `from`, and its tap. A block of this sum is
// one task: it meets every pair while it is in the first cache, and finish(pixel, row, col, rows, cols, sums) stores it once. A single
// product is written to `direct` instead, where that is not null.
template <class T, class Finish>
void sum_pairs(const std::vector<std::vector<Pair>>& pixels, int64_t Pair::* from, const Left<T>& left, const Right<T>& right,
               const Direct<T>& direct, Finish&& finish) {
  using A = Acc<T>;
  const int64_t bands = blocks(left.batch, kRows), strips = blocks(right.cols, kCols);
  tasks(static_cast<int64_t>(pixels.size()) * bands * strips, [&](int64_t task) {
    const int64_t pixel = task / (bands * strips), row = task / strips % bands * kRows, col = task % strips * kCols;
    const int64_t m = std::min(kRows, left.batch - row), n = std::min(kCols, right.cols - col);
    if (direct.sums && pixels[pixel].size() == 1) {
      const Pair& pair = pixels[pixel][0];
      product(m, n, left.depth, left.ld, right.cols, direct.ld, false, left.data + pair.*from * left.step + row * left.ld,
              right.data + pair.tap * right.step + col * kPair<T>, direct.sums + pixel * direct.step + row * direct.ld + col);
      return;
    }
    A* sums = scratch<A>(kRows * kCols);
    bool add = false;
    for (const Pair& pair : pixels[pixel]) {
      product(m, n, left.depth, left.ld, right.cols, n, add, left.data + pair.*from * left.step + row * left.ld,
              right.data + pair.tap * right.step + col * kPair<T>, sums);
      add = true;
    }
    if (!add) std::fill(sums, sums + m * n, A(0));
    finish(pixel, row, col, m, n, sums);
  });
}

template <class T>
void input_gradient(const Shape& s, const Masked<T>& g, const Weight<Acc<T>>& w, T* dx, int64_t ld_dx) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const auto pairs = s.pairs();
  const auto by_in = grouped(pairs, s.in_pixels(), &Pair::in);
  const int64_t depth = s.out + s.out % kPair<T>;
  const Buffer<T> packed(s.taps() * depth * s.in);
  pack_taps<T>(s, pairs, w, depth * s.in, packed.data, [&](const A* rows, int64_t first, int64_t count, T* to) {
    k.interleave_weights(rows, count, s.in, w.ld, to + first * s.in);
  });
  const int64_t batch = s.batch(), pixels = s.in_pixels();
  const auto store = [&](int64_t q, int64_t row, int64_t col, int64_t m, int64_t n, const A* sums) {
    k.store(sums, n, m, n, nullptr, nullptr, nullptr, 0, kNone, dx + (row * pixels + q) * ld_dx + col, pixels * ld_dx);
  };
  sum_pairs<T>(by_in, &Pair::out, {g.data, g.ld, g.step, batch, s.out}, {packed.data, s.in, depth * s.in},
               {dx, true, pixels, ld_dx}, store);
}

template <class T>
void weight_gradient(const Shape& s, const Masked<T>& g, const T* x, int64_t ld_x, Acc<T>* dw) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const auto by_tap = grouped(s.pairs(), s.taps(), &Pair::tap);
  const int64_t batch = s.batch(), batch_room = g.batch_room, pixels = s.in_pixels(), ld = s.taps() * s.in;
  // The activations, images interleaved: [pixels, batch / 2, in, 2]. In pieces of rows, all of even length. Those of a 1x1
  // convolution are read where they lie unless they go in pairs.
  const bool copies = kPair<T> > 1 || pixels > 1;
  const Buffer<T> interleaved(copies ? pixels * batch_room * s.in : 0);
  const T* right = copies ? interleaved.data : x;
  const int64_t ld_right = copies ? s.in : ld_x, bands = blocks(batch, kRows);
  tasks(copies ? pixels * bands : 0, [&](int64_t task) {
    const int64_t p = task / bands, row = task % bands * kRows;
    k.interleave(x + (row * pixels + p) * ld_x, std::min(kRows, batch - row), s.in, pixels * ld_x,
                 interleaved.data + (p * batch_room + row) * s.in);
  });
  // A small weight has too few blocks for all threads: its sum over the batch is cut into parts, their number by the shape.
  const int64_t strips = blocks(s.out, kCols), spans = blocks(s.in, kCols), chunks = blocks(batch, kDepth);
  int64_t parts = 1;
  while (s.taps() * strips * spans * parts < 8 && parts * 2 <= chunks) parts *= 2;
  const int64_t size = s.out * ld;
  std::vector<A> partial(parts > 1 ? parts * size : 0, A(0));
  tasks(s.taps() * strips * spans * parts, [&](int64_t task) {
    const int64_t part = task % parts, span = task / parts % spans, strip = task / (parts * spans) % strips;
    const int64_t tap = task / (parts * spans * strips);
    const int64_t row = strip * kCols, col = span * kCols;
    const int64_t m = std::min(kCols, s.out - row), n = std::min(kCols, s.in - col);
    A* to = (parts > 1 ? partial.data() + part * size : dw) + row * ld + tap * s.in + col;
    bool add = false;
    for (const Pair& pair : by_tap[tap])
      for (int64_t chunk = chunks * part / parts; chunk < chunks * (part + 1) / parts; ++chunk) {
        const int64_t begin = chunk * kDepth, depth = std::min(kDepth, batch - begin);
        const T* other = right + (pair.in * batch_room + begin) * ld_right + col * kPair<T>;
        if constexpr (kPair<T> == 1)
          k.product_of_transposed(m, n, depth, g.ld, ld_right, ld, add, g.data + pair.out * g.step + begin * g.ld + row,
                                  other, to);
        else
          product(m, n, depth, batch_room, ld_right, ld, add,
                  g.turned.data + (pair.out * s.out + row) * batch_room + begin, other, to);
        add = true;
      }
    if (add) return;
    for (int64_t i = 0; i < m; ++i) std::fill(to + i * ld, to + i * ld + n, A(0));
  });
  if (parts > 1)
    tasks(s.out, [&](int64_t row) {
      for (int64_t i = row * ld; i < (row + 1) * ld; ++i) dw[i] = sum_of_chunks(partial.data(), parts, size, i);
    });
}

}  // namespace

template <class T>
void batch_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const auto pairs = s.pairs();
  const auto by_out = grouped(pairs, s.out_pixels(), &Pair::out);
  const int64_t depth = s.in + s.in % kPair<T>;
  const auto packed = packed_weight<T>(Variant::kBatch, s.geometry(), w.tensor, s.taps() * depth * s.out, [&](T* all) {
    pack_taps<T>(s, pairs, w, depth * s.out, all, [&](const A* rows, int64_t first, int64_t count, T* to) {
      k.interleave_transposed(rows, count, s.in, w.ld, to + first * kPair<T>, s.out);
    });
  });
  const int64_t batch = s.batch(), pixels = s.out_pixels();
  const ByPixel<T> in(x, ld_x, batch, s.in_pixels(), s.in, s.taps() > 1);
  const auto store = [&](int64_t p, int64_t row, int64_t col, int64_t m, int64_t n, const A* sums) {
    const int64_t at = (row * pixels + p) * end.ld + col;
    k.store(sums, n, m, n, end.scale ? end.scale + col : nullptr, end.shift ? end.shift + col : nullptr,
            end.add ? end.add + at : nullptr, pixels * end.ld, end.act, y + at, pixels * end.ld);
  };
  const bool plain = !end.scale && !end.shift && !end.add && end.act == kNone;
  sum_pairs<T>(by_out, &Pair::in, {in.data, in.ld, in.step, batch, s.in}, {packed.data, s.out, depth * s.out},
               {y, plain, pixels, end.ld}, store);
}
STRATA_FORWARD(batch_forward)

template <class T>
void batch_backward(const Shape& s, const ConvBackward<T>& to) {
  const Masked<T> g(s, to);
  if (to.dx) input_gradient<T>(s, g, to.weight, to.dx, to.ld_dx);
  if (to.dw) weight_gradient<T>(s, g, to.x, to.ld_x, to.dw);
}
STRATA_BACKWARD(batch_backward)

}  // namespace strata
