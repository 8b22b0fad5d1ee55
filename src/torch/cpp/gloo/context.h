// Declarations that stand in for Gloo's headers. libtorch contains Gloo, and c10d's ProcessGroupGloo.hpp includes its headers,
// but PyTorch's wheel does not ship them. process_group.cpp uses Gloo through c10d alone, which holds its objects behind
// pointers: names are all that the compiler needs. No object of these types is made or read here.
#pragma once

#include <chrono>

namespace gloo {

namespace transport {
class UnboundBuffer;
}

class Context {
 public:
  virtual ~Context();
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
