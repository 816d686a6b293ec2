// A CPU allocator that keeps large blocks for the next step. malloc hands them back to the kernel at each free, and the page
// faults of taking them again cost up to half of the time of elementwise work. glibc's mallopt is no cure: it keeps the memory,
// but its memalign wants a little more than the hole that an equal block left, so a training loop grows for ever.
#include "allocator.h"

#include <c10/core/CPUAllocator.h>

#ifdef __linux__
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>

namespace {

constexpr size_t kLarge = 256 << 10;     // smaller blocks stay malloc's
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kAllowance = 256 << 20;

std::mutex mutex;
std::multimap<size_t, void*> idle;         // by size
std::unordered_map<void*, size_t> in_use;  // large blocks only
size_t idle_bytes = 0, used_bytes = 0, most_used = 0;

// Eight sizes an octave: at most an eighth is wasted, and nearly equal requests share blocks.
size_t rounded(size_t bytes) {
  size_t step = kLarge / 8;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

void* map_block(size_t bytes) {
  const size_t slack = bytes >= kHugePage ? kHugePage : 0;  // huge pages need their alignment
  void* mapped = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const start = static_cast<char*>(mapped);
  if (slack == 0) return start;
  char* const aligned = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(start) + kHugePage - 1) / kHugePage * kHugePage);
  if (aligned > start) munmap(start, aligned - start);
  if (aligned < start + slack) munmap(aligned + bytes, start + slack - aligned);
  madvise(aligned, bytes, MADV_HUGEPAGE);
  return aligned;
}

void drop_idle() {
  for (const auto& [bytes, block] : idle) munmap(block, bytes);
  idle.clear();
  idle_bytes = 0;
}

void* take_large(size_t wanted) {
  const size_t bytes = rounded(wanted);
  std::lock_guard<std::mutex> lock(mutex);
  auto found = idle.lower_bound(bytes);
  void* block;
  size_t size;
  if (found != idle.end() && found->first <= bytes + bytes / 2) {
    size = found->first;
    block = found->second;
    idle.erase(found);
    idle_bytes -= size;
  } else {
    // Blocks of sizes that don't come again would pile up. A loop whose sizes repeat stays below this and never gives back.
    if (idle_bytes + used_bytes + bytes > most_used + most_used / 2 + kAllowance) drop_idle();
    size = bytes;
    block = map_block(size);
    if (block == nullptr) {
      drop_idle();
      block = map_block(size);
    }
    TORCH_CHECK(block != nullptr, "not enough memory: ", wanted, " bytes were asked for");
  }
  in_use.emplace(block, size);
  used_bytes += size;
  most_used = std::max(most_used, used_bytes);
  return block;
}

void give_back(void* block) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    const auto found = in_use.find(block);
    if (found != in_use.end()) {
      idle.emplace(found->second, block);
      idle_bytes += found->second;
      used_bytes -= found->second;
      in_use.erase(found);
      return;
    }
  }
  std::free(block);
}

c10::DataPtr take(size_t bytes) {
  void* block = nullptr;
  if (bytes >= kLarge) {
    block = take_large(bytes);
  } else if (bytes > 0) {
    TORCH_CHECK(posix_memalign(&block, 64, bytes) == 0, "not enough memory: ", bytes, " bytes were asked for");
  }
  return {block, block, &give_back, at::kCPU};
}

// allocate() was const before 2.3, and copy_data() is called from then on: whichever libtorch has, it finds its own.
struct KeepingAllocator : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) const { return take(bytes); }
  c10::DataPtr allocate(size_t bytes) { return take(bytes); }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
};

}  // namespace

void keep_freed_memory() {
  static std::once_flag once;
  std::call_once(once, [] { c10::SetCPUAllocator(new KeepingAllocator(), /*priority=*/200); });
}

#else

void keep_freed_memory() {}

#endif
