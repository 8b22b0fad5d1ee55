// Memory of large tensors, kept when they are freed and given to others of any size.
//
// A heap cannot do both: what it keeps is scattered over places of other sizes than the next tensor needs. Here a tensor that finds
// no block of its size is put together from the pages of freed ones, which mremap moves to new addresses without copying them,
// so that the process takes as much as its tensors do at their peak. PyTorch's expandable segments do the same on a GPU.

#if defined(__linux__)
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cstddef>
#include <cstdint>

#include "abi.h"

#if defined(__linux__)

namespace {

// What is moved at once, and the size of a huge page: smaller tensors stay on the heap.
constexpr size_t kChunk = size_t{2} << 20;

// A range of addresses, a multiple of kChunk in place and size.
struct Block {
  char* place;
  size_t chunks;
  // Of the tensor that it is for, or was. Pages after these may never have been touched.
  size_t bytes;

  char* at(size_t chunk) const { return place + chunk * kChunk; }
};

bool is_aligned(const void* place) { return (reinterpret_cast<uintptr_t>(place) & (kChunk - 1)) == 0; }

// Addresses without memory; none if the process may not have more.
char* addresses(size_t chunks) {
  const size_t bytes = chunks * kChunk;
  void* mapped = mmap(nullptr, bytes + kChunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(mapped);
  const size_t before = (kChunk - (reinterpret_cast<uintptr_t>(start) & (kChunk - 1))) & (kChunk - 1);
  if (before > 0) munmap(start, before);
  munmap(start + before + bytes, kChunk - before);
  return start + before;
}

bool move(char* from, char* to, size_t chunks) {
  const size_t bytes = chunks * kChunk;
  return mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
}

// Moves pages from the end of a block to other addresses, at most so many chunks, and returns how many. A block that cannot be
// moved whole is lost.
size_t move(Block& from, char* to, size_t most) {
  const size_t wanted = std::min(from.chunks, most);
  if (move(from.at(from.chunks - wanted), to, wanted)) {
    from.chunks -= wanted;
    return wanted;
  }
  // Before Linux 6.17, pages that came from different places are moved separately.
  size_t moved = 0;
  while (moved < wanted && move(from.at(from.chunks - moved - 1), to + moved * kChunk, 1)) ++moved;
  from.chunks -= moved;
  if (moved < wanted) {
    munmap(from.place, from.chunks * kChunk);
    from.chunks = 0;
  }
  return moved;
}

class LargeTensors final : public c10::Allocator {
 public:
  explicit LargeTensors(c10::Allocator* heap) : heap_(heap) {}

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes >= kChunk) {
      if (void* place = take(bytes)) return {place, place, &release, at::Device(at::kCPU)};
    }
    return heap_->allocate(bytes);
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  static LargeTensors& only() {
    // Never destroyed: tensors outlive statics.
    static auto* tensors = new LargeTensors(c10::GetDefaultCPUAllocator());
    return *tensors;
  }

 private:
  static void release(void* place) {
    if (!only().give_back(place)) only().heap_->raw_deleter()(place);
  }

  // Nothing if there is no memory.
  void* take(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t chunks = (bytes + kChunk - 1) / kChunk;
    Block block{nullptr, chunks, bytes};
    if (const auto found = nearest(block); found != free_.end()) {
      block.place = found->place;
      free_.erase(found);
    } else if (!assemble(block)) {
      return nullptr;
    }
    used_.emplace(block.place, block);
    return block.place;
  }

  bool give_back(void* place) {
    if (!is_aligned(place)) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = used_.find(place);
    if (found == used_.end()) return false;
    free_.push_back(found->second);
    used_.erase(found);
    return true;
  }

  // Of the free blocks with as many chunks the one whose last tensor was closest in size: fewest pages are touched anew.
  std::vector<Block>::iterator nearest(const Block& wanted) {
    const auto distance = [&](const Block& block) {
      if (block.chunks != wanted.chunks) return kChunk;
      return std::max(block.bytes, wanted.bytes) - std::min(block.bytes, wanted.bytes);
    };
    const auto less = [&](const Block& a, const Block& b) { return distance(a) < distance(b); };
    const auto best = std::min_element(free_.begin(), free_.end(), less);
    return best == free_.end() || best->chunks != wanted.chunks ? free_.end() : best;
  }

  // Gives a block addresses, and the pages of the blocks that have been free for longest; what is lacking is new.
  bool assemble(Block& block) {
    block.place = addresses(block.chunks);
    if (!block.place) {
      for (const auto& free : free_) munmap(free.place, free.chunks * kChunk);
      free_.clear();
      block.place = addresses(block.chunks);
      if (!block.place) return false;
    }
    size_t have = 0;
    for (auto& from : free_) {
      if (have == block.chunks) break;
      have += move(from, block.at(have), block.chunks - have);
    }
    const auto empty = [](const Block& from) { return from.chunks == 0; };
    free_.erase(std::remove_if(free_.begin(), free_.end(), empty), free_.end());
    if (have < block.chunks && !fill(block, have)) {
      munmap(block.place, block.chunks * kChunk);
      return false;
    }
    return true;
  }

  // New pages from a chunk on. Whole chunks are huge pages where the system has them: fewer misses of the TLB.
  static bool fill(const Block& block, size_t have) {
    const size_t bytes = (block.chunks - have) * kChunk;
    void* mapped =
        mmap(block.at(have), bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (mapped == MAP_FAILED) return false;
    const size_t whole = block.bytes / kChunk;
    if (whole > have) madvise(block.at(have), (whole - have) * kChunk, MADV_HUGEPAGE);
    return true;
  }

  c10::Allocator* heap_;
  std::mutex mutex_;
  std::unordered_map<void*, Block> used_;
  // In the order in which they were freed.
  std::vector<Block> free_;
};

}  // namespace

#endif

extern "C" {

void strata_keep_memory() noexcept {
#if defined(__linux__)
  c10::SetCPUAllocator(&LargeTensors::only());
#endif
#if defined(__GLIBC__)
  // The heap keeps what it has, too: glibc gives large blocks back to the system when they are freed and gets them, zeroed page by
  // page, at the next step. Older glibc refuses more than half of a thread's heap.
  if (!mallopt(M_MMAP_THRESHOLD, 1 << 30)) mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // extern "C"
