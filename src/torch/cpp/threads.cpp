// The threads of libtorch, oneDNN and our kernels: an OpenMP runtime made for a machine that does other work too.
//
// libtorch's parallel loops call GCC's OpenMP library (libgomp). Its threads spin for milliseconds at the end of every
// parallel region; a step has hundreds of regions. With one other busy process on the machine a spinning thread uses up the
// time slice that it needs a moment later for work, all others spin until it is scheduled again, and training falls to a
// tenth of its speed (docs/speed.md). The functions below take the place of libgomp's: the dynamic linker resolves a symbol
// in the program before it looks in libraries. They differ from libgomp in two ways:
//
// - A region does not wait for a thread that has not begun. The thread that opened the region runs its own share and then
//   every share that nobody has claimed.
// - Waiting threads spin for at most 100 microseconds, which bridges the gap between two layers, and then sleep. A thread
//   that sleeps leaves its core to a preempted one, which the kernel moves there at once.
//
// A region always has as many shares as threads were asked for: oneDNN divides work by that number before it opens a region
// and computes nonsense, or waits forever, if it gets fewer, as libgomp does with OMP_DYNAMIC or OMP_THREAD_LIMIT.
//
// Implemented is what libtorch 2.13 imports (`nm -D libtorch_cpu.so | grep -E 'GOMP|omp_'`), but for mutexes, which stay
// libgomp's. Nested regions have one thread, as they have there by default. The interface is that of GCC's libgomp.h.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <vector>

#include <pthread.h>

namespace {

using Clock = std::chrono::steady_clock;
using Body = void (*)(void*);

constexpr auto kSpin = std::chrono::microseconds(100);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `good` holds for the word's value, and returns that value.
template <class Good>
int await(const std::atomic<int>& word, Good&& good) {
  const auto end = Clock::now() + kSpin;
  do
    for (int i = 0; i < 32; ++i) {
      const int value = word.load(std::memory_order_acquire);
      if (good(value)) return value;
      relax();
    }
  while (Clock::now() < end);
  for (;;) {
    const int value = word.load(std::memory_order_acquire);
    if (good(value)) return value;
    word.wait(value, std::memory_order_acquire);
  }
}

// What the threads of a region share about one `for`, `sections` or `single` construct.
struct Construct {
  std::mutex mutex;
  bool entered = false;
  long next = 0, end = 0, step = 1;  // the iterations that nobody has taken, and those of a chunk
  int chunks = 0;                    // taken so far
  std::atomic<int> turn{0};          // the chunk whose `ordered` part may run

  // The next chunk; false when none is left.
  bool take(long* from, long* to, int* chunk) {
    const std::lock_guard lock(mutex);
    if (step > 0 ? next >= end : next <= end) return false;
    *from = next;
    next = *to = (step > 0 ? end - next <= step : end - next >= step) ? end : next + step;
    *chunk = chunks++;
    return true;
  }
};

struct Team {
  explicit Team(int size) : size(size) {}
  const int size;

  void barrier() {
    if (size == 1) return;
    const int before = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.fetch_add(1);
      generation_.notify_all();
    } else {
      await(generation_, [=](int now) { return now != before; });
    }
  }

  // Threads number the constructs that they meet; equal numbers are one construct.
  Construct& construct(uint64_t number) {
    const std::lock_guard lock(mutex_);
    if (size == 1) constructs_.clear();  // the one thread has left all that came before
    return constructs_.try_emplace(number).first->second;
  }

 private:
  std::atomic<int> arrived_{0}, generation_{0};
  std::mutex mutex_;
  std::unordered_map<uint64_t, Construct> constructs_;
};

// The share of a region that a thread is running.
struct Share {
  Team* team = nullptr;
  int number = 0;
  bool in_parallel = false;
  uint64_t constructs = 0;  // met so far
  Construct* construct = nullptr;
  int chunk = -1;  // taken last in it
};

thread_local Share share;

Team& team() {
  thread_local Team alone(1);  // outside of regions
  return share.team ? *share.team : alone;
}

void run(Team& team, int number, Body body, void* data) {
  const Share outer = share;
  share = Share{.team = &team, .number = number, .in_parallel = outer.in_parallel || team.size > 1};
  body(data);
  share = outer;
}

enum State : int { kIdle, kOffered, kClaimed, kQuit };

// A thread that waits for shares. Whoever changes kOffered to kClaimed runs the share: the worker, or the one that offered it.
class alignas(128) Worker {
 public:
  Worker() : thread_([this] { work(); }) {}
  ~Worker() {
    state_.store(kQuit);
    state_.notify_one();
    thread_.join();
  }

  void offer(Team& team, int number, Body body, void* data) {
    team_ = &team, number_ = number, body_ = body, data_ = data;
    state_.store(kOffered);
    state_.notify_one();
  }

  // Returns when the share that was offered has run.
  void finish() {
    if (claim()) {
      run(*team_, number_, body_, data_);
      state_.store(kIdle, std::memory_order_release);
    } else {
      await(state_, [](int state) { return state == kIdle; });
    }
  }

 private:
  bool claim() {
    int offered = kOffered;
    return state_.compare_exchange_strong(offered, kClaimed, std::memory_order_acq_rel);
  }

