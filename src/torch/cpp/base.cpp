#include "base.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>

namespace strata {

static char no_memory[] = "out of memory while reporting an error";

char* text(const char* message) noexcept {
  char* copy = strdup(message);
  return copy ? copy : no_memory;
}

char* error_text() noexcept {
  try {
    throw;
  } catch (const c10::Error& error) {
    return text(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return text(error.what());
  } catch (...) {
    return text("unknown C++ exception");
  }
}

at::Device device_of(int number) {
  if (number >= 0) {
    TORCH_CHECK(number <= std::numeric_limits<c10::DeviceIndex>::max(), "there is no device cuda:", number);
    return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(number));
  }
  if (number == -2) return at::Device(at::kMPS);
  if (number == -3) return at::Device(at::kVulkan);
  return at::Device(at::kCPU);
}

std::optional<Tensor> or_none(const Tensor* tensor) {
  return tensor && tensor->defined() ? std::optional<Tensor>(*tensor) : std::nullopt;
}

Tensors list_of(Handles handles, size_t n) {
  Tensors list;
  list.reserve(n);
  for (size_t i = 0; i < n; ++i) list.push_back(*handles[i]);
  return list;
}

Tensors defined_of(Handles handles, size_t n) {
  Tensors list;
  list.reserve(n);
  for (size_t i = 0; i < n; ++i)
    if (handles[i]->defined()) list.push_back(*handles[i]);
  return list;
}

void hand_out(const Tensors& both, Tensor** one, Tensor** other) {
  auto first = std::make_unique<Tensor>(both.at(0));
  *other = new Tensor(both.at(1));
  *one = first.release();
}

}  // namespace strata

extern "C" void strata_free_text(char* message) noexcept {
  if (message != strata::no_memory) std::free(message);
}
