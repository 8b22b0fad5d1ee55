// Matrix products of small blocks: A · B for processors that oneDNN has no `brgemm` for, where it would hand each of these products to
// a general one, which packs both operands every time and is made for larger matrices; Aᵀ · B on all processors.
//
// The right operand is copied in panels as wide as two registers, by pieces of its depth that stay in the first cache; one that is
// no wider is read where it lies. A tile is six rows of the result by two registers: twelve sums, which, with two vectors of the
// panel and one number of the left operand, fit into the sixteen registers of AVX2. With the 32 of AVX-512 it has eight rows, and where
// it is one register wide twice as many. Each sum is then one fused multiply-add a step, and loads take less time than these.

#include "parts.h"
#include "vectors.h"

namespace strata {
namespace {

inline int64_t at_most(int64_t size, int64_t most) { return size < most ? size : most; }

constexpr int64_t kTileCols = 2 * kLanes;
constexpr int kTileRows = kLanes == 16 ? 8 : 6;
constexpr int64_t kPanelDepth = 256;
using One = std::integral_constant<int64_t, 1>;

// kTileCols columns of the right operand in floats, a step after the other, and zeros where it has fewer columns.
template <class T>
inline void pack_panel(const T* b, int64_t depth, int64_t ld, int64_t cols, float* panel) {
  for (int64_t k = 0; k < depth; k += kPair<T>, panel += kPair<T> * kTileCols)
    for (int64_t c = 0; c < kTileCols; c += kLanes) {
      const int64_t n = at_most(cols > c ? cols - c : 0, kLanes);
      const T* from = b + k * ld + c * kPair<T>;
      if constexpr (sizeof(T) == 2) {
        // A word is two steps of one column.
        U32 words = {};
        std::memcpy(&words, from, n * sizeof(uint32_t));
        storeu(panel + c, (Vec<float>)(words << 16));
        storeu(panel + kTileCols + c, (Vec<float>)(words & 0xffff0000u));
      } else {
        storeu(panel + c, n == kLanes ? load(from) : load(from, n));
      }
    }
}

inline float number(float value) { return value; }
inline float number(bf16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof(wide));
  return wide;
}

// c[rows][cols] (+)= a · panel, for a panel of `vectors` registers whose steps are `ld` apart; the numbers of `a` in a row are
// `along` apart, those in a column `down`, one of which is a constant: the addresses of all rows then need few registers.
template <int rows, int vectors, class T, class Down, class Along>
inline void tile(const T* a, Down down, Along along, const float* panel, int64_t ld, int64_t depth, bool add, float* c,
                 int64_t ld_c, int64_t cols) {
  Vec<float> sums[rows][vectors] = {};
  for (int64_t k = 0; k < depth; ++k, panel += ld, a += along) {
    Vec<float> right[vectors];
    for (int v = 0; v < vectors; ++v) right[v] = load(panel + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const float factor = number(a[r * down]);
      for (int v = 0; v < vectors; ++v) sums[r][v] += right[v] * factor;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      float* to = c + r * ld_c + v * kLanes;
      const int64_t n = at_most(cols - v * kLanes, kLanes);
      if (n == kLanes)
        store(to, add ? load(to) + sums[r][v] : sums[r][v]);
      else if (n > 0)
        store(to, add ? load(to, n) + sums[r][v] : sums[r][v], n);
    }
}

// All `m` rows of a panel, as many at a time as have their sums in registers.
template <int vectors, class T, class Down, class Along>
inline void rows_of_panel(int64_t m, const T* a, Down down, Along along, const float* panel, int64_t ld, int64_t depth,
                          bool add, float* c, int64_t ld_c, int64_t cols) {
  constexpr int kMost = kTileRows * 2 / vectors;
  int64_t r = 0;
  const auto rows = [&](auto count) {
    for (; r + count.value <= m; r += count.value)
      tile<count.value, vectors>(a + r * down, down, along, panel, ld, depth, add, c + r * ld_c, ld_c, cols);
  };
  rows(std::integral_constant<int, kMost>());
  rows(std::integral_constant<int, 4>());
  rows(std::integral_constant<int, 2>());
  rows(std::integral_constant<int, 1>());
}

template <class T, class Down, class Along>
inline void product_of(int64_t m, int64_t n, int64_t k, Down down, Along along, int64_t ld_b, int64_t ld_c, bool add,
                       const T* a, const T* b, float* c) {
  alignas(64) float panel[kPanelDepth * kTileCols];
  for (int64_t step = 0; step < k; step += kPanelDepth) {
    const int64_t depth = at_most(kPanelDepth, k - step);
    for (int64_t col = 0; col < n; col += kTileCols) {
      const int64_t cols = at_most(kTileCols, n - col);
      const T* left = a + step * along;
      float* to = c + col;
      if constexpr (kPair<T> == 1)
        if (ld_b == n && n % kLanes == 0 && n <= kTileCols) {
          const float* right = b + step * ld_b;
          if (n == kLanes)
            rows_of_panel<1>(m, left, down, along, right, ld_b, depth, add || step > 0, to, ld_c, cols);
          else
            rows_of_panel<2>(m, left, down, along, right, ld_b, depth, add || step > 0, to, ld_c, cols);
          continue;
        }
      pack_panel(b + step * ld_b + col * kPair<T>, depth, ld_b, cols, panel);
      if (cols <= kLanes)
        rows_of_panel<1>(m, left, down, along, panel, kTileCols, depth, add || step > 0, to, ld_c, cols);
      else
        rows_of_panel<2>(m, left, down, along, panel, kTileCols, depth, add || step > 0, to, ld_c, cols);
    }
  }
}

// For tests of equality only.
template <class Down, class Along>
inline void product_of(int64_t m, int64_t n, int64_t k, Down down, Along along, int64_t ld_b, int64_t ld_c, bool add,
                       const double* a, const double* b, double* c) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = add ? c[i * ld_c + j] : 0.0;
      for (int64_t l = 0; l < k; ++l) sum += a[i * down + l * along] * b[l * ld_b + j];
      c[i * ld_c + j] = sum;
    }
}

