// Function and derivative of each line of STRATA_ACTIVATIONS: one that has none here does not compile.

#pragma once

#include <type_traits>

#include "vectors.h"

namespace strata {
namespace {

// What a derivative is computed from: nothing, the output, or the input z.
enum class From { kNothing, kOutput, kInput };

// value(z) is act(z), and slope(dy, from) is dy · act'(z), for values that are stored as T.
template <int act>
struct Activation;

template <>
struct Activation<kNone> {
  static constexpr From from = From::kNothing;
  template <class T>
  static Vec<Acc<T>> value(Vec<Acc<T>> z) {
    return z;
  }
  template <class T>
  static Vec<Acc<T>> slope(Vec<Acc<T>> dy, Vec<Acc<T>>) {
    return dy;
  }
};

template <>
struct Activation<kRelu> {
  static constexpr From from = From::kOutput;
  template <class T>
  static Vec<Acc<T>> value(Vec<Acc<T>> z) {
    const Vec<Acc<T>> zero = {};
    return choose<Acc<T>>(z < 0, zero, z);  // NaN stays NaN
  }
  template <class T>
  static Vec<Acc<T>> slope(Vec<Acc<T>> dy, Vec<Acc<T>> y) {
    const Vec<Acc<T>> zero = {};
    return choose<Acc<T>>(y > 0, dy, zero);
  }
};

template <>
struct Activation<kRelu6> {
  static constexpr From from = From::kOutput;
  template <class T>
  static Vec<Acc<T>> value(Vec<Acc<T>> z) {
    const Vec<Acc<T>> zero = {};
    z = choose<Acc<T>>(z < 0, zero, z);
    return choose<Acc<T>>(z > 6, zero + 6, z);
  }
  template <class T>
  static Vec<Acc<T>> slope(Vec<Acc<T>> dy, Vec<Acc<T>> y) {
    const Vec<Acc<T>> zero = {};
    return choose<Acc<T>>((y > 0) & (y < 6), dy, zero);
  }
};

template <>
struct Activation<kSilu> {
  static constexpr From from = From::kInput;
  template <class T>
  static Vec<Acc<T>> value(Vec<Acc<T>> z) {
    return z * sigmoid<T>(z);
  }
  template <class T>
  static Vec<Acc<T>> slope(Vec<Acc<T>> dy, Vec<Acc<T>> z) {
    const Vec<Acc<T>> s = sigmoid<T>(z);
    return dy * (s * (z * (1 - s) + 1));
  }
};

// Calls f with `act` as a constant: loops are compiled for each, without a branch in them.
template <class F>
inline void with_act(int act, F&& f) {
  switch (act) {
#define STRATA_CASE(ACT, ...) \
  case ACT: return f(std::integral_constant<int, ACT>());
    STRATA_ACTIVATIONS(STRATA_CASE)
#undef STRATA_CASE
  }
}

}  // namespace
}  // namespace strata
