// What the fused operations share: the kernels of this processor, matrix products, tensors seen as matrices of pixels by
// channels. Included by shim.cpp alone.

#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/native/CPUBlas.h>
#include <torch/csrc/autograd/custom_function.h>

#include <atomic>
#include <new>

#include "kernels/kernels.h"
#include "shim_check.h"

namespace strata {

#if defined(__x86_64__)
// As libtorch does, no more than ATEN_CPU_CAPABILITY allows: tests go through the lower sets on any processor.
inline bool allowed(const char* set) {
  const std::string capability = at::get_cpu_capability();
  return capability != "DEFAULT" && (capability != "AVX2" || std::strcmp(set, "avx2") == 0);
}
#define STRATA_CHOICE(NAME)                                                                                           \
  allowed("avx512") && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") ? NAME##_avx512     \
  : allowed("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")            ? NAME##_avx2       \
                                                                                                  : NAME##_baseline
#else
#define STRATA_CHOICE(NAME) NAME##_baseline
#endif

#define STRATA_KERNELS(T, NAME)                                                                        \
  extern const Kernels<T> NAME##_baseline;                                                             \
  extern const Kernels<T> NAME##_avx2;                                                                 \
  extern const Kernels<T> NAME##_avx512;                                                               \
  template <>                                                                                          \
  const Kernels<T>& kernels<T>() {                                                                     \
    static const Kernels<T>& best = STRATA_CHOICE(NAME);                                               \
    return best;                                                                                       \
  }
STRATA_KERNELS(bf16, bf16)
STRATA_KERNELS(float, float)
STRATA_KERNELS(double, double)
#undef STRATA_KERNELS
#undef STRATA_CHOICE

}  // namespace strata

namespace {

using strata::Acc;
using strata::bf16;
using strata::kernels;
using strata::kPair;

template <class T>
T number(float value) {
  if constexpr (std::is_same_v<T, bf16>)
    return bf16{c10::BFloat16(value).x};
  else
    return value;
}

// C (+)= A · B, with B interleaved (kernels.h). The bfloat16 and float forms are oneDNN's, made for the processor.
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const bf16* a,
             const bf16* b, float* c) {
  at::native::cpublas::brgemm(m, n, k + k % 2, ld_a, ld_b, ld_c, add, reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b), c, true);
}
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const float* a,
             const float* b, float* c) {
  at::native::cpublas::brgemm(m, n, k, ld_a, ld_b, ld_c, add, a, b, c, false);
}
// Processors with tiles (AMX) keep them set up for one kind of product; other code of oneDNN takes them down without telling
// brgemm, which must therefore begin anew. Elsewhere this costs nothing.
struct Products {
  ~Products() { at::native::cpublas::brgemm_release(); }
};

// Whether oneDNN has products of this kind for the processor, and they do what is expected of them.
template <class T>
bool has_products() {
  static const bool has = [] {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) return false;
    try {
      const Products products;
      // [1 2] · [[1 …], [3 …]] = 7, with the right operand as kernels.h says.
      T a[2], b[32];
      for (int i = 0; i < 32; ++i) b[i] = number<T>(kPair<T> == 2 ? (i % 2 ? 3 : 1) : (i < 16 ? 1 : 3));
      a[0] = number<T>(1), a[1] = number<T>(2);
      Acc<T> c[16] = {};
      product(1, 16, 2, 2, 16, 16, false, a, b, c);
      return c[0] == 7 && c[15] == 7;
    } catch (const std::exception&) {
    }
#endif
    return false;
  }();
  return has;
}

// For tests of equality only.
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const double* a,
             const double* b, double* c) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = add ? c[i * ld_c + j] : 0.0;
      for (int64_t l = 0; l < k; ++l) sum += a[i * ld_a + l] * b[l * ld_b + j];
      c[i * ld_c + j] = sum;
    }
}

template <class T>
constexpr at::ScalarType kKind = std::is_same_v<T, bf16> ? at::kBFloat16 : std::is_same_v<T, float> ? at::kFloat : at::kDouble;

// The element type of activations as a C++ type.
template <class F>
auto with_type(at::ScalarType kind, F&& f) {
  switch (kind) {
    case at::kBFloat16: return f(bf16{});
    case at::kFloat: return f(float{});
    case at::kDouble: return f(double{});
    default: throw std::invalid_argument(std::string("no fused operation for ") + at::toString(kind));
  }
}

template <class T>
const T* data(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}
template <class T>
T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}
// Null where there is none.
template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? data<T>(tensor) : nullptr;
}
template <class T>
const T* data_or_null(const std::optional<Tensor>& tensor) {
  return tensor ? data<T>(*tensor) : nullptr;
}

template <class T>
struct Buffer {
  Tensor tensor;
  T* data;
  Buffer() : data(nullptr) {}
  explicit Buffer(const Tensor& tensor) : tensor(tensor), data(mutable_data<T>(tensor)) {}
  explicit Buffer(int64_t size) : Buffer(at::empty({std::max<int64_t>(size, 1)}, kKind<T>)) {}
};

// Memory that is kept and grows, zero at first. It begins with a cache line, as libtorch's tensors do: a vector that reaches
// over two lines takes two reads.
template <class T>
class Room {
 public:
  Room() = default;
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() { std::free(place_); }

