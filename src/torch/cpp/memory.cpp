// A CPU allocator that keeps the memory of freed large tensors and reuses it for tensors of any size.
//
// A heap that keeps its freed blocks fragments: they fit no larger tensor. Here, a tensor for which no free block fits gets a new
// address range, into which mremap moves the pages of free blocks without copying them. The large tensors of a process thus take only as
// much memory as at their peak. PyTorch's expandable segments serve the same purpose on GPUs. What Rust and the workspaces of
// threads allocate is not part of it.

#if defined(__linux__)
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
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

// The unit of blocks, the size of a huge page. Smaller tensors stay on the heap.
constexpr size_t kChunk = size_t{2} << 20;

// A range of addresses, aligned to kChunk.
struct Block {
  char* address;
  size_t chunks;
  // Size of the tensor that uses the block, or used it last. Pages beyond it may be untouched.
  size_t bytes;

  char* at(size_t chunk) const { return address + chunk * kChunk; }
};

uintptr_t past_chunk(const void* address) { return reinterpret_cast<uintptr_t>(address) & (kChunk - 1); }

// Reserves address space without memory, aligned to kChunk; null if the system refuses.
char* reserve(size_t chunks) {
  const size_t bytes = chunks * kChunk;
  void* mapped = mmap(nullptr, bytes + kChunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(mapped);
  const size_t before = past_chunk(start) ? kChunk - past_chunk(start) : 0;
  if (before > 0) munmap(start, before);
  munmap(start + before + bytes, kChunk - before);
  return start + before;
}

// Moves the last chunks of a block, at most `most`, and returns how many. One chunk a call: before Linux 6.17, mremap refuses a range
// that spans several mappings, and only after it has unmapped the destination, where another thread could then map memory.
size_t move_chunks(Block& from, char* to, size_t most) {
  const size_t count = std::min(from.chunks, most), first = from.chunks - count;
  size_t moved = 0;
  while (moved < count && mremap(from.at(first + moved), kChunk, kChunk, MREMAP_MAYMOVE | MREMAP_FIXED, to + moved * kChunk) !=
                              MAP_FAILED)
    ++moved;
  if (moved < count) munmap(from.at(first + moved), (count - moved) * kChunk);
  from.chunks = first;
  from.bytes = std::min(from.bytes, first * kChunk);
  return moved;
}

// New pages from a chunk on. Those of whole chunks are huge pages where the system grants them: fewer misses of the TLB.
bool map_new_pages(const Block& block, size_t first) {
  const size_t whole = block.bytes / kChunk;
  void* mapped = mmap(block.at(first), (block.chunks - first) * kChunk, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (mapped == MAP_FAILED) return false;
  if (whole > first) madvise(block.at(first), (whole - first) * kChunk, MADV_HUGEPAGE);
  // A huge page would take memory that the tensor does not need.
  if (whole < block.chunks) madvise(block.at(whole), kChunk, MADV_NOHUGEPAGE);
  return true;
}

class LargeTensorAllocator final : public c10::Allocator {
 public:
  explicit LargeTensorAllocator(c10::Allocator* heap) : heap_(heap) {}

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes >= kChunk) {
      if (void* address = allocate_block(bytes)) return {address, address, &release, at::Device(at::kCPU)};
    }
    try {
      return heap_->allocate(bytes);
    } catch (const std::exception&) {
      if (!release_free_blocks()) throw;
      return heap_->allocate(bytes);
    }
  }

  // Frees what is on the heap as well, although it carries the heap's own deleter.
  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  // Returns the memory of free blocks to the system. Whether there was any.
  bool release_free_blocks() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return unmap_blocks();
  }

  // Never destroyed: tensors outlive statics.
  static LargeTensorAllocator& instance() {
    static auto* allocator = new LargeTensorAllocator(c10::GetDefaultCPUAllocator());
    return *allocator;
  }

 private:
  static void release(void* address) {
    if (!instance().free_block(address)) instance().heap_->raw_deleter()(address);
  }

  // Null if the system refuses memory.
  void* allocate_block(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Room for the block in both lists: free_block, which destructors call, must not throw.
    allocated_.reserve(allocated_.size() + 1);
    free_.reserve(free_.size() + allocated_.size() + 1);
    Block block{nullptr, (bytes + kChunk - 1) / kChunk, bytes};
    if (const auto found = best_fit(block); found != free_.end()) {
      block.address = found->address;
      free_.erase(found);
    } else if (!assemble(block)) {
      return nullptr;
    }
    allocated_.push_back(block);
    return block.address;
  }

  bool free_block(void* address) {
    if (past_chunk(address)) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto is_it = [&](const Block& block) { return block.address == address; };
    const auto found = std::find_if(allocated_.begin(), allocated_.end(), is_it);
    if (found == allocated_.end()) return false;
    free_.push_back(*found);
    *found = allocated_.back();
    allocated_.pop_back();
    return true;
  }

  // The free block of the same number of chunks whose last tensor was closest in size: most of the pages that are needed have been
  // touched before.
  std::vector<Block>::iterator best_fit(const Block& wanted) {
    const auto distance = [&](const Block& block) {
      return std::max(block.bytes, wanted.bytes) - std::min(block.bytes, wanted.bytes);
    };
    auto best = free_.end();
    for (auto block = free_.begin(); block != free_.end(); ++block)
      if (block->chunks == wanted.chunks && (best == free_.end() || distance(*block) < distance(*best))) best = block;
    return best;
  }

  // Reserves addresses, moves pages from the blocks that were freed first, and maps new pages for the rest.
  bool assemble(Block& block) {
    block.address = reserve(block.chunks);
    if (!block.address && unmap_blocks()) block.address = reserve(block.chunks);
    if (!block.address) return false;
    size_t have = 0;
    bool failed = false;
    for (auto from = free_.begin(); from != free_.end() && have < block.chunks && !failed; ++from) {
      const size_t most = std::min(from->chunks, block.chunks - have), moved = move_chunks(*from, block.at(have), most);
      have += moved;
      failed = moved < most;
    }
    const auto is_empty = [](const Block& from) { return from.chunks == 0; };
    free_.erase(std::remove_if(free_.begin(), free_.end(), is_empty), free_.end());
    if (failed) {
      // The chunk whose move failed is left alone: its addresses may be unmapped, or belong to another thread by now.
      munmap(block.address, have * kChunk);
      if (have + 1 < block.chunks) munmap(block.at(have + 1), (block.chunks - have - 1) * kChunk);
    } else if (have < block.chunks && !map_new_pages(block, have)) {
      failed = true;
      munmap(block.address, block.chunks * kChunk);
    }
    return !failed;
  }

  bool unmap_blocks() {
    const bool any = !free_.empty();
    for (const Block& block : free_) munmap(block.address, block.chunks * kChunk);
    free_.clear();
    return any;
  }

  c10::Allocator* heap_;
  std::mutex mutex_;
  std::vector<Block> allocated_;
  // In the order in which they were freed.
  std::vector<Block> free_;
};

}  // namespace

#endif

extern "C" {

void strata_keep_memory() noexcept {
#if defined(__linux__)
  c10::SetCPUAllocator(&LargeTensorAllocator::instance());
#endif
#if defined(__GLIBC__)
  // Small tensors and everything else: glibc gives large blocks back to the system when they are freed and gets them, zeroed page by
  // page, at the next step. Older glibc refuses more than half of a thread's heap.
  if (!mallopt(M_MMAP_THRESHOLD, 1 << 30)) mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

void strata_release_memory() noexcept {
#if defined(__linux__)
  LargeTensorAllocator::instance().release_free_blocks();
#endif
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // extern "C"
