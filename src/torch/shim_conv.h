// Convolutions as matrix products over the batch. Every pair of an output pixel and an input pixel that a tap of the
// kernel joins is one product [images, in] · [in, out]; pairs with padding do not exist, so that a small map costs what
// it needs: on a 2x2 map a 3x3 kernel has 16 pairs, not 36. A 1x1 convolution is one pair over all pixels.
// Included by shim.cpp alone.

#pragma once

#include "shim_shape.h"

namespace {

// Blocks of a matrix product: their sums stay in the nearest cache.
constexpr int64_t kRows = 128, kCols = 64, kDepth = 512;

int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }

// The matrix of a tap in a weight [out, in, kernel_h, kernel_w] that lies channels last.
template <class A>
struct Weight {
  Tensor tensor;
  A* data;
  int64_t ld;
  A* tap(int64_t index, int64_t in) const { return data + index * in; }
};

template <class A>
Weight<A> weight_of(const Tensor& tensor, const Shape& s) {
  return {tensor, mutable_data<A>(tensor), s.taps() * s.in};
}

Tensor channels_last_weight(const Tensor& w) {
  require_weight(w);
  const int64_t o = w.size(0), i = w.size(1), h = w.size(2), x = w.size(3);
  const bool good = (i == 1 || w.stride(1) == 1) && (x == 1 || w.stride(3) == i) && (h == 1 || w.stride(2) == i * x) &&
                    (o == 1 || w.stride(0) == i * x * h);
  if (good) return w;
  Tensor copy = at::empty_strided({o, i, h, x}, {h * x * i, 1, x * i, i}, w.options());
  copy.copy_(w);
  return copy;
}

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

// What a fused end does to the sums.
template <class T>
struct End {
  const Acc<T>*scale, *shift;
  const T* add;
  int act;
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

template <class T>
void batch_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const auto pairs = s.pairs();
  const auto by_out = grouped(pairs, s.out_pixels(), &Pair::out);
  const int64_t depth = s.in + s.in % kPair<T>;
  const auto packed = packed_weight<T>(kBatch, s.geometry(), w.tensor, s.taps() * depth * s.out, [&](T* all) {
    pack_taps<T>(s, pairs, w, depth * s.out, all, [&](const A* rows, int64_t first, int64_t count, T* to) {
      k.interleave_transposed(rows, count, s.in, w.ld, to + first * kPair<T>, s.out);
    });
  });
  const int64_t strips = blocks(s.out, kCols);
  const ByPixel<T> in(x, ld_x, s.batch(), s.in_pixels(), s.in, s.taps() > 1);
  const int64_t batch = s.batch(), bands = blocks(batch, kRows), pixels = s.out_pixels();
  tasks(pixels * bands * strips, [&](int64_t task) {
    const int64_t p = task / (bands * strips), row = task / strips % bands * kRows, col = task % strips * kCols;
    const int64_t m = std::min(kRows, batch - row), n = std::min(kCols, s.out - col);
    A* sums = scratch<A>(kRows * kCols);
    bool add = false;
    for (const Pair& pair : by_out[p]) {
      product(m, n, s.in, in.ld, s.out, n, add, in.data + pair.in * in.step + row * in.ld,
              packed.data + pair.tap * depth * s.out + col * kPair<T>, sums);
      add = true;
    }
    if (!add) std::fill(sums, sums + m * n, A(0));
    const int64_t at = (row * pixels + p) * s.out + col;
    k.store(sums, n, m, n, end.scale ? end.scale + col : nullptr, end.shift ? end.shift + col : nullptr,
            end.add ? end.add + at : nullptr, pixels * s.out, end.act, y + at, pixels * s.out);
  });
}

// The gradient of the output, masked by the non-linearity, in the two layouts that the products want; and its sums.
template <class T>
struct Gradient {
  using A = Acc<T>;
  Buffer<T> masked, turned;
  Tensor sums;
  const T* data;       // [pixels, batch, out]
  int64_t ld, step, batch_room;

