// The process-wide side of libtorch: libraries, devices, memory, switches, versions.

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <torch/headeronly/version.h>

#include <dlfcn.h>
#include <string>

#include "base.h"

using namespace strata;

extern "C" {

char* strata_dlopen(const char* path) {
  // What the library does when it is loaded may throw.
  char* failure = nullptr;
  char* thrown = guarded([&] {
    if (dlopen(path, RTLD_NOW | RTLD_GLOBAL)) return;
    const char* reason = dlerror();
    failure = text(reason ? reason : "dlopen failed");
  });
  return thrown ? thrown : failure;
}

char* strata_synchronize(int device) {
  return guarded([&] {
    const auto where = device_of(device);
    if (!where.is_cpu()) at::accelerator::synchronizeDevice(where.has_index() ? where.index() : 0);
  });
}

// Bytes at the peak since the last reset, from the caching allocator of an accelerator.
char* strata_peak_memory(int device, int64_t* bytes) {
  return guarded([&] {
    const auto where = device_of(device);
    auto* allocator = at::getDeviceAllocator(where.type());
    const auto stats = allocator->getDeviceStats(where.has_index() ? where.index() : 0);
    *bytes = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  });
}

char* strata_reset_peak_memory(int device) {
  return guarded([&] {
    const auto where = device_of(device);
    at::getDeviceAllocator(where.type())->resetPeakStats(where.has_index() ? where.index() : 0);
  });
}

char* strata_set_deterministic(int on) {
  return guarded([&] {
    auto& context = at::globalContext();
    context.setDeterministicAlgorithms(on != 0, /*warn_only=*/true);
    // Filling every fresh tensor helps to find reads of unset memory, not to repeat a run, and costs a pass over
    // memory.
    context.setDeterministicFillUninitializedMemory(false);
    context.setDeterministicCuDNN(on != 0);
    context.setDeterministicMkldnn(on != 0);
  });
}

char* strata_set_tf32(int on) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuBLAS(on != 0);
    at::globalContext().setAllowTF32CuDNN(on != 0);
  });
}

char* strata_version(char** out) {
  return guarded([&] { *out = text(TORCH_VERSION); });
}

char* strata_loaded_version(char** out) {
  return guarded([&] {
    // The only place where a libtorch says its version at run time: "…, TORCH_VERSION=2.13.0, …".
    const std::string config = at::show_config(), name = "TORCH_VERSION=";
    const size_t found = config.find(name), start = found + name.size();
    const size_t length = config.find_first_of(", \n", start) - start;
    const std::string version = found == std::string::npos ? "unknown" : config.substr(start, length);
    *out = text(version.c_str());
  });
}

char* strata_cpu_capability(char** out) {
  return guarded([&] { *out = text(at::get_cpu_capability().c_str()); });
}

int strata_grad_enabled() noexcept { return at::GradMode::is_enabled(); }

}  // extern "C"