  void work() {
    while (await(state_, [](int state) { return state == kOffered || state == kQuit; }) != kQuit) {
      if (!claim()) continue;
      run(*team_, number_, body_, data_);
      state_.store(kIdle);
      state_.notify_one();
    }
  }

  std::atomic<int> state_{kIdle};
  Team* team_ = nullptr;
  int number_ = 0;
  Body body_ = nullptr;
  void* data_ = nullptr;
  std::thread thread_;  // last: it uses the others
};

// Every thread that opens regions has workers of its own, as with libgomp.
using Workers = std::vector<std::unique_ptr<Worker>>;
thread_local Workers* workers = nullptr;

// A key of pthreads and no destructor of C++: at the exit of the process it does not run for the main thread, whose workers
// libtorch may need until the end.
void end_with_thread(Workers* mine) {
  static const pthread_key_t key = [] {
    pthread_key_t key;
    const auto end = [](void* mine) {
      workers = nullptr;
      delete static_cast<Workers*>(mine);
    };
    if (pthread_key_create(&key, end)) throw std::bad_alloc();
    return key;
  }();
  pthread_setspecific(key, mine);
}

Workers& at_least(size_t count) {
  if (!workers) end_with_thread(workers = new Workers);
  while (workers->size() < count) workers->push_back(std::make_unique<Worker>());
  return *workers;
}

std::atomic<int> default_threads{static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u))};
thread_local int wanted_threads = 0;  // omp_set_num_threads
thread_local uint64_t regions = 0;

// Enters the next construct, setting it up where this thread is the first to; whether it was.
template <class SetUp>
bool enter(SetUp&& set_up) {
  Construct& construct = team().construct(++share.constructs);
  share.construct = &construct;
  share.chunk = -1;
  const std::lock_guard lock(construct.mutex);
  if (construct.entered) return false;
  set_up(construct);
  return construct.entered = true;
}

bool take(long* from, long* to) { return share.construct->take(from, to, &share.chunk); }

// Passes the turn of the chunk taken last to the one after it.
void pass_turn() {
  if (share.chunk < 0) return;
  auto& turn = share.construct->turn;
  await(turn, [](int now) { return now == share.chunk; });
  turn.fetch_add(1);
  turn.notify_all();
}

unsigned next_section() {
  long from, to;
  return take(&from, &to) ? static_cast<unsigned>(from) : 0;
}

}  // namespace

extern "C" {

// ---- for threads.rs --------------------------------------------------------------------------------------------------

// Starts the workers for regions of `count` threads that the calling thread opens. An error is a text for strata_free_text.
char* strata_start_threads(int count) {
  try {
    at_least(count - 1);
    default_threads = count;
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("unknown C++ exception");
  }
}

// How many regions of several threads the calling thread has opened.
uint64_t strata_parallel_regions() { return regions; }

// ---- the OpenMP interface --------------------------------------------------------------------------------------------

int omp_get_max_threads() { return wanted_threads ? wanted_threads : default_threads.load(std::memory_order_relaxed); }
int omp_get_num_threads() { return team().size; }
int omp_get_thread_num() { return share.number; }
int omp_in_parallel() { return share.in_parallel; }
void omp_set_num_threads(int count) { wanted_threads = count > 0 ? count : 1; }

void GOMP_parallel(Body body, void* data, unsigned threads, unsigned) noexcept {
  Team team(share.in_parallel ? 1 : threads ? static_cast<int>(threads) : omp_get_max_threads());
  if (team.size == 1) return run(team, 0, body, data);
  ++regions;
  try {
    Workers& mine = at_least(team.size - 1);
    for (int i = 1; i < team.size; ++i) mine[i - 1]->offer(team, i, body, data);
    run(team, 0, body, data);
    for (int i = 1; i < team.size; ++i) mine[i - 1]->finish();
  } catch (const std::system_error& error) {
    // The program has started its threads by then (strata_start_threads); libtorch's caller cannot be told.
    std::fprintf(stderr, "error: cannot start %d threads: %s\n", team.size, error.what());
    std::abort();
  }
}

void GOMP_barrier() { team().barrier(); }

bool GOMP_single_start() {
  return enter([](Construct&) {});
}

bool GOMP_loop_dynamic_start(long start, long end, long step, long chunk, long* from, long* to) {
  enter([&](Construct& loop) { loop.next = start, loop.end = end, loop.step = step * chunk; });
  return take(from, to);
}
bool GOMP_loop_dynamic_next(long* from, long* to) { return take(from, to); }

bool GOMP_loop_ordered_dynamic_start(long start, long end, long step, long chunk, long* from, long* to) {
  return GOMP_loop_dynamic_start(start, end, step, chunk, from, to);
}
bool GOMP_loop_ordered_dynamic_next(long* from, long* to) {
  pass_turn();
  share.chunk = -1;
  return take(from, to);
}
void GOMP_ordered_start() {
  if (share.chunk >= 0) await(share.construct->turn, [](int now) { return now == share.chunk; });
}
void GOMP_ordered_end() {}

void GOMP_loop_end() { team().barrier(); }
void GOMP_loop_end_nowait() {}

unsigned GOMP_sections_start(unsigned count) {
  enter([&](Construct& sections) { sections.next = 1, sections.end = static_cast<long>(count) + 1; });
  return next_section();
}
unsigned GOMP_sections_next() { return next_section(); }
void GOMP_sections_end_nowait() {}
}
