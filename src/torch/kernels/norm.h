// Passes over [rows, cols] with one number a column: batch normalisation, the ends of matrix products.

#pragma once

#include "vectors.h"

namespace strata {
namespace {

// Calls f with `act` as a constant.
template <class F>
inline void with_act(int act, F&& f) {
  switch (act) {
    case kRelu: return f(std::integral_constant<int, kRelu>());
    case kRelu6: return f(std::integral_constant<int, kRelu6>());
    case kSilu: return f(std::integral_constant<int, kSilu>());
    default: return f(std::integral_constant<int, kNone>());
  }
}

template <class T>
void mask(const T* in, int64_t ld_in, const T* y, int64_t ld_y, int64_t rows, int64_t cols, int relu, T* out,
          int64_t ld_out, Acc<T>* sums) {
  using A = Acc<T>;
  over(cols, [&](int64_t c, auto n) {
    Vec<A> sum = {};
    for (int64_t r = 0; r < rows; ++r) {
      Vec<A> v = load(in + r * ld_in + c, n);
      if (relu) v = derived<kRelu, T>(v, load(y + r * ld_y + c, n), v);
      if (out) store(out + r * ld_out + c, v, n);
      sum += v;
    }
    if (sums) store(sums + c, load(sums + c, n) + sum, n);
  });
}

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
        store(out + r * ld_out + c, activated<constant.value, T>(v), n);
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
        store(out + r * cols + c, activated<constant.value, T>(v), n);
      }
    });
  });
}

template <class T>
void norm_sums(const T* x, const T* y, const T* dy, int64_t rows, int64_t cols, const Acc<T>* scale,
               const Acc<T>* shift, const Acc<T>* mean, const Acc<T>* inverse, int act, T* residual, Acc<T>* sums,
               Acc<T>* products) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    constexpr int kind = constant.value;
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> a = load(scale + c, n), b = load(shift + c, n), m = load(mean + c, n), i = load(inverse + c, n);
      Vec<A> s = {}, p = {};
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * cols + c;
        const Vec<A> v = load(x + at, n);
        Vec<A> out = {};
        if constexpr (kind == kRelu || kind == kRelu6) out = load(y + at, n);
        const Vec<A> g = derived<kind, T>(load(dy + at, n), out, kind == kSilu ? v * a + b : v);
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
    constexpr int kind = constant.value;
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> s = load(scale + c, n), t = load(shift + c, n);
      const Vec<A> ga = load(a + c, n), gb = load(b + c, n), gc = load(c0 + c, n);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * cols + c;
        const Vec<A> v = load(x + at, n);
        Vec<A> out = {};
        if constexpr (kind == kRelu || kind == kRelu6) out = load(y + at, n);
        const Vec<A> g = derived<kind, T>(load(dy + at, n), out, kind == kSilu ? v * s + t : v);
        store(dx + at, g * ga + v * gb + gc, n);
      }
    });
  });
}

// Of one image [pixels, cols]: out = x · factor.
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
  // Whole cache lines of every pixel.
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
}  // namespace strata
