// Local response normalisation (Krizhevsky et al. 2012, section 3.3), channels last: pixel by pixel.
//
// The squares of a pixel lie in `workspace` with zeros before and after, so that a window over the first or last channels needs no
// test. A running sum along the channels would take fewer additions, but each would wait for the one before it, and cancel.

#include "parts.h"
#include "vectors.h"

namespace strata {
namespace {

template <class A>
inline Vec<A> root(Vec<A> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(A) == 4) return (Vec<A>)_mm512_sqrt_ps((__m512)x);
#endif
  for (int i = 0; i < kLanes; ++i) x[i] = std::sqrt(x[i]);
  return x;
}

// s^-beta
template <class A>
inline Vec<A> power(Vec<A> s, A beta) {
  if (beta == A(0.75)) return 1 / (root<A>(s) * root<A>(root<A>(s)));  // the exponent of the paper
  for (int i = 0; i < kLanes; ++i) s[i] = std::pow(s[i], -beta);
  return s;
}

// For each lane, the sum of `size` neighbours from it on.
template <class A>
inline Vec<A> window_sum(const A* from, int64_t size) {
  Vec<A> sum = loadu<Vec<A>>(from);
  for (int64_t j = 1; j < size; ++j) sum += loadu<Vec<A>>(from + j);
  return sum;
}

// k + alpha / size · the squares of the channels about c, for a vector of them; `squares` begins `before` channels early.
template <class A>
inline Vec<A> denominator(const A* squares, int64_t c, const Lrn& l) {
  return window_sum(squares + c, l.size) * static_cast<A>(l.alpha / l.size) + static_cast<A>(l.k);
}

template <class T>
inline void square(const T* x, const Lrn& l, Acc<T>* squares) {
  over(l.cols, [&](int64_t c, auto n) {
    const Vec<Acc<T>> v = load(x + c, n);
    storeu(squares + l.before() + c, v * v);
  });
}

template <class T>
void lrn(const T* x, int64_t rows, const Lrn& l, T* y, Acc<T>* workspace) {
  using A = Acc<T>;
  std::memset(workspace, 0, l.workspace() * sizeof(A));
  for (int64_t r = 0; r < rows; ++r, x += l.cols, y += l.cols) {
    square(x, l, workspace);
    over(l.cols, [&](int64_t c, auto n) {
      store(y + c, load(x + c, n) * power<A>(denominator<A>(workspace, c, l), static_cast<A>(l.beta)), n);
    });
  }
}

// With s the denominator, dx = dy · s^-beta - 2 · alpha / size · beta · x · the sums of dy · x · s^(-beta - 1) over the channels whose window holds c.
template <class T>
void lrn_backward(const T* x, const T* dy, int64_t rows, const Lrn& l, T* dx, Acc<T>* workspace) {
  using A = Acc<T>;
  std::memset(workspace, 0, 3 * l.workspace() * sizeof(A));
  A *squares = workspace, *pulls = workspace + l.workspace(), *powers = pulls + l.workspace();
  const A factor = static_cast<A>(2 * l.alpha / l.size * l.beta);
  for (int64_t r = 0; r < rows; ++r, x += l.cols, dy += l.cols, dx += l.cols) {
    square(x, l, squares);
    over(l.cols, [&](int64_t c, auto n) {
      const Vec<A> s = denominator<A>(squares, c, l), p = power<A>(s, static_cast<A>(l.beta));
      storeu(powers + c, p);
      // Behind the last channel zeros stay, whatever the power of no squares is.
      store(pulls + l.after() + c, load(dy + c, n) * load(x + c, n) * p / s, n);
    });
    over(l.cols, [&](int64_t c, auto n) {
      store(dx + c, load(dy + c, n) * loadu<Vec<A>>(powers + c) - load(x + c, n) * window_sum(pulls + c, l.size) * factor, n);
    });
  }
}

}  // namespace

template <class T>
void STRATA_ISA::lrn_kernels(Kernels<T>& table) {
  table.lrn = lrn<T>;
  table.lrn_backward = lrn_backward<T>;
}
STRATA_INSTANTIATE(lrn_kernels)

}  // namespace strata
