// Passes over the map [pixels, cols] of one image: a factor for each channel, means, sums of two maps, gated ones too.

#include "parts.h"
#include "vectors.h"

namespace strata {
namespace {

// out = x · factor. The factors of an image fit into the first cache, so that pixels are the outer loop and memory is read in
// order.
template <class T>
void gate(const T* x, const T* factor, int64_t pixels, int64_t cols, T* out) {
  for (int64_t p = 0; p < pixels; ++p, x += cols, out += cols)
    over(cols, [&](int64_t c, auto n) { store(out + c, load(x + c, n) * load(factor + c, n), n); });
}

// sums = the column sums of a · b, or of a where b is null, times `scale`.
template <class T>
void column_sums(const T* a, const T* b, int64_t pixels, int64_t cols, Acc<T> scale, T* sums) {
  using A = Acc<T>;
  abreast<kAbreast<T>>(cols, [&](int64_t c, auto n, auto count) {
    Vectors<A, count> sum;
    for (int64_t p = 0; p < pixels; ++p)
      for (int i = 0; i < count; ++i) {
        const int64_t at = p * cols + c + i * kLanes;
        const Vec<A> v = load(a + at, n);
        sum[i] += b ? v * load(b + at, n) : v;
      }
    for (int i = 0; i < count; ++i) sum[i] *= Vec<A>{} + scale;
    store(sums + c, sum, n);
  });
}

// out = a (or zero) + column · scale at every pixel
template <class T>
void add_column(const T* a, const T* column, int64_t pixels, int64_t cols, Acc<T> scale, T* out) {
  for (int64_t p = 0; p < pixels; ++p, out += cols)
    over(cols, [&](int64_t c, auto n) {
      const auto f = load(column + c, n) * scale;
      store(out + c, a ? load(a + p * cols + c, n) + f : f, n);
    });
}

template <class T>
void add(const T* a, const T* b, int64_t size, T* out) {
  over(size, [&](int64_t i, auto n) { store(out + i, load(a + i, n) + load(b + i, n), n); });
}

template <class T>
void gated_sum(const T* gate, const T* body, const T* shortcut, int64_t size, bool shortcut_only, T* out) {
  const auto pass = [&](auto only) {
    over(size, [&](int64_t i, auto n) {
      const auto t = sigmoid<T>(load(gate + i, n)), b = load(body + i, n), s = load(shortcut + i, n);
      store(out + i, only ? b + (1 - t) * s : s + t * (b - s), n);
    });
  };
  shortcut_only ? pass(std::true_type()) : pass(std::false_type());
}

// `dbody` is not written where the shortcut alone is gated: the gradient of the body is dy.
template <class T>
void gated_sum_backward(const T* gate, const T* body, const T* shortcut, const T* dy, int64_t size, bool shortcut_only,
                        T* dgate, T* dbody, T* dshortcut) {
  const auto pass = [&](auto only) {
    over(size, [&](int64_t i, auto n) {
      const auto t = sigmoid<T>(load(gate + i, n)), d = load(dy + i, n), s = load(shortcut + i, n);
      const auto other = only ? -s : load(body + i, n) - s;  // the derivative of the sum by t
      store(dgate + i, d * other * t * (1 - t), n);
      if constexpr (!decltype(only)::value) store(dbody + i, d * t, n);
      store(dshortcut + i, d * (1 - t), n);
    });
  };
  shortcut_only ? pass(std::true_type()) : pass(std::false_type());
}

}  // namespace

template <class T>
void STRATA_ISA::gate_kernels(Kernels<T>& table) {
  table.gate = gate<T>;
  table.column_sums = column_sums<T>;
  table.add_column = add_column<T>;
  table.add = add<T>;
  table.gated_sum = gated_sum<T>;
  table.gated_sum_backward = gated_sum_backward<T>;
}
STRATA_INSTANTIATE(gate_kernels)

}  // namespace strata
