// Gradients added up over all ranks in buckets, while the backward pass still runs.
//
// c10d's Reducer does the same, but it lays its buckets out anew after the first backward pass, in the order in which the
// gradients came. The order of additions in a ring depends on the layout, so that among three or more ranks a resumed run would
// have other bits than one that was not interrupted. The layout here depends on the parameters alone.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "process_group.h"

namespace strata {

// Elements that the views begin at multiples of: a cache line of floats.
static constexpr int64_t kAlignment = 16;

class Buckets {
 public:
  // A bucket is full when it has `limit` bytes, the first when it has `first`; a limit of 0 makes a single bucket, which is
  // added up in `finish`.
  Buckets(SharedGroup group, const Tensors& params, const Tensors& statistics, size_t first, size_t limit)
      : group_(std::move(group)), buckets_(1) {
    // In reverse order, in which a backward pass reaches them.
    size_t bytes = 0;
    for (auto param = params.rbegin(); param != params.rend(); ++param) {
      if (limit > 0 && bytes >= (buckets_.size() == 1 ? first : limit)) {
        buckets_.emplace_back();
        bytes = 0;
      }
      buckets_.back().members.push_back(params_.size());
      params_.push_back({*param, {}, buckets_.size() - 1});
      bytes += param->nbytes();
    }
    for (const Tensor& statistic : statistics) statistics_.push_back({statistic, {}, buckets_.size() - 1});
    for (Bucket& bucket : buckets_) allocate(bucket);
    reset();
    if (buckets_.size() == 1) return;
    connect_background(*group_);
    for (size_t i = 0; i < params_.size(); ++i)
      torch::autograd::impl::set_post_acc_grad_hooks(params_[i].tensor, std::make_unique<Hook>(*this, i));
  }

  ~Buckets() {
    if (buckets_.size() == 1) return;
    for (const Part& param : params_) torch::autograd::impl::set_post_acc_grad_hooks(param.tensor, nullptr);
  }

  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  // How many there are, and how many of them are begun with.
  size_t count() const { return buckets_.size(); }
  size_t begun() const { return next_; }

  void arm() { armed_ = true; }

  void finish(double share) {
    at::NoGradGuard no_grad;
    for (Part& param : params_)
      if (!param.placed) place(param);
    for (Part& statistic : statistics_) statistic.view.copy_(statistic.tensor).mul_(share);
    complete();
    for (Bucket& bucket : buckets_) {
      const Tensor counts = bucket.flags.to(at::kDouble);
      for (size_t k = 0; k < bucket.members.size(); ++k) {
        Part& param = params_[bucket.members[k]];
        if (counts.const_data_ptr<double>()[k] > 0.0) param.tensor.mutable_grad() = param.view;
      }
    }
    for (Part& statistic : statistics_) statistic.tensor.copy_(statistic.view);
    reset();
  }

  void abandon() {
    if (buckets_.size() > 1) complete();
    reset();
  }

 private:
  struct Part {
    Tensor tensor, view;
    size_t bucket;
    bool placed = false, has_grad = false;
  };

  struct Bucket {
    std::vector<size_t> members;
    Tensor flat, flags;  // flags: how many ranks have a gradient of each member
    size_t unplaced = 0;
    Wait wait;
  };

  // Called when a backward pass has added to the gradient of a parameter.
  struct Hook : torch::autograd::PostAccumulateGradHook {
    Buckets& buckets;
    size_t param;
    Hook(Buckets& buckets, size_t param) : buckets(buckets), param(param) {}
    void operator()(const Tensor&) override { buckets.arrived(param); }
  };

  SharedGroup group_;
  std::vector<Part> params_, statistics_;
  std::vector<Bucket> buckets_;
  size_t next_ = 0;  // the bucket to begin with next
  bool armed_ = false;

