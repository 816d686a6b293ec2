// A group of processes that exchange tensors through c10d. Only distributed_group.cc sees c10d's headers.
#pragma once
#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

struct GroupOptions {
  std::string backend;    // "gloo" or "nccl"
  std::string host;       // where rank 0's store listens
  std::string device;     // where NCCL works, e.g. "cuda:1"
  std::string interface;  // network interface for Gloo; empty: by host name
  std::string prefix;     // of all keys: one store may serve several groups
  int port = 0;           // 0: the server takes a free one
  int rank = 0, size = 1;
  bool server = false;    // runs the store in this process
};

class Group {
 public:
  // Reaches the store (which must listen already) or starts it. Nobody else has to be there yet.
  static std::shared_ptr<Group> open(const GroupOptions& options);
  // What this libtorch was found to have at build; empty: no groups at all.
  static std::vector<std::string> backends();

  virtual ~Group() = default;
  virtual int port() const = 0;
  // Counts this rank in, once, and says how many have come.
  virtual int64_t joined() = 0;
  // Connects all ranks; each must have joined.
  virtual void connect() = 0;
  // In place: the sum over ranks of scale · tensor; and rank 0's values. Tensors travel in buckets of `bucket_bytes` or a little more.
  virtual void sum(const std::vector<at::Tensor>& tensors, double scale, int64_t bucket_bytes) = 0;
  virtual void broadcast(const std::vector<at::Tensor>& tensors, int64_t bucket_bytes) = 0;
  // Throws when a rank is known to be gone.
  virtual void check() = 0;
  virtual void close() = 0;
};
