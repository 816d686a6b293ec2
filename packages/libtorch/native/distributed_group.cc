// Groups over c10d: Gloo on CPUs, NCCL on GPUs where both are there. Empty where the Gloo headers are missing (scripts/build-addon.ts probes).
#include "distributed.h"

#ifdef USE_C10D_GLOO

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/version.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

namespace {

using namespace std::chrono_literals;
#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif
using Work = c10::intrusive_ptr<c10d::Work>;

// Silence is counted in rounds of a thread that beats once a second, not in time: a process that was stopped and continued, or a
// machine that slept, must not take its own pause for the others' death.
constexpr auto kRound = 1s;
constexpr int kSilentRounds = 20;
// A collective may take as long as rank 0 validates and saves; the beats find the dead much earlier.
constexpr auto kCollectiveTimeout = std::chrono::minutes(30);
constexpr auto kStoreTimeout = std::chrono::seconds(60);

class C10dGroup final : public Group, public std::enable_shared_from_this<C10dGroup> {
 public:
  explicit C10dGroup(const GroupOptions& options) : options_(options) {
    store_ = open_store(options.server, options.port, port_);
  }

  ~C10dGroup() override { close(); }

  int port() const override { return port_; }

  int64_t joined() override {
    const int64_t count = store_->add("joined", announced_ ? 0 : 1);
    announced_ = true;
    return count;
  }

  void connect() override {
    beats_ = std::thread([self = shared_from_this()] { self->beat(); });
    // In a thread of its own: c10d would wait for a rank that died meanwhile as long as for a collective.
    auto done = std::make_shared<std::promise<c10::intrusive_ptr<Backend>>>();
    auto result = done->get_future();
    std::thread([self = shared_from_this(), done] {
      try {
        done->set_value(self->make_backend());
      } catch (...) {
        done->set_exception(std::current_exception());
      }
    }).detach();
    await([&] { return result.wait_for(0s) == std::future_status::ready; });
    backend_ = result.get();
  }

  void sum(const std::vector<at::Tensor>& tensors, double scale, int64_t bucket_bytes) override {
    exchange(tensors, scale, bucket_bytes, [&](std::vector<at::Tensor>& flat) { return backend_->allreduce(flat, c10d::AllreduceOptions()); });
  }

  void broadcast(const std::vector<at::Tensor>& tensors, int64_t bucket_bytes) override {
    exchange(tensors, 1, bucket_bytes, [&](std::vector<at::Tensor>& flat) { return backend_->broadcast(flat, c10d::BroadcastOptions()); });
  }

  void check() override {
    const int lost = lost_;
    TORCH_CHECK(lost < 0, "rank ", lost, " has given no sign of life for ", kSilentRounds, " s");
    TORCH_CHECK(!store_gone_, "rank 0, which keeps the others together, is gone");
  }

  void close() override {
    if (closed_.exchange(true)) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    if (beats_.joinable()) {
      // It may hang in a read from a machine that vanished; it holds on to this object, so it may be left behind.
      for (int i = 0; i < 200 && !beats_ended_; i++) std::this_thread::sleep_for(10ms);
      if (beats_ended_) beats_.join(); else beats_.detach();
    }
    // With a collective still under way, c10d's destructors would wait for it; the end of the process cuts it off instead.
    if (broken_) {
      backend_.release();
      return;
    }
    backend_.reset();
    store_.reset();
  }

 private:
  c10::intrusive_ptr<c10d::Store> open_store(bool server, int port, int& actual_port) {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port);
    options.isServer = server;
    options.waitWorkers = false;
    options.timeout = kStoreTimeout;
    auto store = c10::make_intrusive<c10d::TCPStore>(options_.host, options);
    actual_port = store->getPort();
    return c10::make_intrusive<c10d::PrefixStore>(options_.prefix, store);
  }

  c10::intrusive_ptr<Backend> make_backend() {
#ifdef USE_C10D_NCCL
    if (options_.backend == "nccl") {
      auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = kCollectiveTimeout;
      return c10::make_intrusive<c10d::ProcessGroupNCCL>(store_, options_.rank, options_.size, options);
    }
#endif
    TORCH_CHECK(options_.backend == "gloo", "this build has no backend ", options_.backend);
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->timeout = kCollectiveTimeout;
    const bool local = options_.host == "127.0.0.1" || options_.host == "localhost" || options_.host == "::1";
    options->devices.push_back(!options_.interface.empty() ? c10d::ProcessGroupGloo::createDeviceForInterface(options_.interface)
                               : local                     ? c10d::ProcessGroupGloo::createDeviceForHostname(options_.host)
                                                           : c10d::ProcessGroupGloo::createDefaultDevice());
    return c10::make_intrusive<c10d::ProcessGroupGloo>(store_, options_.rank, options_.size, options);
  }

