// Grouped convolutions (Krizhevsky et al. 2012; Xie et al. 2017) as dense ones over slices of the channels. A slice is as
// many neighbouring groups as fill a vector; its weight has zeros between inputs and outputs of different groups. With groups
// of four channels, three in four products are with such zeros.

#pragma once

#include "conv.h"

namespace strata {

struct Slices {
  int64_t count, groups;  // how many slices, groups in each
  Shape shape;            // the dense convolution of one
  int64_t in, out;        // channels of a group

  explicit Slices(const Shape& s);

  // The weight of a slice, [out, taps, in] of the dense convolution; `w` is that of the grouped one.
  template <class A>
  Buffer<A> dense(int64_t slice, const Weight<A>& w) const {
    const Buffer<A> dense(shape.out * shape.taps() * shape.in);
    std::fill(dense.data, dense.data + shape.out * shape.taps() * shape.in, A(0));
    each_row(slice, w, dense.data, [&](A* row, A* dense_row) { std::copy(row, row + in, dense_row); });
    return dense;
  }

  // The reverse, of gradients.
  template <class A>
  void gather(int64_t slice, const A* dense, A* dw) const {
    const Weight<A> w{{}, dw, shape.taps() * in};
    each_row(slice, w, dense, [&](A* row, const A* dense_row) { std::copy(dense_row, dense_row + in, row); });
  }

 private:
  // Calls f(row of the grouped weight, its place in the dense one) for each output and tap of a slice.
  template <class A, class Dense, class F>
  void each_row(int64_t slice, const Weight<A>& w, Dense* dense, F&& f) const {
    tasks(shape.out, [&](int64_t o) {
      A* row = w.data + (slice * shape.out + o) * w.ld;
      for (int64_t tap = 0; tap < shape.taps(); ++tap)
        f(row + tap * in, dense + (o * shape.taps() + tap) * shape.in + o / out * in);
    });
  }
};

}  // namespace strata