  void allocate(Bucket& bucket) {
    std::vector<Part*> parts;
    for (size_t member : bucket.members) parts.push_back(&params_[member]);
    if (&bucket == &buckets_.back())
      for (Part& statistic : statistics_) parts.push_back(&statistic);
    int64_t length = 0;
    std::vector<int64_t> offsets;
    const auto reserve = [&](int64_t count) {
      offsets.push_back(length);
      length += (count + kAlignment - 1) / kAlignment * kAlignment;
    };
    for (const Part* part : parts) reserve(part->tensor.numel());
    const auto flags = static_cast<int64_t>(bucket.members.size());
    reserve(flags);
    const auto options = params_.at(0).tensor.options().requires_grad(false);
    bucket.flat = at::zeros({length}, options);
    bucket.flags = bucket.flat.narrow(0, offsets.back(), flags);
    for (size_t k = 0; k < parts.size(); ++k) {
      const Tensor& tensor = parts[k]->tensor;
      TORCH_CHECK(tensor.scalar_type() == options.dtype(), "parameters of several kinds");
      // As autograd lays gradients out, so that a copy is one pass over memory.
      if (tensor.is_non_overlapping_and_dense())
        parts[k]->view = bucket.flat.as_strided(tensor.sizes(), tensor.strides(), offsets[k]);
      else
        parts[k]->view = bucket.flat.narrow(0, offsets[k], tensor.numel()).view(tensor.sizes());
    }
  }

  void arrived(size_t param) {
    if (!armed_) return;
    at::NoGradGuard no_grad;
    TORCH_CHECK(!params_[param].placed, "a gradient was changed after it was added up");
    place(params_[param]);
    // In order, which all ranks begin their operations in. The last bucket waits for the statistics.
    while (next_ + 1 < buckets_.size() && buckets_[next_].unplaced == 0) begin();
  }

  // Copies a gradient to its bucket, and makes it a view of that. A rank without one adds zeros.
  void place(Part& param) {
    Tensor& grad = param.tensor.mutable_grad();
    param.has_grad = grad.defined();
    if (!param.has_grad) {
      param.view.zero_();
    } else if (!grad.is_same(param.view)) {
      param.view.copy_(grad);
      grad = param.view;
    }
    param.placed = true;
    --buckets_[param.bucket].unplaced;
  }

  void begin() {
    Bucket& bucket = buckets_[next_++];
    std::vector<double> flags;
    for (size_t member : bucket.members) flags.push_back(params_[member].has_grad ? 1.0 : 0.0);
    bucket.flags.copy_(at::from_blob(flags.data(), {static_cast<int64_t>(flags.size())}, at::kDouble));
    if (buckets_.size() == 1)
      sum(*group_, bucket.flat);
    else
      bucket.wait = begin_sum(*group_, bucket.flat);
  }

  void complete() {
    while (next_ < buckets_.size()) begin();
    for (Bucket& bucket : buckets_)
      if (bucket.wait) bucket.wait();
  }

  void reset() {
    for (Part& param : params_) param.placed = false;
    for (Bucket& bucket : buckets_) {
      bucket.unplaced = bucket.members.size();
      bucket.wait = nullptr;
    }
    next_ = 0;
    armed_ = false;
  }
};

}  // namespace strata

using namespace strata;

struct StrataBuckets {
  Buckets buckets;
};

extern "C" {

char* strata_buckets_new(StrataGroup* group, size_t n, Handles params, size_t m, Handles statistics, size_t first,
                         size_t limit, StrataBuckets** out) {
  return guarded([&] {
    TORCH_CHECK(n > 0, "no gradients to add up");
    *out = new StrataBuckets{Buckets(shared(group), list_of(params, n), list_of(statistics, m), first, limit)};
  });
}

void strata_buckets_free(StrataBuckets* buckets) noexcept { delete buckets; }

// For tests.
void strata_buckets_state(const StrataBuckets* buckets, size_t* count, size_t* begun) noexcept {
  *count = buckets->buckets.count();
  *begun = buckets->buckets.begun();
}

void strata_buckets_arm(StrataBuckets* buckets) noexcept { buckets->buckets.arm(); }

char* strata_buckets_finish(StrataBuckets* buckets, double share) {
  return guarded([&] { buckets->buckets.finish(share); });
}

char* strata_buckets_abandon(StrataBuckets* buckets) {
  return guarded([&] { buckets->buckets.abandon(); });
}

}  // extern "C"