  // `turned` is [pixels, out, batch].
  Gradient(const Shape& s, const T* dy, int64_t ld_dy, const T* y, int act, bool wants_sums, bool wants_turned) {
    const auto& k = kernels<T>();
    const int64_t batch = s.batch(), pixels = s.out_pixels();
    batch_room = batch + batch % 2;
    data = dy, ld = ld_dy * pixels, step = ld_dy;
    const bool copies = act != strata::kNone || pixels > 1;
    if (copies) masked = Buffer<T>(pixels * batch * s.out), data = masked.data, ld = s.out, step = batch * s.out;
    if (wants_turned) turned = Buffer<T>(pixels * s.out * batch_room);
    const int64_t bands = blocks(batch, kRows);
    std::vector<A> parts(wants_sums ? pixels * bands * s.out : 0, A(0));
    tasks(pixels * bands, [&](int64_t task) {
      const int64_t p = task / bands, row = task % bands * kRows, m = std::min(kRows, batch - row);
      A* part = wants_sums ? &parts[task * s.out] : nullptr;
      if (copies || part)
        k.mask(dy + (row * pixels + p) * ld_dy, ld_dy * pixels, y + (row * pixels + p) * s.out, pixels * s.out, m, s.out,
               act == strata::kRelu, copies ? masked.data + (p * batch + row) * s.out : nullptr, s.out, part);
      if (!wants_turned) return;
      T* to = turned.data + p * s.out * batch_room + row;
      k.transpose(data + p * step + row * ld, m, s.out, ld, to, batch_room);
      if (row + m == batch && batch % 2)
        for (int64_t c = 0; c < s.out; ++c) to[c * batch_room + m] = T{};
    });
    if (!wants_sums) return;
    sums = at::empty({s.out}, kKind<A>);
    A* to = mutable_data<A>(sums);
    const auto sum = total(parts, pixels * bands, s.out);
    std::copy(sum.begin(), sum.end(), to);
  }
};

template <class T>
void conv_input_gradient(const Shape& s, const Gradient<T>& g, const Tensor& weight, T* dx) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const auto pairs = s.pairs();
  const auto by_in = grouped(pairs, s.in_pixels(), &Pair::in);
  const Weight<A> w = weight_of<A>(weight, s);
  const int64_t depth = s.out + s.out % kPair<T>;
  const Buffer<T> packed(s.taps() * depth * s.in);
  pack_taps<T>(s, pairs, w, depth * s.in, packed.data, [&](const A* rows, int64_t first, int64_t count, T* to) {
    k.interleave_weights(rows, count, s.in, w.ld, to + first * s.in);
  });
  const int64_t batch = s.batch(), bands = blocks(batch, kRows), strips = blocks(s.in, kCols), pixels = s.in_pixels();
  tasks(pixels * bands * strips, [&](int64_t task) {
    const int64_t q = task / (bands * strips), row = task / strips % bands * kRows, col = task % strips * kCols;
    const int64_t m = std::min(kRows, batch - row), n = std::min(kCols, s.in - col);
    A* sums = scratch<A>(kRows * kCols);
    bool add = false;
    for (const Pair& pair : by_in[q]) {
      product(m, n, s.out, g.ld, s.in, n, add, g.data + pair.out * g.step + row * g.ld,
              packed.data + pair.tap * depth * s.in + col * kPair<T>, sums);
      add = true;
    }
    if (!add) std::fill(sums, sums + m * n, A(0));
    k.store(sums, n, m, n, nullptr, nullptr, nullptr, 0, strata::kNone, dx + (row * pixels + q) * s.in + col,
            pixels * s.in);
  });
}