  T* of(int64_t size) {
    if (size <= size_) return place_;
    std::free(place_);
    constexpr size_t line = 64;
    const size_t bytes = (size * sizeof(T) + line - 1) / line * line;
    place_ = static_cast<T*>(std::aligned_alloc(line, bytes));
    size_ = place_ ? size : 0;
    if (!place_) throw std::bad_alloc();
    std::memset(static_cast<void*>(place_), 0, bytes);
    return place_;
  }

 private:
  T* place_ = nullptr;
  int64_t size_ = 0;
};

// Room for a thread's sums, kept from call to call.
template <class A>
A* scratch(int64_t size) {
  thread_local Room<A> room;
  return room.of(size);
}

// A map [N, C, H, W] with its channels side by side in memory; rows are pixels, `ld` apart.
struct Pixels {
  Tensor tensor;
  int64_t images, channels, height, width, ld;
  int64_t rows() const { return images * height * width; }
};

// Sees a tensor as rows of channels, copying it only where its memory is not laid out like that. A slice of the channels
// of such a map is one too.
Pixels pixels(const Tensor& tensor) {
  const auto n = tensor.size(0), c = tensor.size(1);
  const bool map = tensor.dim() == 4;
  const auto h = map ? tensor.size(2) : 1, w = map ? tensor.size(3) : 1;
  const auto whole = [&](const Tensor& t) {
    // The distance of pixels, from the innermost axis that is longer than 1.
    int64_t ld = w > 1 ? t.stride(3) : h > 1 ? t.stride(2) : n > 1 ? t.stride(0) : c;
    const bool good = (c == 1 || t.stride(1) == 1) && ld >= c && (w == 1 || t.stride(3) == ld) &&
                      (h == 1 || t.stride(2) == ld * w) && (n == 1 || t.stride(0) == ld * w * h);
    return good ? ld : 0;
  };
  if (const int64_t ld = whole(tensor)) return {tensor, n, c, h, w, ld};
  if (!map) return {tensor.contiguous(), n, c, h, w, c};
  Tensor copy = at::empty_strided({n, c, h, w}, {h * w * c, 1, w * c, c}, tensor.options());
  copy.copy_(tensor);
  return {copy, n, c, h, w, c};
}

// The same without gaps between pixels.
Pixels dense_pixels(const Tensor& tensor) {
  Pixels seen = pixels(tensor);
  if (seen.ld == seen.channels) return seen;
  Tensor copy = at::empty_strided({seen.images, seen.channels, seen.height, seen.width},
                                  {seen.height * seen.width * seen.channels, 1, seen.width * seen.channels, seen.channels},
                                  tensor.options());
  copy.copy_(tensor.dim() == 4 ? tensor : tensor.unsqueeze(-1).unsqueeze(-1));
  return {copy, seen.images, seen.channels, seen.height, seen.width, seen.channels};
}

Tensor new_map(int64_t n, int64_t c, int64_t h, int64_t w, at::ScalarType kind) {
  return at::empty_strided({n, c, h, w}, {h * w * c, 1, w * c, c}, at::TensorOptions().dtype(kind));
}

// The kind of number that activations have: under autocast bfloat16, else what they come in.
at::ScalarType activation_kind(const Tensor& x) {
  const bool autocast = at::autocast::is_autocast_enabled(at::kCPU) && x.scalar_type() != at::kDouble;
  return autocast ? at::autocast::get_autocast_dtype(at::kCPU) : x.scalar_type();
}

// Calls f(i) for 0 ≤ i < n, in any order and on all threads. No result may depend on the number of threads: each task
// owns what it writes.
//
// Every thread has a share of neighbours, the same in layer after layer, so that it finds its images in its own cache; one
// that is done with its share helps with the others'. Cores are rarely equally fast: something else runs on one of them.
template <class F>
void tasks(int64_t n, F&& f) {
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };
  const int64_t threads = at::in_parallel_region() ? 1 : std::min<int64_t>(n, at::get_num_threads());
  std::vector<Share> shares(std::max<int64_t>(threads, 1));
  for (int64_t t = 0; t < threads; ++t) shares[t].next = n * t / threads, shares[t].end = n * (t + 1) / threads;
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    const Products products;
    for (int64_t own = begin; own < end; ++own)
      for (int64_t t = 0; t < threads; ++t) {
        Share& share = shares[(own + t) % threads];
        for (int64_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) f(i);
      }
  });
}

// Splits `rows` into pieces of a size that depends on the shape alone.
struct Pieces {
  int64_t rows, size, count;
  Pieces(int64_t rows, int64_t cols) : rows(rows) {
    size = std::clamp<int64_t>(32768 / std::max<int64_t>(cols, 1), 16, 1024);
    count = (rows + size - 1) / size;
  }
  int64_t begin(int64_t i) const { return i * size; }
  int64_t length(int64_t i) const { return std::min(size, rows - i * size); }
};

// Sums over pieces put together in the order of pieces.
template <class A>
std::vector<double> total(const std::vector<A>& parts, int64_t count, int64_t cols) {
  std::vector<double> sum(cols, 0.0);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < cols; ++c) sum[c] += parts[i * cols + c];
  return sum;
}

}  // namespace
