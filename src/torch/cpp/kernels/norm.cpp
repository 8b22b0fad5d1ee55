// Passes over [rows, cols] with one number for each column: batch normalisation, the ends of matrix products.
//
// All are bound by memory. Columns are the outer loop, a vector at a time, so that their numbers and sums stay in registers
// while the rows go by; a piece of rows is small enough (Pieces in parallel.h) that the strided reads hit the second cache.

#include "parts.h"
#include "activations.h"

namespace strata {
namespace {

template <class T>
void mask(const T* in, int64_t ld_in, const T* y, int64_t ld_y, int64_t rows, int64_t cols, int relu, T* out,
          int64_t ld_out, Acc<T>* sums) {
  using A = Acc<T>;
  over(cols, [&](int64_t c, auto n) {
    Vec<A> sum = {};
    for (int64_t r = 0; r < rows; ++r) {
      Vec<A> v = load(in + r * ld_in + c, n);
      if (relu) v = Activation<kRelu>::slope<T>(v, load(y + r * ld_y + c, n));
      if (out) store(out + r * ld_out + c, v, n);
      sum += v;
    }
    if (sums) store(sums + c, load(sums + c, n) + sum, n);
  });
}

// Whether scale, shift and add are there is the same for all rows: the compiler moves the tests out of the loop.
template <class T>
void finish(const Acc<T>* sums, int64_t ld_sums, int64_t rows, int64_t cols, const Acc<T>* scale, const Acc<T>* shift,
            const T* add, int64_t ld_add, int act, T* out, int64_t ld_out) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> one = Vec<A>{} + 1;
      const Vec<A> a = scale ? load(scale + c, n) : one;
      const Vec<A> b = shift ? load(shift + c, n) : Vec<A>{};
      for (int64_t r = 0; r < rows; ++r) {
        Vec<A> v = load(sums + r * ld_sums + c, n) * a + b;
        if (add) v += load(add + r * ld_add + c, n);
        store(out + r * ld_out + c, Activation<constant.value>::template value<T>(v), n);
      }
    });
  });
}

template <class T>
void moments(const T* x, int64_t rows, int64_t cols, const Acc<T>* origin, Acc<T>* sums, Acc<T>* squares) {
  using A = Acc<T>;
  over(cols, [&](int64_t c, auto n) {
    const Vec<A> zero = load(origin + c, n);
    // Two chains, since an addition waits for the one before it.
    Vec<A> s0 = {}, s1 = {}, q0 = {}, q1 = {};
    int64_t r = 0;
    for (; r + 2 <= rows; r += 2) {
      const Vec<A> a = load(x + r * cols + c, n) - zero, b = load(x + (r + 1) * cols + c, n) - zero;
      s0 += a, q0 += a * a;
      s1 += b, q1 += b * b;
    }
    if (r < rows) {
      const Vec<A> a = load(x + r * cols + c, n) - zero;
      s0 += a, q0 += a * a;
    }
    store(sums + c, s0 + s1, n);
    store(squares + c, q0 + q1, n);
  });
}

template <class T>
void affine(const T* x, int64_t rows, int64_t cols, const Acc<T>* scale, const Acc<T>* shift, const T* add, int act,
            T* out) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> a = load(scale + c, n), b = load(shift + c, n);
      for (int64_t r = 0; r < rows; ++r) {
        Vec<A> v = load(x + r * cols + c, n) * a + b;
        if (add) v += load(add + r * cols + c, n);
        store(out + r * cols + c, Activation<constant.value>::template value<T>(v), n);
      }
    });
  });
}

// The sums are linear in (x - mean), so that one multiplication by `inverse` at the end stands for one an element.
template <class T>
void norm_sums(const T* x, const T* y, const T* dy, int64_t rows, int64_t cols, const Acc<T>* scale,
               const Acc<T>* shift, const Acc<T>* mean, const Acc<T>* inverse, int act, T* residual, Acc<T>* sums,
               Acc<T>* products) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    using Act = Activation<constant.value>;
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> a = load(scale + c, n), b = load(shift + c, n), m = load(mean + c, n), i = load(inverse + c, n);
      Vec<A> s = {}, p = {};
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * cols + c;
        const Vec<A> v = load(x + at, n);
        Vec<A> from = {};  // what the derivative is computed from
        if constexpr (Act::from == From::kOutput) from = y ? load(y + at, n) : v * a + b;
        if constexpr (Act::from == From::kInput) from = v * a + b;
        const Vec<A> g = Act::template slope<T>(load(dy + at, n), from);
        if (residual) store(residual + at, g, n);
        s += g;
        p += g * (v - m);
      }
      store(sums + c, s, n);
      store(products + c, p * i, n);
    });
  });
}

template <class T>
void norm_input(const T* x, const T* y, const T* dy, int64_t rows, int64_t cols, const Acc<T>* scale,
                const Acc<T>* shift, const Acc<T>* a, const Acc<T>* b, const Acc<T>* c0, int act, T* dx) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    using Act = Activation<constant.value>;
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> s = load(scale + c, n), t = load(shift + c, n);
      const Vec<A> ga = load(a + c, n), gb = load(b + c, n), gc = load(c0 + c, n);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * cols + c;
        const Vec<A> v = load(x + at, n);
        Vec<A> from = {};  // what the derivative is computed from
        if constexpr (Act::from == From::kOutput) from = y ? load(y + at, n) : v * s + t;
        if constexpr (Act::from == From::kInput) from = v * s + t;
        const Vec<A> g = Act::template slope<T>(load(dy + at, n), from);
        store(dx + at, g * ga + v * gb + gc, n);
      }
    });
  });
}

}  // namespace

template <class T>
void STRATA_ISA::norm_kernels(Kernels<T>& table) {
  table.mask = mask<T>;
  table.store = finish<T>;
  table.moments = moments<T>;
  table.affine = affine<T>;
  table.norm_sums = norm_sums<T>;
  table.norm_input = norm_input<T>;
}
STRATA_INSTANTIATE(norm_kernels)

}  // namespace strata
