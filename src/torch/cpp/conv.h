// What the variants of convolution share. Each is a unit of its own, instantiated there for bfloat16, float and double;
// conv.cpp chooses among them.

#pragma once

#include "conv_shape.h"
#include "parallel.h"

namespace strata {

// Blocks of a matrix product. The float sums of a block of kRows x kCols take 32 KB and stay in the first cache; kDepth bounds
// the part of a sum that one task of a weight's gradient adds up.
constexpr int64_t kRows = 128, kCols = 64, kDepth = 512;

inline int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }

// A weight [out, in, kernel_h, kernel_w] that lies channels last: for each output, one row [in] a tap.
template <class A>
struct Weight {
  Tensor tensor;
  A* data;
  int64_t ld;  // of outputs
  A* tap(int64_t index, int64_t in) const { return data + index * in; }
};

template <class A>
Weight<A> weight_of(const Tensor& tensor, const Shape& s) {
  return {tensor, mutable_data<A>(tensor), s.taps() * s.in / s.groups};
}

// What is done to the sums of a convolution before they are stored: act(sums · scale + shift + add), each of the three may
// be null. Pixels of the output and of `add` lie `ld` apart.
template <class T>
struct End {
  const Acc<T>*scale, *shift;
  const T* add;
  int act;
  int64_t ld;

  // That of the channels from `col` on.
  End from(int64_t col) const {
    return {scale ? scale + col : nullptr, shift ? shift + col : nullptr, add ? add + col : nullptr, act, ld};
  }
};

// Stores the sums of `pixels` pixels from `first` on, channels from `col` on.
template <class T>
void store_pixels(const Acc<T>* sums, int64_t ld, int64_t pixels, int64_t cols, const End<T>& end, int64_t first,
                  int64_t col, T* to) {
  const int64_t at = first * end.ld + col;
  kernels<T>().store(sums, ld, pixels, cols, end.scale ? end.scale + col : nullptr, end.shift ? end.shift + col : nullptr,
                     end.add ? end.add + at : nullptr, end.ld, end.act, to + at, end.ld);
}

// What a backward pass reads and writes: the gradient of the output `dy`, the output `y`, whether that went through relu,
// the input `x` and its gradient `dx`, pixels `ld_*` apart. dx, dw and db are null where they are not wanted.
template <class T>
struct ConvBackward {
  const T* dy;
  int64_t ld_dy;
  const T* y;
  int64_t ld_y;
  bool relu;
  const T* x;
  int64_t ld_x;
  Weight<Acc<T>> weight;
  T* dx;
  int64_t ld_dx;
  Acc<T>*dw, *db;
};

template <class T>
void batch_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y);
template <class T>
void batch_backward(const Shape& s, const ConvBackward<T>& to);

template <class T>
void rows_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y);
template <class T>
void rows_backward(const Shape& s, const ConvBackward<T>& to);

template <class T>
void columns_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y);
template <class T>
void columns_backward(const Shape& s, const ConvBackward<T>& to);

// Whether Winograd's algorithm with transforms and products in float, or double, takes less time than direct sums.
template <class T>
bool by_winograd(const Shape& s);
template <class T>
void winograd_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y);
// Writes to.dx alone, where the output went through no relu.
template <class T>
void winograd_input_gradient(const Shape& s, const ConvBackward<T>& to);
// Writes to.dw alone, likewise.
template <class T>
void winograd_weight_gradient(const Shape& s, const ConvBackward<T>& to);

// Whether the fused bfloat16 kernel of F(2x2, 3x3) applies, whose rounding is too coarse for training. `ld` is the distance
// between output pixels.
template <class T>
bool by_fused_winograd(const Shape& s, int64_t ld);
template <class T>
void fused_winograd_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y);

}  // namespace strata

// Instantiates a function of a variant.
#define STRATA_FORWARD(NAME)                                                                                              \
  template void NAME(const Shape&, const bf16*, int64_t, const Weight<float>&, const End<bf16>&, bf16*);                  \
  template void NAME(const Shape&, const float*, int64_t, const Weight<float>&, const End<float>&, float*);               \
  template void NAME(const Shape&, const double*, int64_t, const Weight<double>&, const End<double>&, double*);
#define STRATA_BACKWARD(NAME)                                  \
  template void NAME(const Shape&, const ConvBackward<bf16>&); \
  template void NAME(const Shape&, const ConvBackward<float>&); \
  template void NAME(const Shape&, const ConvBackward<double>&);
