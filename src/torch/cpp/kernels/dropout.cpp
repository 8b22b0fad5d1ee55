// Dropout with random numbers from Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a function of a key
// and a counter, so that any place can be drawn by itself, by any thread, and again in the backward pass.
//
// A counter gives four numbers. Those of 16 counters belong to 64 places: counter c of them to the places c, c + 16, c + 32 and
// c + 48, which keeps neighbours in a vector, however wide it is.

#include <algorithm>

#include "parts.h"
#include "vectors.h"

namespace strata {
namespace {

constexpr int64_t kCounters = kRandomBlock / 4;
static_assert(kCounters % kLanes == 0);

typedef uint64_t U64 __attribute__((vector_size(8 * kLanes)));

struct Product {
  U32 high, low;
};

inline Product multiply(U32 x, uint32_t factor) {
  const U64 product = __builtin_convertvector(x, U64) * static_cast<uint64_t>(factor);
  return {__builtin_convertvector(product >> 32, U32), __builtin_convertvector(product, U32)};
}

// Four random numbers for each of kLanes counters from `counter` on.
inline void philox(uint64_t counter, uint64_t key, U32 (&x)[4]) {
  U64 counters;
  for (int lane = 0; lane < kLanes; ++lane) counters[lane] = counter + lane;
  x[0] = __builtin_convertvector(counters, U32), x[1] = __builtin_convertvector(counters >> 32, U32);
  x[2] = x[3] = U32{};
  uint32_t low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product a = multiply(x[0], 0xD2511F53), b = multiply(x[2], 0xCD9E8D57);
    const U32 first = b.high ^ x[1] ^ low, third = a.high ^ x[3] ^ high;
    x[0] = first, x[1] = b.low, x[2] = third, x[3] = a.low;
    low += 0x9E3779B9, high += 0xBB67AE85;
  }
}

template <class T>
void dropout(const T* x, int64_t first, int64_t size, uint64_t key, uint32_t threshold, Acc<T> scale, T* out) {
  using A = Acc<T>;
  uint32_t numbers[kRandomBlock];
  A factors[kRandomBlock];
  for (int64_t i = 0; i < size; i += kRandomBlock) {
    const uint64_t counter = (first + i) / 4;
    for (int64_t c = 0; c < kCounters; c += kLanes) {
      U32 words[4];
      philox(counter + c, key, words);
      for (int word = 0; word < 4; ++word) storeu(numbers + word * kCounters + c, words[word]);
    }
    for (int64_t place = 0; place < kRandomBlock; ++place) factors[place] = numbers[place] >= threshold ? scale : A(0);
    over(std::min(kRandomBlock, size - i), [&](int64_t at, auto n) {
      store(out + i + at, load(x + i + at, n) * loadu<Vec<A>>(factors + at), n);
    });
  }
}

}  // namespace

template <class T>
void STRATA_ISA::dropout_kernels(Kernels<T>& table) {
  table.dropout = dropout<T>;
}
STRATA_INSTANTIATE(dropout_kernels)

}  // namespace strata
