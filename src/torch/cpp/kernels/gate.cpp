// Passes over the map [pixels, cols] of one image: a factor for each channel, means, sums of two maps.

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
  const auto sum_of = [&](int64_t c, auto n, auto count) {
    constexpr int vectors = count.value;
    Vec<A> sum[vectors] = {};
    for (int64_t p = 0; p < pixels; ++p)
#pragma GCC unroll 4
      for (int i = 0; i < vectors; ++i) {
        const int64_t at = p * cols + c + i * kLanes;
        const Vec<A> v = load(a + at, n);
        sum[i] += b ? v * load(b + at, n) : v;
      }
#pragma GCC unroll 4
    for (int i = 0; i < vectors; ++i) store(sums + c + i * kLanes, sum[i] * scale, n);
  };
  // Four vectors of a pixel at a time: its whole cache lines, and four sums that do not wait for one another.
  constexpr int kWide = 4;
  int64_t c = 0;
  for (; c + kWide * kLanes <= cols; c += kWide * kLanes) sum_of(c, Full(), std::integral_constant<int, kWide>());
  over(cols - c, [&](int64_t rest, auto n) { sum_of(c + rest, n, std::integral_constant<int, 1>()); });
}

// out = a (or zero) + column · scale at every pixel
template <class T>
void add_column(const T* a, const T* column, int64_t pixels, int64_t cols, Acc<T> scale, T* out) {
  using A = Acc<T>;
  over(cols, [&](int64_t c, auto n) {
    const Vec<A> f = load(column + c, n) * scale;
    for (int64_t p = 0; p < pixels; ++p)
      store(out + p * cols + c, a ? load(a + p * cols + c, n) + f : f, n);
  });
}

template <class T>
void add(const T* a, const T* b, int64_t size, T* out) {
  for (int64_t i = 0; i < size; i += kLanes) {
    const int64_t n = size - i < kLanes ? size - i : kLanes;
    store(out + i, load(a + i, n) + load(b + i, n), n);
  }
}

}  // namespace

template <class T>
void STRATA_ISA::gate_kernels(Kernels<T>& table) {
  table.gate = gate<T>;
  table.column_sums = column_sums<T>;
  table.add_column = add_column<T>;
  table.add = add<T>;
}
STRATA_INSTANTIATE(gate_kernels)

}  // namespace strata
