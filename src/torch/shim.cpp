// What Strata needs from libtorch and tch does not offer, behind a C interface.
//
// Conventions, relied on by ffi.rs:
// - every function that can fail returns null on success and otherwise an error text, released with strata_free_text:
//   a C++ exception that crossed `extern "C"` would abort the program;
// - a tensor is a borrowed `at::Tensor*`, a list of tensors an array of them; one handed out is the caller's to free;
// - a device is numbered as in torch-sys: -1 cpu, -2 mps, -3 vulkan, n >= 0 cuda:n.
//
// ATen headers only: torch/torch.h takes minutes to compile.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <torch/headeronly/version.h>

#include <dlfcn.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cmath>
#include <mutex>

#include "shim.h"
#include "shim_concat.h"
#include "shim_conv_end.h"
#include "shim_depthwise.h"
#include "shim_gate.h"
#include "shim_graph.h"
#include "shim_lrn.h"
#include "shim_norm.h"
#include "shim_optim.h"
#include "shim_pool.h"
#include "shim_profile.h"

extern "C" {

void strata_free_text(char* message) noexcept {
  if (message != no_memory) std::free(message);
}

// ---- autocast -------------------------------------------------------------------------------------------------------

struct StrataAutocast {
  int32_t enabled, dtype, cache;
};

char* strata_autocast_enter(int device, StrataAutocast* former) {
  return guarded([&] {
    const auto type = device_of(device).type();
    former->enabled = at::autocast::is_autocast_enabled(type);
    former->dtype = static_cast<int32_t>(at::autocast::get_autocast_dtype(type));
    former->cache = at::autocast::is_autocast_cache_enabled();
    at::autocast::set_autocast_enabled(type, true);
    at::autocast::set_autocast_dtype(type, at::kBFloat16);
    at::autocast::set_autocast_cache_enabled(true);
    at::autocast::increment_nesting();
  });
}

char* strata_autocast_exit(int device, StrataAutocast former) {
  return guarded([&] {
    const auto type = device_of(device).type();
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type, former.enabled != 0);
    at::autocast::set_autocast_dtype(type, static_cast<at::ScalarType>(former.dtype));
    at::autocast::set_autocast_cache_enabled(former.cache != 0);
  });
}

// ---- memory format --------------------------------------------------------------------------------------------------

char* strata_contiguous(const Tensor* tensor, int channels_last, Tensor** out) {
  return guarded([&] {
    const auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    *out = new Tensor(tensor->contiguous(format));
  });
}

char* strata_images(const float* from, const int64_t* shape, Tensor** out) {
  return guarded([&] { *out = new Tensor(images_from(from, shape[0], shape[1], shape[2], shape[3])); });
}

char* strata_set_channels_last(const Tensor* tensor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    TORCH_CHECK(tensor->is_leaf(), "the memory of what was computed cannot be laid out anew");
    tensor->set_data(tensor->contiguous(at::MemoryFormat::ChannelsLast));
  });
}

// ---- optimizer steps ------------------------------------------------------------------------------------------------

char* strata_fused_sgd(size_t n, Handles params, Handles grads, Handles buffers, double lr, double weight_decay,
                       double momentum, double dampening, int nesterov, int first_step) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const bool plain = momentum == 0.0;
    Step step = plain ? gather(n, params, grads, {}) : gather(n, params, grads, {buffers});
    if (step.params.empty()) return;
    const Tensors& momenta = plain ? Tensors{} : step.states[0];
    at::_fused_sgd_(step.params, step.grads, momenta, weight_decay, momentum, lr, dampening, nesterov != 0,
                    /*maximize=*/false, first_step != 0);
  });
}

char* strata_fused_adam(size_t n, Handles params, Handles grads, Handles exp_avgs, Handles exp_avg_sqs, int64_t steps,
                        double lr, double beta1, double beta2, double eps, double weight_decay, int decoupled) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Step step = gather(n, params, grads, {exp_avgs, exp_avg_sqs});
    if (step.params.empty()) return;
    // The kernels only read the step count, so that all parameters can share one.
    const Tensor count = at::full({}, static_cast<double>(steps), step.params[0].options().dtype(at::kFloat));
    const Tensors counts(step.params.size(), count);
    if (decoupled)
      at::_fused_adamw_(step.params, step.grads, step.states[0], step.states[1], {}, counts, lr, beta1, beta2,
                        weight_decay, eps, /*amsgrad=*/false, /*maximize=*/false);
    else
      at::_fused_adam_(step.params, step.grads, step.states[0], step.states[1], {}, counts, lr, beta1, beta2,
                       weight_decay, eps, /*amsgrad=*/false, /*maximize=*/false);
  });
}

