// Where the time of a step goes: seconds by operation, without the operations that it called.

#include <ATen/record_function.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base.h"

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

struct Total {
  int64_t calls = 0;
  double seconds = 0;
};

std::mutex mutex;
std::unordered_map<std::string, Total> totals;
at::CallbackHandle handle = 0;

// Calls that are open on this thread, each with the time its inner calls took.
struct Open {
  Clock::time_point start;
  double inner = 0;
};
thread_local std::vector<Open> open;

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction&) {
  open.push_back({Clock::now()});
  return nullptr;
}

void leave(const at::RecordFunction& function, at::ObserverContext*) {
  if (open.empty()) return;  // begun before the profile was
  const Open call = open.back();
  open.pop_back();
  const double seconds = std::chrono::duration<double>(Clock::now() - call.start).count();
  if (!open.empty()) open.back().inner += seconds;
  std::lock_guard<std::mutex> lock(mutex);
  Total& total = totals[function.name()];
  total.calls += 1;
  total.seconds += seconds - call.inner;
}

void start() {
  std::lock_guard<std::mutex> lock(mutex);
  TORCH_CHECK(handle == 0, "operations are being timed already");
  totals.clear();
  handle = at::addGlobalCallback(at::RecordFunctionCallback(enter, leave));
}

// One line for each operation, the longest first: name, calls, seconds, separated by tabs.
std::string stop() {
  // Without the lock, which `leave` may hold while it is being removed.
  if (handle != 0) at::removeCallback(handle);
  std::lock_guard<std::mutex> lock(mutex);
  handle = 0;
  std::vector<std::pair<std::string, Total>> list(totals.begin(), totals.end());
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::string lines;
  for (const auto& [name, total] : list) {
    char numbers[64];
    std::snprintf(numbers, sizeof numbers, "\t%lld\t%.9f\n", static_cast<long long>(total.calls), total.seconds);
    lines += name + numbers;
  }
  return lines;
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_profile_start() {
  return guarded([] { start(); });
}

// Without a place for them the lines are dropped.
extern "C" char* strata_profile_stop(char** out) {
  return guarded([&] {
    const std::string lines = stop();
    if (out) *out = text(lines.c_str());
  });
}
