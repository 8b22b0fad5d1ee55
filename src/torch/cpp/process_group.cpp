// The process group of the ranks of a run: c10d's TCP store, where they meet, and its Gloo backend, which adds up their tensors.

#define USE_C10D_GLOO

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base.h"

using namespace strata;

struct StrataGroup {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> backend;
};

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
    auto group = std::make_unique<StrataGroup>();
    group->store = c10::make_intrusive<c10d::PrefixStore>(prefix, c10::make_intrusive<c10d::TCPStore>(host, where));
    check_place(*group->store, rank, world);
    // Also reads GLOO_SOCKET_IFNAME.
    auto options = c10d::ProcessGroupGloo::Options::create_default(timeout);
    group->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("gloo", group->store), rank, world, options);
    *out = group.release();
  });
}

void strata_group_free(StrataGroup* group) noexcept { delete group; }

char* strata_group_sum(StrataGroup* group, const Tensor* tensor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Tensors list{*tensor};
    group->backend->allreduce(list)->wait();
  });
}

char* strata_group_broadcast(StrataGroup* group, const Tensor* tensor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Tensors list{*tensor};
    group->backend->broadcast(list)->wait();
  });
}

char* strata_group_set(StrataGroup* group, const char* key, const char* value) {
  return guarded([&] { group->store->set(key, std::string(value)); });
}

// Null where the key is not set.
char* strata_group_get(StrataGroup* group, const char* key, char** out) {
  return guarded([&] { *out = group->store->check({key}) ? text(group->store->get_to_str(key).c_str()) : nullptr; });
}

}  // extern "C"
