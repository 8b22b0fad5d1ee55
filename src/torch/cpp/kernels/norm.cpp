// Passes over [rows, cols] with one number for each column: batch normalisation, the ends of matrix products.
//
// All are bound by memory. Columns are the outer loop, a few vectors at a time, so that their numbers and sums stay in registers
// while the rows go by.

#include "parts.h"
#include "activations.h"

namespace strata {
namespace {

template <class T>
void mask(const T* in, int64_t ld_in, const T* y, int64_t ld_y, int64_t rows, int64_t cols, int relu, T* out,
          int64_t ld_out, Acc<T>* sums) {
  using A = Acc<T>;
  abreast<kAbreast<T>>(cols, [&](int64_t c, auto n, auto count) {
    Vectors<A, count> sum;
    if (sums) sum = load(sums + c, n, count);
    for (int64_t r = 0; r < rows; ++r)
      for (int i = 0; i < count; ++i) {
        const int64_t at = c + i * kLanes;
        Vec<A> v = load(in + r * ld_in + at, n);
        if (relu) v = Activation<kRelu>::slope<T>(v, load(y + r * ld_y + at, n));
        if (out) store(out + r * ld_out + at, v, n);
        sum[i] += v;
      }
    if (sums) store(sums + c, sum, n);
  });
}

// act(x · scale + shift + add), of T or of sums. Whether scale, shift and add are there is the same for all rows: the compiler moves the
// tests out of the loop.
template <class T, class In>
void scaled(const In* x, int64_t ld_x, int64_t rows, int64_t cols, const Acc<T>* scale, const Acc<T>* shift, const T* add,
            int64_t ld_add, int act, T* out, int64_t ld_out) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    abreast<kAbreast<T>>(cols, [&](int64_t c, auto n, auto count) {
      Vectors<A, count> a, b;
      for (int i = 0; i < count; ++i) a[i] += 1;
      if (scale) a = load(scale + c, n, count);
      if (shift) b = load(shift + c, n, count);
      for (int64_t r = 0; r < rows; ++r)
        for (int i = 0; i < count; ++i) {
          const int64_t at = c + i * kLanes;
          Vec<A> v = load(x + r * ld_x + at, n) * a[i] + b[i];
          if (add) v += load(add + r * ld_add + at, n);
          store(out + r * ld_out + at, Activation<constant.value>::template value<T>(v), n);
        }
    });
  });
}

template <class T>
void affine(const T* x, int64_t rows, int64_t cols, const Acc<T>* scale, const Acc<T>* shift, const T* add, int act,
            T* out) {
  scaled(x, cols, rows, cols, scale, shift, add, cols, act, out, cols);
}

template <class T>
void moments(const T* x, int64_t rows, int64_t cols, const Acc<T>* origin, Acc<T>* sums, Acc<T>* squares) {
  using A = Acc<T>;
  abreast<kAbreast<T> / 2>(cols, [&](int64_t c, auto n, auto count) {
    const auto zero = load(origin + c, n, count);
    // Two chains a vector, since an addition waits for the one before it.
    Vectors<A, count> s0, s1, q0, q1;
    int64_t r = 0;
    for (; r + 2 <= rows; r += 2)
      for (int i = 0; i < count; ++i) {
        const int64_t at = r * cols + c + i * kLanes;
        const Vec<A> a = load(x + at, n) - zero[i], b = load(x + at + cols, n) - zero[i];
        s0[i] += a, q0[i] += a * a;
        s1[i] += b, q1[i] += b * b;
      }
    for (int i = 0; i < count; ++i) {
      if (r < rows) {
        const Vec<A> a = load(x + r * cols + c + i * kLanes, n) - zero[i];
        s0[i] += a, q0[i] += a * a;
      }
      s0[i] += s1[i], q0[i] += q1[i];
    }
    store(sums + c, s0, n);
    store(squares + c, q0, n);
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
    abreast<kAbreast<T>>(cols, [&](int64_t c, auto n, auto count) {
      const auto a = load(scale + c, n, count), b = load(shift + c, n, count), m = load(mean + c, n, count);
      Vectors<A, count> s, p;
      for (int64_t r = 0; r < rows; ++r)
        for (int i = 0; i < count; ++i) {
          const int64_t at = r * cols + c + i * kLanes;
          const Vec<A> v = load(x + at, n);
          Vec<A> from = {};  // what the derivative is computed from
          if constexpr (Act::from == From::kOutput) from = y ? load(y + at, n) : v * a[i] + b[i];
          if constexpr (Act::from == From::kInput) from = v * a[i] + b[i];
          const Vec<A> g = Act::template slope<T>(load(dy + at, n), from);
          if (residual) store(residual + at, g, n);
          s[i] += g;
          p[i] += g * (v - m[i]);
        }
      const auto by = load(inverse + c, n, count);
      for (int i = 0; i < count; ++i) p[i] *= by[i];
      store(sums + c, s, n);
      store(products + c, p, n);
    });
  });
}

template <class T>
void norm_input(const T* x, const T* y, const T* dy, int64_t rows, int64_t cols, const Acc<T>* scale,
                const Acc<T>* shift, const Acc<T>* a, const Acc<T>* b, const Acc<T>* c0, int act, T* dx) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    using Act = Activation<constant.value>;
    abreast<kAbreast<T>>(cols, [&](int64_t c, auto n, auto count) {
      const auto s = load(scale + c, n, count), t = load(shift + c, n, count);
      const auto ga = load(a + c, n, count), gb = load(b + c, n, count), gc = load(c0 + c, n, count);
      for (int64_t r = 0; r < rows; ++r)
        for (int i = 0; i < count; ++i) {
          const int64_t at = r * cols + c + i * kLanes;
          const Vec<A> v = load(x + at, n);
          Vec<A> from = {};  // what the derivative is computed from
          if constexpr (Act::from == From::kOutput) from = y ? load(y + at, n) : v * s[i] + t[i];
          if constexpr (Act::from == From::kInput) from = v * s[i] + t[i];
          const Vec<A> g = Act::template slope<T>(load(dy + at, n), from);
          store(dx + at, g * ga[i] + v * gb[i] + gc[i], n);
        }
    });
  });
}

}  // namespace

template <class T>
void STRATA_ISA::norm_kernels(Kernels<T>& table) {
  table.mask = mask<T>;
  table.store = scaled<T, Acc<T>>;
  table.moments = moments<T>;
  table.affine = affine<T>;
  table.norm_sums = norm_sums<T>;
  table.norm_input = norm_input<T>;
}
STRATA_INSTANTIATE(norm_kernels)

}  // namespace strata
