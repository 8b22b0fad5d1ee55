// Work divided among threads so that its result does not depend on their number, and the memory that threads keep.

#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "products.h"

namespace strata {

// A buffer that is kept from call to call and grows, zero at first. It is aligned to a cache line, as libtorch's tensors are:
// a vector that straddles two lines takes two reads.
template <class T>
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { std::free(place_); }

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

// A thread's buffer for sums.
template <class A>
A* scratch(int64_t size) {
  thread_local Workspace<A> workspace;
  return workspace.of(size);
}

// A thread's buffers for `size` activations, distinguished by `slot`.
template <class T>
T* workspace(int slot, int64_t size) {
  thread_local Workspace<T> workspaces[4];
  return workspaces[slot].of(size);
}

// A thread's buffer for activations, filled with zeros.
template <class T>
T* zeroed(int slot, int64_t size) {
  T* place = workspace<T>(slot, size);
  std::fill(place, place + size, T{});
  return place;
}

// Calls f(i) for 0 ≤ i < n, in any order and on all threads. No result may depend on the number of threads: each task
// owns what it writes.
//
// Every thread has a share of neighbouring tasks, the same in layer after layer, so that it finds its images in its own
// cache. A thread that is done with its share steals from the others': cores are rarely equally fast, as something else runs
// on one of them.
template <class F>
void tasks(int64_t n, F&& f) {
  struct alignas(64) Share {  // a cache line each, or threads that count would slow each other down
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

// Splits `rows` into pieces of 32768 values, at least 16 and at most 1024 rows: few enough that a piece stays in the second
// cache between two passes. The size depends on the shape alone, so that sums over pieces do not depend on threads.
struct Pieces {
  int64_t rows, size, count;
  Pieces(int64_t rows, int64_t cols) : rows(rows) {
    size = std::clamp<int64_t>(32768 / std::max<int64_t>(cols, 1), 16, 1024);
    count = (rows + size - 1) / size;
  }
  int64_t begin(int64_t i) const { return i * size; }
  int64_t length(int64_t i) const { return std::min(size, rows - i * size); }
};

// The most chunks that a batch is divided into where each keeps sums of its own. A chunk is one task, and the sums of chunks
// are added in their order, so that the number of threads does not matter.
constexpr int64_t kMaxChunks = 16;

// So few chunks that their sums of `size` numbers each take at most 32 MB.
inline int64_t chunk_count(int64_t images, int64_t size) {
  return std::min(images, std::clamp<int64_t>((int64_t(8) << 20) / std::max<int64_t>(size, 1), 2, kMaxChunks));
}

// The images of chunk `index` of `chunks`.
struct Chunk {
  int64_t begin, end;
  Chunk(int64_t images, int64_t index, int64_t chunks)
      : begin(images * index / chunks), end(images * (index + 1) / chunks) {}
};

// The sum of number `index` over all chunks, which have `size` numbers each.
template <class A>
A sum_of_chunks(const A* partial, int64_t chunks, int64_t size, int64_t index) {
  A sum = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * size + index];
  return sum;
}

// The sums of `count` pieces, added in their order and in double.
template <class A>
std::vector<double> total(const std::vector<A>& partial, int64_t count, int64_t cols) {
  std::vector<double> sum(cols, 0.0);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < cols; ++c) sum[c] += partial[i * cols + c];
  return sum;
}

}  // namespace strata