template <class T>
void conv_weight_gradient(const Shape& s, const Gradient<T>& g, const T* x, int64_t ld_x, const Tensor& gradient) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const auto by_tap = grouped(s.pairs(), s.taps(), &Pair::tap);
  const Weight<A> dw = weight_of<A>(gradient, s);
  const int64_t batch = s.batch(), batch_room = g.batch_room, pixels = s.in_pixels();
  // The activations, images interleaved: [pixels, batch / 2, in, 2]. In pieces of rows, all of even length.
  Buffer<T> right(pixels * batch_room * s.in);
  const int64_t bands = blocks(batch, kRows);
  tasks(pixels * bands, [&](int64_t task) {
    const int64_t p = task / bands, row = task % bands * kRows;
    k.interleave(x + (row * pixels + p) * ld_x, std::min(kRows, batch - row), s.in, pixels * ld_x,
                 right.data + (p * batch_room + row) * s.in);
  });
  // A small weight gets too few blocks for all threads: its sum over the batch is cut into parts, as the shape says.
  const int64_t strips = blocks(s.out, kCols), spans = blocks(s.in, kCols), chunks = blocks(batch, kDepth);
  int64_t parts = 1;
  while (s.taps() * strips * spans * parts < 8 && parts * 2 <= chunks) parts *= 2;
  const int64_t size = s.out * dw.ld;
  std::vector<A> partial(parts > 1 ? parts * size : 0, A(0));
  tasks(s.taps() * strips * spans * parts, [&](int64_t task) {
    const int64_t part = task % parts, span = task / parts % spans, strip = task / (parts * spans) % strips;
    const int64_t tap = task / (parts * spans * strips);
    const int64_t row = strip * kCols, col = span * kCols;
    const int64_t m = std::min(kCols, s.out - row), n = std::min(kCols, s.in - col);
    A* to = (parts > 1 ? partial.data() + part * size : dw.data) + row * dw.ld + tap * s.in + col;
    bool add = false;
    for (const Pair& pair : by_tap[tap])
      for (int64_t chunk = chunks * part / parts; chunk < chunks * (part + 1) / parts; ++chunk) {
        const int64_t begin = chunk * kDepth, depth = std::min(kDepth, batch - begin);
        product(m, n, depth, batch_room, s.in, dw.ld, add, g.turned.data + (pair.out * s.out + row) * batch_room + begin,
                right.data + (pair.in * batch_room + begin) * s.in + col * kPair<T>, to);
        add = true;
      }
    if (add) return;
    for (int64_t i = 0; i < m; ++i) std::fill(to + i * dw.ld, to + i * dw.ld + n, A(0));
  });
  if (parts > 1)
    tasks(s.out, [&](int64_t row) {
      for (int64_t i = row * dw.ld; i < (row + 1) * dw.ld; ++i) {
        A sum = 0;
        for (int64_t part = 0; part < parts; ++part) sum += partial[part * size + i];
        dw.data[i] = sum;
      }
    });
}

}  // namespace

#include "shim_columns.h"
#include "shim_winograd.h"

namespace {

// Output pixels from which on the images are gone through one by one: the rows of a product over the batch then lie too
// far apart.
constexpr int64_t kManyPixels = 50;

bool by_rows(const Shape& s) {
  return !s.dense && s.in % 2 == 0 && s.window.stride_h == 1 && s.window.stride_w == 1 && s.out_pixels() >= kManyPixels &&
         s.window.top < s.kernel_h && s.window.left < s.kernel_w && s.window.out_h <= s.height + s.window.top &&
         s.window.out_w <= s.width + s.window.left && s.height + s.window.top <= s.window.out_h + s.kernel_h - 1 &&
         s.width + s.window.left <= s.window.out_w + s.kernel_w - 1;
}

bool by_columns(const Shape& s) {
  return s.in % 2 || (!s.dense && !by_rows(s) && s.out_pixels() >= kManyPixels && s.taps() > 1);
}

// The convolution in the form that suits its shape.
template <class T>
void convolve(const Shape& s, const Pixels& x, const Tensor& weight, const End<T>& end, T* y) {
  const auto form = by_rows(s) ? rows_forward<T> : by_columns(s) ? columns_forward<T> : batch_forward<T>;
  form(s, data<T>(x.tensor), x.ld, weight_of<Acc<T>>(weight, s), end, y);
}

struct ConvFunction : torch::autograd::Function<ConvFunction> {
  using Context = torch::autograd::AutogradContext;

  static Shape shape_of(const Pixels& x, const Tensor& weight, const std::vector<int64_t>& sides) {
    const auto kind = sums_kind(x.tensor.scalar_type());
    TORCH_CHECK(weight.size(1) == x.channels && weight.scalar_type() == kind, "a weight ",
                weight.sizes(), " of ", weight.scalar_type(), " does not fit ", x.channels, " channels of ",
                x.tensor.scalar_type());
    TORCH_CHECK(x.tensor.scalar_type() != at::kBFloat16 || weight.size(0) % 2 == 0, "products take outputs in pairs");
    Shape s{x.images, x.height, x.width, x.channels, weight.size(0), weight.size(2), weight.size(3),
            {sides[0], sides[1], sides[2], sides[3], sides[4], sides[5]}, false};
    require_window(s.height, s.kernel_h, s.window.stride_h, s.window.top, s.window.out_h);
    require_window(s.width, s.kernel_w, s.window.stride_w, s.window.left, s.window.out_w);
    // More than any of the forms takes room for.
    require_product({double(s.images + 2 * kParts), double(s.height + s.kernel_h + s.window.out_h),
                     double(s.width + s.kernel_w + s.window.out_w), double(s.taps()), double(std::max(s.in, s.out))});
    const auto still = [](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t before) {
      // One tap at every pixel; or a map of one pixel, which only one tap can meet.
      return out == in && ((kernel == 1 && stride == 1 && before == 0) || (in == 1 && before < kernel));
    };
    s.dense = still(s.height, s.window.out_h, s.kernel_h, s.window.stride_h, s.window.top) &&
              still(s.width, s.window.out_w, s.kernel_w, s.window.stride_w, s.window.left);
    return s;
  }

