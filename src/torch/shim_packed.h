// Weights in the layouts of matrix products, kept from batch to batch while a network is evaluated: they take as long to
// lay out as a good part of a small layer. Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

#include <array>
#include <map>

namespace {

// What a weight is laid out for: one form of carrying out a convolution.
enum Form { kBatch, kRowwise, kColumnwise, kWinograd, kWinogradTiles };

// The map and the window that a layout is for, where it depends on them.
using Geometry = std::array<int64_t, 9>;

class KeptWeights {
 public:
  struct Key {
    const void* weight;
    Form form;
    Geometry geometry;
    at::ScalarType kind;
    auto operator<=>(const Key&) const = default;
  };

  void begin() { ++users_; }
  void end() {
    if (--users_ == 0) forget();
  }
  void forget() { kept_.clear(); }

  // What make() gives, or gave for this weight before. Trainable parameters alone are kept, and those only that lie channels
  // last: what is computed from them is another tensor in every batch.
  template <class Make>
  Tensor get(const Key& key, const Tensor& weight, Make&& make) {
    if (users_ == 0 || !weight.requires_grad() || !weight.is_leaf()) return make();
    Entry& entry = kept_[key];
    const Entry now{weight, {}, weight._version(), weight.const_data_ptr(), weight.sizes().vec()};
    if (!entry.packed.defined() || !entry.is_of(now)) entry = now, entry.packed = make();
    return entry.packed;
  }

 private:
  // The weight lives as long as its entry, so that its address is not another's.
  struct Entry {
    Tensor weight, packed;
    int64_t version;
    // `set_data` changes these and no version.
    const void* place;
    std::vector<int64_t> sizes;

    bool is_of(const Entry& other) const {
      return version == other.version && place == other.place && sizes == other.sizes;
    }
  };
  int users_ = 0;
  std::map<Key, Entry> kept_;
};

thread_local KeptWeights kept_weights;

// Room for `size` numbers that fill(numbers) lays a weight out in: once, while weights are kept.
template <class T, class Fill>
Buffer<T> packed_weight(Form form, const Geometry& geometry, const Tensor& weight, int64_t size, Fill&& fill) {
  const KeptWeights::Key key{weight.unsafeGetTensorImpl(), form, geometry, kKind<T>};
  return Buffer<T>(kept_weights.get(key, weight, [&] {
    Buffer<T> buffer(size);
    fill(buffer.data);
    return buffer.tensor;
  }));
}

}  // namespace