char* strata_rmsprop(size_t n, Handles params, Handles grads, Handles square_avgs, Handles buffers, double lr,
                     double alpha, double eps, double weight_decay, double momentum) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const bool plain = momentum == 0.0;
    Step step = plain ? gather(n, params, grads, {square_avgs}) : gather(n, params, grads, {square_avgs, buffers});
    if (!step.params.empty()) rmsprop(step, lr, alpha, eps, weight_decay, momentum);
  });
}

char* strata_ema_update(size_t n, Handles averages, Handles params, double decay) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    require_pairs(n, averages, params);
    if (n > 0) at::_foreach_lerp_(list_of(averages, n), list_of(params, n), 1.0 - decay);
  });
}

// ---- gradients ------------------------------------------------------------------------------------------------------

char* strata_zero_grad(size_t n, Handles params) {
  return guarded([&] {
    for (size_t i = 0; i < n; ++i)
      if (params[i]->defined() && params[i]->grad().defined()) params[i]->mutable_grad().reset();
  });
}

char* strata_clip_grad_norm(size_t n, Handles grads, double max_norm, double* norm) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Tensors list = defined_of(grads, n);
    *norm = 0.0;
    if (list.empty()) return;
    *norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(list, 2))).item<double>();
    // A norm that is not finite is for the caller to judge: scaling by it would only spread the NaN.
    if (std::isfinite(*norm) && *norm > max_norm) at::_foreach_mul_(list, max_norm / (*norm + 1e-6));
  });
}

char* strata_all_finite(size_t n, Handles tensors, int* finite) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    Tensors list = defined_of(tensors, n);
    *finite = 1;
    if (list.empty()) return;
    // A sum with an infinity or a NaN in it is never finite, and is the fastest pass over memory there is.
    Tensors sums;
    sums.reserve(list.size());
    for (const Tensor& tensor : list) TORCH_CHECK(!tensor.is_complex(), "complex numbers are not looked at");
    for (const Tensor& tensor : list) sums.push_back(tensor.sum().to(list[0].device(), at::kFloat));
    if (at::isfinite(at::stack(sums)).all().item<bool>()) return;
    // Large finite values may have overflowed the sum: look at each element.
    for (const Tensor& tensor : list)
      if (!at::isfinite(tensor).all().item<bool>()) {
        *finite = 0;
        return;
      }
  });
}

// ---- random numbers -------------------------------------------------------------------------------------------------

char* strata_rng_state(int device, Tensor** out) {
  return guarded([&] {
    at::Generator generator = at::globalContext().defaultGenerator(device_of(device));
    std::lock_guard<std::mutex> lock(generator.mutex());
    *out = new Tensor(generator.get_state());
  });
}

char* strata_set_rng_state(int device, const Tensor* state) {
  return guarded([&] {
    at::Generator generator = at::globalContext().defaultGenerator(device_of(device));
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(*state);
  });
}

// ---- devices --------------------------------------------------------------------------------------------------------

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

