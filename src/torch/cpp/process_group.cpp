// The process group of the ranks of a run: c10d's TCP store, where they meet, and its Gloo backend, which adds up their tensors.

#define USE_C10D_GLOO

#include "process_group.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace strata {

class Group {
 public:
  c10::intrusive_ptr<c10d::Store> store;
  std::atomic<bool> idle{false}, failed{false};

  Group(c10::intrusive_ptr<c10d::Store> store, int rank, int world, std::chrono::milliseconds timeout)
      : store(std::move(store)), rank_(rank), world_(world), timeout_(timeout), backend_(connect("gloo")) {}

  // A backend waits for its operations before it is destroyed. One that another rank will not take part in ends at the
  // timeout only, which would be too late for the other ranks to learn why this one ends.
  ~Group() {
    if (in_flight_ > 0) static_cast<void>(background_.release());
  }

  int world() const { return world_; }

  // Runs an operation in which all ranks take part. They are numbered in the order in which they begin, which must be the
  // same on every rank, so there is one at a time.
  template <class F>
  void together(F&& begin) {
    const std::lock_guard turn(order_);
    at::NoGradGuard no_grad;
    noticing([&] { begin(*backend_)->wait(); });
  }

  void connect_background() {
    if (!background_) background_ = connect("background");
  }

  Wait begin_sum(const Tensor& tensor) {
    at::NoGradGuard no_grad;
    Tensors list{tensor};
    c10::intrusive_ptr<c10d::Work> work;
    noticing([&] { work = background_->allreduce(list); });
    ++in_flight_;
    return [this, work] {
      noticing([&] { work->wait(); });
      --in_flight_;
    };
  }

 private:
  int rank_, world_;
  std::chrono::milliseconds timeout_;
  c10::intrusive_ptr<c10d::Backend> backend_;
  // Operations in the background have connections, and so numbers, of their own: they begin in another order relative to the
  // others on every rank.
  c10::intrusive_ptr<c10d::Backend> background_;
  std::atomic<int> in_flight_{0};
  std::mutex order_;

  c10::intrusive_ptr<c10d::Backend> connect(const char* name) const {
    // Also reads GLOO_SOCKET_IFNAME.
    auto options = c10d::ProcessGroupGloo::Options::create_default(timeout_);
    return c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>(name, store), rank_,
                                                       world_, options);
  }

  template <class F>
  void noticing(F&& run) {
    try {
      run();
    } catch (...) {
      failed = true;
      throw;
    }
  }
};

void sum(Group& group, const Tensor& tensor) {
  Tensors list{tensor};
  group.together([&](c10d::Backend& backend) { return backend.allreduce(list); });
}

void connect_background(Group& group) { group.connect_background(); }

Wait begin_sum(Group& group, const Tensor& tensor) { return group.begin_sum(tensor); }

Tensors gather(Group& group, const Tensor& tensor) {
  Tensors list{tensor};
  std::vector<Tensors> all(1);
  for (int rank = 0; rank < group.world(); ++rank) all[0].push_back(at::empty_like(tensor));
  group.together([&](c10d::Backend& backend) { return backend.allgather(all, list); });
  return all[0];
}

bool is_idle(const Group& group) { return group.idle; }

}  // namespace strata

using namespace strata;

struct StrataGroup {
  SharedGroup group;
};

strata::SharedGroup strata::shared(StrataGroup* handle) { return handle ? handle->group : nullptr; }

// Ranks that disagree about their number would wait for each other until the timeout.
static void check_place(c10d::Store& store, int rank, int world) {
  std::string number = std::to_string(world);
  std::string agreed = store.compareSet("world", "", number);
  TORCH_CHECK(agreed == number, "rank ", rank, " was told of ", number, " ranks, another of ", agreed);
  TORCH_CHECK(store.add("rank/" + std::to_string(rank), 1) == 1, "two processes are rank ", rank);
}

extern "C" {

char* strata_group_open(const char* host, uint16_t port, int rank, int world, int serves, const char* prefix,
                        double seconds, StrataGroup** out) {
  return guarded([&] {
    std::chrono::milliseconds timeout(static_cast<int64_t>(seconds * 1000));
    c10d::TCPStoreOptions where;
    where.port = port;
    where.isServer = serves != 0;
    where.numWorkers = world;
    where.timeout = timeout;
    // c10d logs what it throws as well, with a backtrace.
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = 3;  // fatal
    c10::intrusive_ptr<c10d::Store> store =
        c10::make_intrusive<c10d::PrefixStore>(prefix, c10::make_intrusive<c10d::TCPStore>(host, where));
    check_place(*store, rank, world);
    *out = new StrataGroup{std::make_shared<Group>(std::move(store), rank, world, timeout)};
  });
}

void strata_group_free(StrataGroup* group) noexcept { delete group; }

char* strata_group_sum(StrataGroup* group, const Tensor* tensor) {
  return guarded([&] { sum(*group->group, *tensor); });
}

char* strata_group_broadcast(StrataGroup* group, const Tensor* tensor) {
  return guarded([&] {
    Tensors list{*tensor};
    group->group->together([&](c10d::Backend& backend) { return backend.broadcast(list); });
  });
}

void strata_group_set_idle(StrataGroup* group, int idle) noexcept { group->group->idle = idle != 0; }

int strata_group_failed(const StrataGroup* group) noexcept { return group->group->failed; }

char* strata_group_set(StrataGroup* group, const char* key, const char* value) {
  return guarded([&] { group->group->store->set(key, std::string(value)); });
}

// Null where the key is not set.
char* strata_group_get(StrataGroup* group, const char* key, char** out) {
  return guarded([&] {
    c10d::Store& store = *group->group->store;
    *out = store.check({key}) ? text(store.get_to_str(key).c_str()) : nullptr;
  });
}

}  // extern "C"
