// Kernels of a GPU recorded and launched at once.

#include <ATen/DeviceAccelerator.h>
#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>
#define STRATA_HAS_GRAPH
#endif
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include <memory>

#include "base.h"

using namespace strata;

#ifndef STRATA_HAS_GRAPH
// Not in libtorch 2.11.
namespace at::accelerator {
struct Graph {
  void capture_begin() { TORCH_CHECK(false, "this libtorch has no graphs; 2.13 has"); }
  void capture_end() {}
  void replay() {}
};
}  // namespace at::accelerator
#endif

// Capturing needs a stream of its own; replaying does not.
struct StrataGraph {
  at::accelerator::Graph graph;
  std::optional<c10::Stream> before;
};

extern "C" {

char* strata_graph_begin(int device, StrataGraph** out) {
  return guarded([&] {
    const auto where = device_of(device);
    TORCH_CHECK(!where.is_cpu() && where.has_index(), "kernels are recorded on a GPU, not on ", where);
    auto graph = std::make_unique<StrataGraph>();
    at::accelerator::synchronizeDevice(where.index());
    graph->before = at::accelerator::getCurrentStream(where.index());
    at::accelerator::setCurrentStream(c10::impl::VirtualGuardImpl(where.type()).getStreamFromGlobalPool(where));
    try {
      graph->graph.capture_begin();
    } catch (...) {
      at::accelerator::setCurrentStream(*graph->before);
      throw;
    }
    *out = graph.release();
  });
}

char* strata_graph_end(StrataGraph* graph) {
  return guarded([&] {
    struct Back {
      c10::Stream stream;
      ~Back() { at::accelerator::setCurrentStream(stream); }
    } back{*graph->before};
    graph->graph.capture_end();
  });
}

char* strata_graph_replay(StrataGraph* graph) {
  return guarded([&] { graph->graph.replay(); });
}

void strata_graph_free(StrataGraph* graph) noexcept { delete graph; }

}  // extern "C"