  // `sides`: stride, padding before, output size, each height then width; then the non-linearity, none or relu.
  static Tensor forward(Context* context, const Tensor& input, const Tensor& weight,
                        const std::optional<Tensor>& bias, const std::vector<int64_t>& sides) {
    require_map(input);
    const auto kind = activation_kind(input);
    const Tensor w = channels_last_weight(weight);
    require_column(bias, w.size(0), kind, "the bias");
    const Pixels x = pixels(input.to(kind));
    const Shape s = shape_of(x, w, sides);
    const int act = static_cast<int>(sides[6]);
    Tensor y = new_map(s.images, s.out, s.window.out_h, s.window.out_w, kind);
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      convolve<T>(s, x, w, {nullptr, bias ? data<Acc<T>>(*bias) : nullptr, nullptr, act}, mutable_data<T>(y));
    });
    context->save_for_backward({x.tensor, weight, y});
    context->saved_data["sides"] = sides;
    context->saved_data["kind"] = static_cast<int64_t>(input.scalar_type());
    context->saved_data["bias"] = bias.has_value();
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const auto saved = context->get_saved_variables();
    const auto sides = context->saved_data["sides"].toIntVector();
    const Pixels x = pixels(saved[0]);
    const Tensor w = channels_last_weight(saved[1]);
    const Shape s = shape_of(x, w, sides);
    const auto kind = x.tensor.scalar_type();
    const Pixels dy = pixels(grads[0].to(kind));
    require_alike(dy.tensor, {s.images, s.out, s.window.out_h, s.window.out_w}, kind);
    require_alike(saved[2], dy.tensor.sizes(), kind);
    const bool wants_input = context->needs_input_grad(0), wants_weight = context->needs_input_grad(1);
    const bool wants_bias = context->saved_data["bias"].toBool();
    Tensor dx, dw, db;
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      using A = Acc<T>;
      if (by_rows(s) || by_columns(s)) {
        const auto form = by_rows(s) ? rows_backward<T> : columns_backward<T>;
        if (wants_input) dx = new_map(s.images, s.in, s.height, s.width, kind);
        if (wants_weight) dw = at::empty_strided(w.sizes(), w.strides(), w.options());
        if (wants_bias) db = at::empty({s.out}, kKind<A>);
        form(s, data<T>(dy.tensor), dy.ld, data<T>(saved[2]), static_cast<int>(sides[6]), data<T>(x.tensor), x.ld,
             weight_of<A>(w, s), wants_input ? mutable_data<T>(dx) : nullptr,
             wants_weight ? mutable_data<A>(dw) : nullptr, wants_bias ? mutable_data<A>(db) : nullptr);
        return;
      }
      const Gradient<T> g(s, data<T>(dy.tensor), dy.ld, data<T>(saved[2]), static_cast<int>(sides[6]), wants_bias,
                          wants_weight);
      db = g.sums;
      if (wants_input) {
        dx = new_map(s.images, s.in, s.height, s.width, kind);
        conv_input_gradient<T>(s, g, w, mutable_data<T>(dx));
      }
      if (wants_weight) {
        dw = at::empty_strided(w.sizes(), w.strides(), w.options());
        conv_weight_gradient<T>(s, g, data<T>(x.tensor), x.ld, dw);
      }
    });
    const auto came_as = static_cast<at::ScalarType>(context->saved_data["kind"].toInt());
    if (dx.defined()) dx = dx.to(came_as);
    return {dx, dw, db, Tensor()};
  }
};

}  // namespace
