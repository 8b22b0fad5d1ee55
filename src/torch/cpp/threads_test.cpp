// What threads.cpp implements, called as compilers do. For the tests of threads.rs; not in the program.

#include <atomic>
#include <cstring>
#include <vector>

extern "C" {
void GOMP_parallel(void (*)(void*), void*, unsigned, unsigned);
void GOMP_barrier();
bool GOMP_single_start();
bool GOMP_loop_dynamic_start(long, long, long, long, long*, long*);
bool GOMP_loop_dynamic_next(long*, long*);
bool GOMP_loop_ordered_dynamic_start(long, long, long, long, long*, long*);
bool GOMP_loop_ordered_dynamic_next(long*, long*);
void GOMP_ordered_start();
void GOMP_loop_end();
void GOMP_loop_end_nowait();
unsigned GOMP_sections_start(unsigned);
unsigned GOMP_sections_next();
int omp_get_thread_num();
int omp_get_num_threads();
int omp_in_parallel();
}

namespace {

constexpr int kCount = 1000;

// A region of `threads` threads.
template <class F>
void parallel(int threads, F&& f) {
  GOMP_parallel([](void* data) { (*static_cast<F*>(data))(); }, &f, threads, 0);
}

// The iterations of a dynamic loop with chunks of seven, in the order in which one thread takes them.
template <class F>
void dynamic_loop(long start, long end, long step, F&& f) {
  long from, to;
  bool more = GOMP_loop_dynamic_start(start, end, step, 7, &from, &to);
  for (; more; more = GOMP_loop_dynamic_next(&from, &to))
    for (long i = from; step > 0 ? i < to : i > to; i += step) f(i);
}

bool all_once(const std::vector<std::atomic<int>>& counts) {
  for (const auto& count : counts)
    if (count != 1) return false;
  return true;
}

const char* constructs(int threads) {
  std::vector<std::atomic<int>> numbers(threads), up(kCount), down(kCount), sections(5);
  std::atomic<int> wrong{0}, singles{0}, arrived{0};
  std::vector<long> order;
  parallel(threads, [&] {
    ++numbers[omp_get_thread_num()];
    if (omp_get_num_threads() != threads || omp_in_parallel() != (threads > 1)) ++wrong;
    parallel(threads, [&] { wrong += threads > 1 && omp_get_num_threads() != 1; });
    ++arrived;
    GOMP_barrier();
    if (arrived != threads) ++wrong;
    dynamic_loop(0, kCount, 1, [&](long i) { ++up[i]; });
    GOMP_loop_end_nowait();
    dynamic_loop(2 * kCount - 2, -2, -2, [&](long i) { ++down[i / 2]; });
    GOMP_loop_end();
    if (!all_once(down)) ++wrong;
    for (unsigned s = GOMP_sections_start(sections.size()); s; s = GOMP_sections_next()) ++sections[s - 1];
    singles += GOMP_single_start();
    long from, to;
    bool more = GOMP_loop_ordered_dynamic_start(0, kCount, 1, 3, &from, &to);
    for (; more; more = GOMP_loop_ordered_dynamic_next(&from, &to))
      for (long i = from; i < to; ++i) {
        GOMP_ordered_start();
        order.push_back(i);
      }
  });
  if (!all_once(numbers)) return "thread numbers";
  if (wrong) return "sizes of teams, or a barrier";
  if (!all_once(up) || !all_once(down)) return "dynamic loops";
  if (!all_once(sections)) return "sections";
  if (singles != 1) return "single";
  if (order.size() != kCount) return "the number of ordered iterations";
  for (long i = 0; i < kCount; ++i)
    if (order[i] != i) return "the order of ordered iterations";
  return nullptr;
}

}  // namespace

extern "C" char* strata_test_threads(int threads) {
  const char* wrong = constructs(threads);
  return wrong ? strdup(wrong) : nullptr;
}