  // Once a second: a sign of life of our own, and a look at the others'. Rank 0 looks at all and tells, the others look at rank 0.
  void beat() {
    try {
      int port = 0;
      const auto store = open_store(false, port_, port);  // a connection of its own: the other may be in a long wait
      std::vector<int64_t> seen(options_.size, -1);
      std::vector<int> silent(options_.size, 0);
      const auto key = [](int rank) { return "beat/" + std::to_string(rank); };
      const int first = options_.rank == 0 ? 1 : 0, end = options_.rank == 0 ? options_.size : 1;
      std::unique_lock<std::mutex> lock(mutex_);
      while (!closing_) {
        lock.unlock();
        store->add(key(options_.rank), 1);
        for (int rank = first; rank < end; rank++) {
          const int64_t count = store->add(key(rank), 0);
          silent[rank] = count == seen[rank] ? silent[rank] + 1 : 0;
          seen[rank] = count;
          if (silent[rank] < kSilentRounds || lost_ >= 0) continue;
          lost_ = rank;
          if (options_.rank == 0) store->add("lost", rank + 1);
        }
        if (options_.rank != 0) {
          const int64_t told = store->add("lost", 0);
          if (told > 0) lost_ = static_cast<int>(told) - 1;
        }
        rounds_++;
        lock.lock();
        wake_.wait_for(lock, kRound, [&] { return closing_; });
      }
    } catch (const std::exception&) {
      store_gone_ = true;  // its process ended; who waits for it learns of it by check()
    }
    beats_ended_ = true;
  }

  // Waits for `ready`, with an eye on the others. Polling, because not every backend's wait can be cut into slices without an abort.
  template <class Ready> void await(Ready ready) {
    auto pause = 20us;
    auto looked = std::chrono::steady_clock::now();
    int64_t round = rounds_;
    int stuck = 0;
    while (!ready()) {
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds(1000));
      if (std::chrono::steady_clock::now() - looked < kRound) continue;
      looked = std::chrono::steady_clock::now();
      broken_ = true;  // until it has gone well
      check();
      stuck = rounds_ == round ? stuck + 1 : 0;
      round = rounds_;
      TORCH_CHECK(stuck < kSilentRounds, "rank 0 has not answered for ", kSilentRounds, " s");
    }
    broken_ = false;
  }

  struct Bucket {
    std::vector<at::Tensor> tensors;
    std::vector<at::Tensor> flat;  // one; c10d takes lists
    Work work;
  };

  template <class Launch> void exchange(const std::vector<at::Tensor>& tensors, double scale, int64_t bucket_bytes, Launch launch) {
    TORCH_CHECK(backend_, "the group is not connected");
    at::NoGradGuard no_grad;
    std::vector<Bucket> buckets;
    int64_t bytes = 0;
    for (const auto& tensor : tensors) {
      const bool fits = !buckets.empty() && bytes < bucket_bytes && buckets.back().tensors[0].options().type_equal(tensor.options()) &&
                        buckets.back().tensors[0].device() == tensor.device();
      if (!fits) {
        buckets.emplace_back();
        bytes = 0;
      }
      buckets.back().tensors.push_back(tensor);
      bytes += static_cast<int64_t>(tensor.nbytes());
    }
    try {
      for (auto& bucket : buckets) {
        std::vector<at::Tensor> parts;
        for (const auto& tensor : bucket.tensors) parts.push_back(tensor.reshape({-1}));
        at::Tensor flat = at::cat(parts);
        if (scale != 1) flat.mul_(scale);
        bucket.flat = {flat.to(options_.backend == "nccl" ? at::Device(options_.device) : at::Device(at::kCPU))};
        bucket.work = launch(bucket.flat);
      }
      for (auto& bucket : buckets) {
        await([&] { return bucket.work->isCompleted(); });
        bucket.work->wait();
        int64_t offset = 0;
        for (auto& tensor : bucket.tensors) {
          tensor.copy_(bucket.flat[0].narrow(0, offset, tensor.numel()).view(tensor.sizes()));
          offset += tensor.numel();
        }
      }
    } catch (...) {
      broken_ = true;
      throw;
    }
  }

  const GroupOptions options_;
  int port_ = 0;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<Backend> backend_;
  bool announced_ = false;
  std::thread beats_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool closing_ = false;
  bool broken_ = false;
  std::atomic<bool> closed_{false}, beats_ended_{false}, store_gone_{false};
  std::atomic<int> lost_{-1};
  std::atomic<int64_t> rounds_{0};
};

}  // namespace

std::shared_ptr<Group> Group::open(const GroupOptions& options) { return std::make_shared<C10dGroup>(options); }

std::vector<std::string> Group::backends() {
#ifdef USE_C10D_NCCL
  return {"gloo", "nccl"};
#else
  return {"gloo"};
#endif
}

#else

std::shared_ptr<Group> Group::open(const GroupOptions&) { TORCH_CHECK(false, "built without Gloo"); }
std::vector<std::string> Group::backends() { return {}; }

#endif