// glibc gives large blocks back to the system when they are freed and gets them, zeroed page by page, at the next step.
void strata_keep_memory() noexcept {
#if defined(__GLIBC__)
  // Older glibc refuses more than half of a thread's heap.
  if (!mallopt(M_MMAP_THRESHOLD, 1 << 30)) mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

// ---- global switches ------------------------------------------------------------------------------------------------

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

char* strata_set_cudnn_benchmark(int on) {
  return guarded([&] { at::globalContext().setBenchmarkCuDNN(on != 0); });
}

char* strata_set_flush_denormal(int on, int* supported) {
  return guarded([&] { *supported = at::globalContext().setFlushDenormal(on != 0); });
}

char* strata_version(char** out) {
  return guarded([&] { *out = text(TORCH_VERSION); });
}

char* strata_cpu_capability(char** out) {
  return guarded([&] { *out = text(at::get_cpu_capability().c_str()); });
}

// ---- fused operations -----------------------------------------------------------------------------------------------

char* strata_conv(const Tensor* x, const Tensor* weight, const Tensor* bias, const int64_t* sides, Tensor** out) {
  return guarded([&] {
    const auto shift = or_none(bias);
    const std::vector<int64_t> all(sides, sides + 7);
    *out = new Tensor(at::GradMode::is_enabled() ? ConvFunction::apply(*x, *weight, shift, all)
                                                 : conv_end(*x, *weight, {}, shift, {}, all));
  });
}

char* strata_norm_act(const Tensor* x, const Tensor* add, const Tensor* gamma, const Tensor* beta,
                      const Tensor* running_mean, const Tensor* running_var, double momentum, double eps, int act,
                      int batch, Tensor** out) {
  return guarded([&] {
    const NormArguments args{or_none(running_mean), or_none(running_var), momentum, eps, act, batch != 0};
    *out = new Tensor(NormFunction::apply(*x, or_none(add), or_none(gamma), or_none(beta), args));
  });
}

char* strata_max_pool(const Tensor* x, const int64_t* sides, Tensor** out) {
  return guarded([&] { *out = new Tensor(PoolFunction::apply(*x, std::vector<int64_t>(sides, sides + 8))); });
}

char* strata_lrn(const Tensor* x, int64_t size, double alpha, double beta, double k, Tensor** out) {
  return guarded([&] { *out = new Tensor(LrnFunction::apply(*x, size, std::vector<double>{alpha, beta, k})); });
}

char* strata_depthwise(const Tensor* x, const Tensor* weight, const Tensor* bias, const int64_t* sides, Tensor** out) {
  return guarded([&] {
    *out = new Tensor(DepthwiseFunction::apply(*x, *weight, or_none(bias),
                                               std::vector<int64_t>(sides, sides + 8)));
  });
}

// Of convolutions on such a tensor, under autocast or not.
char* strata_has_products(const Tensor* x, int* has) {
  return guarded([&] {
    switch (activation_kind(*x)) {
      case at::kBFloat16: *has = has_products<bf16>(); return;
      case at::kFloat: *has = has_products<float>(); return;
      default: *has = 1;
    }
  });
}

int strata_grad_enabled() noexcept { return at::GradMode::is_enabled(); }

// Weights that are laid out on this thread between the two are kept.
void strata_keep_weights() noexcept { kept_weights.begin(); }
void strata_forget_weights() noexcept { kept_weights.end(); }

// Evaluation of a convolution, the batch normalisation behind it, the sum with `add` and the non-linearity. `sides` as in
// strata_conv, or, with `depthwise`, as in strata_depthwise followed by the non-linearity.
char* strata_conv_norm(const Tensor* x, const Tensor* weight, const Tensor* bias, const Tensor* gamma, const Tensor* beta,
                       const Tensor* mean, const Tensor* var, double eps, const Tensor* add, int depthwise,
                       const int64_t* sides, Tensor** out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    TORCH_CHECK(!depthwise || !add, "a depthwise convolution takes no shortcut");
    const Tensor affine = running_affine(or_none(gamma), or_none(beta), *mean, *var, or_none(bias), eps);
    if (depthwise)
      *out = new Tensor(depthwise_norm(*x, *weight, affine, static_cast<int>(sides[8]), std::vector<int64_t>(sides, sides + 8)));
    else
      *out = new Tensor(conv_end(*x, *weight, affine[0], affine[1], or_none(add), std::vector<int64_t>(sides, sides + 7)));
  });
}

char* strata_concat(size_t n, Handles parts, Tensor** out) {
  return guarded([&] { *out = new Tensor(ConcatFunction::apply(at::TensorList(list_of(parts, n)))); });
}

char* strata_subsample(const Tensor* x, int64_t channels, int64_t stride, Tensor** out) {
  return guarded([&] { *out = new Tensor(SubsampleFunction::apply(*x, channels, stride)); });
}

char* strata_gate(const Tensor* x, const Tensor* factor, Tensor** out) {
  return guarded([&] { *out = new Tensor(GateFunction::apply(*x, *factor)); });
}

char* strata_squeeze(const Tensor* x, Tensor** same, Tensor** mean) {
  return guarded([&] { hand_out(SqueezeFunction::apply(*x), same, mean); });
}

char* strata_fork(const Tensor* x, Tensor** one, Tensor** other) {
  return guarded([&] { hand_out(ForkFunction::apply(*x), one, other); });
}

// ---- profile --------------------------------------------------------------------------------------------------------

char* strata_profile_start() {
  return guarded([] { profile::start(); });
}

char* strata_profile_stop(char** out) {
  return guarded([&] {
    const std::string lines = profile::stop();
    if (out) *out = text(lines.c_str());
  });
}

}  // extern "C"
