// Weights packed for matrix products, kept from batch to batch while a network is evaluated: to pack them takes as long as a
// good part of a small layer.

#pragma once

#include <array>
#include <functional>
#include <map>

#include "maps.h"

namespace strata {

// What a weight is packed for: one algorithm of convolution.
enum class Variant { kBatch, kRows, kColumns, kWinograd, kFusedWinograd };

// The map and the window that a weight is packed for, where packing depends on them.
using Geometry = std::array<int64_t, 9>;

class KeptWeights {
 public:
  struct Key {
    const void* weight;
    Variant variant;
    Geometry geometry;
    at::ScalarType kind;
    auto operator<=>(const Key&) const = default;
  };

  void begin() { ++users_; }
  void end() {
    if (--users_ == 0) forget();
  }
  void forget() { kept_.clear(); }

  // What make() returns, or returned for this weight before. Only trainable parameters are kept, and only those that lie
  // channels last: what is computed from them is another tensor in every batch.
  Tensor get(const Key& key, const Tensor& weight, const std::function<Tensor()>& make);

 private:
  struct Entry {
    // Held, so that its address is not given to another tensor.
    Tensor weight, packed;
    int64_t version;
    // `set_data` changes these, and not the version.
    const void* place;
    std::vector<int64_t> sizes;

    bool is_of(const Entry& other) const {
      return version == other.version && place == other.place && sizes == other.sizes;
    }
  };
  int users_ = 0;
  std::map<Key, Entry> kept_;
};

// Those of the calling thread.
KeptWeights& kept_weights();

// A buffer of `size` numbers into which fill(numbers) packs a weight: once, while weights are kept.
template <class T, class Fill>
Buffer<T> packed_weight(Variant variant, const Geometry& geometry, const Tensor& weight, int64_t size, Fill&& fill) {
  const KeptWeights::Key key{weight.unsafeGetTensorImpl(), variant, geometry, kKind<T>};
  return Buffer<T>(kept_weights().get(key, weight, [&] {
    Buffer<T> buffer(size);
    fill(buffer.data);
    return buffer.tensor;
  }));
}

}  // namespace strata