template <class T>
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const T* a, const T* b,
             Acc<T>* c) {
  product_of(m, n, k, ld_a, One(), ld_b, ld_c, add, a, b, c);
}

// The left operand in blocks of this many rows and columns, which leave room in the first cache for the panel and the sums.
constexpr int64_t kLeftRows = 64, kLeftCols = 64;

template <class T>
void product_of_transposed(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const T* a,
                           const T* b, Acc<T>* c) {
  if constexpr (sizeof(T) == 4)
    if (m <= kLeftCols && (ld_a > m || k > 2 * kLeftRows)) {
      alignas(64) float block[kLeftRows * kLeftCols];
      for (int64_t step = 0; step < k; step += kLeftRows) {
        const int64_t depth = at_most(kLeftRows, k - step);
        const float* left = a + step * ld_a;
        // Rows that are a power of two apart, as pixels often are, would compete for the same sets of the cache.
        if (ld_a > m) {
          for (int64_t i = 0; i < depth; ++i) std::memcpy(block + i * m, left + i * ld_a, m * sizeof(float));
          left = block;
        }
        product_of(m, n, depth, One(), m, ld_b, ld_c, add || step > 0, left, b + step * ld_b, c);
      }
      return;
    }
  product_of(m, n, k, One(), ld_a, ld_b, ld_c, add, a, b, c);
}

}  // namespace

template <class T>
void STRATA_ISA::product_kernels(Kernels<T>& table) {
  table.product = product<T>;
  if constexpr (kPair<T> == 1) table.product_of_transposed = product_of_transposed<T>;
}
STRATA_INSTANTIATE(product_kernels)

}  // namespace strata
