// Weights in the layouts of matrix products, kept from batch to batch while a network is evaluated: they take as long to
// lay out as a good part of a small layer. Included by shim_conv.h alone.

#pragma once

#include "shim_fused.h"

#include <map>

namespace {

class KeptWeights {
 public:
  // A layout, and the map that it is for where that makes a difference.
  struct Key {
    const void* weight;
    int form;
    int64_t height, width;
    at::ScalarType kind;
    auto operator<=>(const Key&) const = default;
  };

  void begin() { ++users_; }
  void end() {
    if (--users_ == 0) kept_.clear();
  }

  // What make() gives, or gave for this weight before. Parameters alone are kept: what is computed from them is another
  // tensor in every batch.
  template <class Make>
  Tensor get(const Key& key, const Tensor& weight, Make&& make) {
    if (users_ == 0 || !weight.requires_grad() || !weight.is_leaf()) return make();
    Entry& entry = kept_[key];
    if (!entry.packed.defined() || entry.version != weight._version()) entry = {weight, make(), weight._version()};
    return entry.packed;
  }

 private:
  // The weight lives as long as its entry, so that its address is not another's.
  struct Entry {
    Tensor weight, packed;
    int64_t version;
  };
  int users_ = 0;
  std::map<Key, Entry> kept_;
};

thread_local KeptWeights kept_weights;

// Room for `size` numbers that fill(numbers) lays a weight out in: once, while weights are kept.
template <class T, class Fill>
Buffer<T> packed_weight(int form, int64_t height, int64_t width, const Tensor& weight, int64_t size, Fill&& fill) {
  const KeptWeights::Key key{weight.unsafeGetTensorImpl(), form, height, width, kKind<T>};
  return Buffer<T>(kept_weights.get(key, weight, [&] {
    Buffer<T> buffer(size);
    fill(buffer.data);
    return buffer.tensor;
  }));
}

}  // namespace
