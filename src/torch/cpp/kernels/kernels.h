// Loops over raw memory, compiled once for each instruction set (see build.rs) and chosen at run time (dispatch.cpp).
//
// Matrices are row-major, `ld` is the distance of rows in elements. T is the type of activations: bfloat16 (as its bits),
// float or double; A is the type that sums are kept in: float, for double double. No ATen here, and inline functions are
// always inlined: a copy compiled for one processor must not be linked into code for another.

#pragma once

#include <cstdint>

namespace strata {

// Non-linearities that kernels apply while the value is in a register. `Activation` in Rust has their names and, as numbers,
// their places here. Each line also says:
// - whether a shortcut may be added before it: then z is not kept, and the derivative must follow from the output;
// - whether its derivative is so costly that the backward pass computes it once and stores the product.
// kernels/activations.h has the functions.
#define STRATA_ACTIVATIONS(X)      \
  X(kNone, "none", true, false)    \
  X(kRelu, "relu", true, false)    \
  X(kRelu6, "relu6", false, false) \
  X(kSilu, "silu", false, true)

#define STRATA_ENUMERATOR(ACT, ...) ACT,
enum Act : int { STRATA_ACTIVATIONS(STRATA_ENUMERATOR) kActivationCount };
#undef STRATA_ENUMERATOR

struct ActivationInfo {
  const char* name;
  bool joins_sum, costly;
};
#define STRATA_INFO(ACT, ...) {__VA_ARGS__},
constexpr ActivationInfo kActivations[] = {STRATA_ACTIVATIONS(STRATA_INFO)};
#undef STRATA_INFO

// A bfloat16 is its upper half of a float.
struct bf16 {
  uint16_t bits;
};

template <class T>
struct AccOf {
  using type = T;
};
template <>
struct AccOf<bf16> {
  using type = float;
};
template <class T>
using Acc = typename AccOf<T>::type;

// How many rows lie interleaved in the right operand of a matrix product: dot products of bfloat16 take two at once.
template <class T>
constexpr int64_t kPair = sizeof(T) == 2 ? 2 : 1;

// A convolution by Winograd's algorithm, in `places` products for each tile of `side` x `side` outputs: 16 or 36. Transformed tiles and
// weights are stored as A, because rounding them to bfloat16 would add to the error of the output.
template <class T>
struct WinogradKernels {
  using A = Acc<T>;

  int64_t side, places;
  // Tiles of the input as a matrix [tiles, cols] for each place, `step` apart.
  void (*input)(const T* x, const struct Tiles& tiles, int64_t first, int64_t count, A* out, int64_t step);
  // act(products · scale + shift + add) of such matrices.
  void (*output)(const A* products, int64_t step, const struct Tiles& tiles, int64_t first, int64_t count, int64_t cols,
                 const A* scale, const A* shift, const T* add, int act, T* y, int64_t ld);
  // A row [cols] for each place of a weight [taps, cols].
  void (*weight)(const A* weight, int64_t cols, A* out, int64_t step);
  // What the gradient of a weight needs: tiles of the output's gradient as such matrices, and the transpose of `weight`, from a row
  // for each place to [taps, cols].
  void (*output_gradient)(const T* dy, const struct Tiles& tiles, int64_t first, int64_t count, A* out, int64_t step);
  void (*weight_gradient)(const A* places, int64_t step, int64_t cols, A* gradient, int64_t tap_step);
};

template <class T>
struct Kernels {
  using A = Acc<T>;

  // C (+)= A · B, [m, n] = [m, k] · [k, n], with B interleaved as below.
  void (*product)(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const T* a,
                  const T* b, A* c);

  // C (+)= A^T · B, [m, n] = [k, m]^T · [k, n]; null in bfloat16.
  void (*product_of_transposed)(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const T* a,
                                const T* b, A* c);

  // out[r/kPair][c][r%kPair] = in[r][c], a missing last row being zero.
  void (*interleave)(const T* in, int64_t rows, int64_t cols, int64_t ld, T* out);
  // As `interleave`, of weights, which are kept in float.
  void (*interleave_weights)(const A* in, int64_t rows, int64_t cols, int64_t ld, T* out);
  // out[c/kPair][r][c%kPair] = in[r][c]: the transpose of weights, interleaved, `ld_out` rows in all; a missing last column
  // is zero.
  void (*interleave_transposed)(const A* in, int64_t rows, int64_t cols, int64_t ld, T* out, int64_t ld_out);
  // out[c][r] = in[r][c]; `ld_out` may leave gaps, which are not touched.
  void (*transpose)(const T* in, int64_t rows, int64_t cols, int64_t ld, T* out, int64_t ld_out);
  // out = in · (y > 0) where `relu`, and sums[c] += the column sums of out.
  void (*mask)(const T* in, int64_t ld_in, const T* y, int64_t ld_y, int64_t rows, int64_t cols, int relu, T* out,
               int64_t ld_out, A* sums);
  // out = act(sums · scale + shift + add); scale, shift and add may be null.
  void (*store)(const A* sums, int64_t ld_sums, int64_t rows, int64_t cols, const A* scale, const A* shift,
                const T* add, int64_t ld_add, int act, T* out, int64_t ld_out);

  // For each column c, the sums of (x - origin[c]) and of its square.
  void (*moments)(const T* x, int64_t rows, int64_t cols, const A* origin, A* sums, A* squares);
  // out = act(x · scale + shift + add)
  void (*affine)(const T* x, int64_t rows, int64_t cols, const A* scale, const A* shift, const T* add, int act, T* out);
  // With g = dy · act'(z): sums of g, sums of g · (x - mean) · inverse; g itself goes to `residual` where that is not
  // null. For relu and relu6 the derivative is computed from y, or where y is null from z = x · scale + shift, as for silu.
  void (*norm_sums)(const T* x, const T* y, const T* dy, int64_t rows, int64_t cols, const A* scale, const A* shift,
                    const A* mean, const A* inverse, int act, T* residual, A* sums, A* products);
  // dx = a · g + b · x + c, columnwise; `y` as in norm_sums.
  void (*norm_input)(const T* x, const T* y, const T* dy, int64_t rows, int64_t cols, const A* scale, const A* shift,
                     const A* a, const A* b, const A* c, int act, T* dx);

  // One image [h, w, cols] → [oh, ow, cols] with the tap that was largest, ky · kernel_w + kx.
  void (*max_pool)(const T* x, const struct Pool& pool, T* y, uint8_t* tap);
  void (*max_pool_backward)(const T* dy, const uint8_t* tap, const struct Pool& pool, T* dx);

  // Rows of channels, each divided by a power of the squares about it; `workspace` has Lrn::workspace() numbers, backward three
  // times as many.
  void (*lrn)(const T* x, int64_t rows, const struct Lrn& window, T* y, A* workspace);
  void (*lrn_backward)(const T* x, const T* dy, int64_t rows, const struct Lrn& window, T* dx, A* workspace);

  // Every channel by itself; `weight` is [taps, cols]. The gradient of the weight is added to what is there.
  void (*depthwise)(const T* x, const A* weight, const A* bias, int act, const struct Pool& pool, T* y);
  void (*depthwise_input)(const T* dy, const A* weight, const struct Pool& pool, T* dx);
  void (*depthwise_weight)(const T* x, const T* dy, const struct Pool& pool, A* gradient, A* bias);

  // F(2x2, 3x3), F(4x4, 3x3) and F(2x2, 5x5).
  WinogradKernels<T> winograd_2x3, winograd_4x3, winograd_2x5;

  // winograd_2x3 fused for `count` tiles: sums stay in registers, transformed inputs and weights are bfloat16. Null where the processor has
  // no bfloat16 dot products.
  // cols and out are multiples of 16; `weight` is [out / 16][4 columns][cols / 2][4 rows][16][2]; `workspace` has
  // 16 · cols numbers a tile, of whole groups.
  void (*fused_winograd)(const T* x, const struct Tiles& tiles, int64_t first, int64_t count, const T* weight, int64_t out,
                         const A* scale, const A* shift, const T* add, int act, T* y, T* workspace);

  // On one image [pixels, cols]: out = x · factor; sums = scale · column sums of a · b (b may be null);
  // out = a + scale · column (a may be null).
  void (*gate)(const T* x, const T* factor, int64_t pixels, int64_t cols, T* out);
  void (*column_sums)(const T* a, const T* b, int64_t pixels, int64_t cols, A scale, T* sums);
  void (*add_column)(const T* a, const T* column, int64_t pixels, int64_t cols, A scale, T* out);
  void (*add)(const T* a, const T* b, int64_t size, T* out);

  // shortcut + t · (body - shortcut), or body + (1 - t) · shortcut where only the shortcut is gated, with t = σ(gate).
  void (*gated_sum)(const T* gate, const T* body, const T* shortcut, int64_t size, bool shortcut_only, T* out);
  void (*gated_sum_backward)(const T* gate, const T* body, const T* shortcut, const T* dy, int64_t size, bool shortcut_only,
                             T* dgate, T* dbody, T* dshortcut);

  // out = x · scale where the random number of that place is at least `threshold`, else 0. Numbers are those of places from `first` on,
  // a multiple of kRandomBlock; they depend on the key and the place alone.
  void (*dropout)(const T* x, int64_t first, int64_t size, uint64_t key, uint32_t threshold, A scale, T* out);
};

// Places that `dropout` draws random numbers for at a time.
constexpr int64_t kRandomBlock = 64;

// A window over one image.
struct Pool {
  int64_t h, w, oh, ow, cols, kernel_h, kernel_w, stride_h, stride_w, top, left;
};

// Local response normalisation: x / (k + alpha / size · the squares of `size` channels about it)^beta.
struct Lrn {
  int64_t cols, size;
  double alpha, beta, k;
  [[gnu::always_inline]] int64_t before() const { return size / 2; }
  [[gnu::always_inline]] int64_t after() const { return (size - 1) / 2; }
  // A row of channels, what its windows reach over, and a vector that is not full.
  [[gnu::always_inline]] int64_t workspace() const { return cols + size + 32; }
};

// Images [height, width, cols], pixels `ld` apart, in tiles of `side` x `side` pixels; the last ones may reach over the edge.
struct Tiles {
  int64_t height, width, cols, ld, side;

  struct Place {
    int64_t image, y, x;
  };
  [[gnu::always_inline]] int64_t across() const { return (width + side - 1) / side; }
  [[gnu::always_inline]] int64_t down() const { return (height + side - 1) / side; }
  [[gnu::always_inline]] int64_t of_image() const { return down() * across(); }
  [[gnu::always_inline]] Place place(int64_t tile) const {
    const int64_t rest = tile % of_image();
    return {tile / of_image(), rest / across(), rest % across()};
  }
  // To the next tile; whether it lies in the same row.
  [[gnu::always_inline]] bool advance(Place& at) const {
    if (++at.x < across()) return true;
    at.x = 0;
    if (++at.y == down()) at.y = 0, ++at.image;
    return false;
  }
};

// Tiles that fused_winograd takes together.
constexpr int64_t kGroup = 6;

// The kernels of the best set for this processor.
template <class T>
const Kernels<T>& kernels();

// Whether matrix products in bfloat16 use AMX.
bool has_amx();

}  // namespace strata
