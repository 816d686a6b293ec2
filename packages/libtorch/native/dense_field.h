// The densely connected field: layer k reads all features so far, and adds `growth` channels to them.
//
//   feature 0 = activation of the input (head)
//   layer k:  z1 = 1×1 (features 0..k) → norm (→ LeakyReLU) → z2 = 3×3, dilated → norm → activation = feature k + 1
//
// All features live in one channels-last buffer, written once into their slice; the 1×1 is a matrix product over a strided view of it,
// and its gradient is added into one buffer of the same shape. Kept for the backward pass: the buffer, z1 and z2 before their norms.
// What the 3×3 reads is z1 normalised, made row by row in a ring of as many rows as it spans, and never in memory.
#pragma once
#include "kernels.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <vector>

namespace dense {

constexpr double kEps = 1e-5, kSlope = 0.2;  // of all norms and LeakyReLUs in here

struct Options {
  std::vector<int64_t> dilations;  // one a layer
  bool normalise_features;         // instance norm before each feature's LeakyReLU, the input's too
  bool activate_bottleneck;        // LeakyReLU between the first norm and the 3×3
  bool only_last;                  // the result is the last layer's feature alone, without `normalise_features`' second norm
  bool training;                   // batch norm takes the batch's statistics
  double momentum;
};

// Weights in the order of the argument lists; biases and norms undefined where there are none.
struct Layer {
  at::Tensor w1, b1, w2, b2;
  struct BatchNorm { at::Tensor weight, bias, running_mean, running_var; } n1, n2;
};

// Statistics of one norm, `images` × channels each; y = scale · x + offset.
struct Norm {
  int64_t channels = 0;
  std::vector<float> mean, rstd, scale, offset;
  float factor = 1;    // how the variance enters: rstd = 1 / √(factor · variance + …)
  bool fixed = false;  // statistics that don't depend on the input
  kernels::Affine at(int64_t image) const { return {mean.data() + image * channels, scale.data() + image * channels, offset.data() + image * channels}; }
};

// One layer's gradient of the norm's input: p · h − q − r · (x − mean), an image and channel each; and the affine weights' gradients.
struct NormGradient {
  std::vector<float> p, q, r, weight, bias, input_bias;
};

struct Sizes {
  int64_t images, height, width, head, growth, bottleneck;
  int layers;
  int64_t pixels() const { return height * width; }
  int64_t channels(int layer) const { return head + layer * growth; }  // that layer `layer` reads
};

struct Field {
  const kernels::Kernels* kernels;
  at::ScalarType dtype;
  Sizes sizes;
  Options options;
  std::vector<Layer> layers;

  // Blocks of whole rows of an image, about a thousand pixels: what is summed in float before sums go on in double, and what threads share out.
  int64_t rows_a_block() const { return std::max<int64_t>(1, 1024 / sizes.width); }
  int64_t blocks_an_image() const { return (sizes.height + rows_a_block() - 1) / rows_a_block(); }
  int64_t blocks() const { return sizes.images * blocks_an_image(); }
  struct Block { int64_t image, row, rows; };
  Block block(int64_t index) const {
    const int64_t row = index % blocks_an_image() * rows_a_block();
    return {index / blocks_an_image(), row, std::min(rows_a_block(), sizes.height - row)};
  }
  int64_t feature_channels() const { return sizes.channels(options.only_last ? sizes.layers - 1 : sizes.layers); }
  bool has_batch_norm() const { return layers[0].n1.weight.defined(); }
};

// Everything the backward pass needs.
struct Kept {
  at::Tensor features;             // N, channels, H, W
  std::vector<at::Tensor> z1, z2;  // a layer each; with `keep` false one buffer serves all layers
  Norm input;
  std::vector<Norm> n1, n2;
};

struct Gradients {
  at::Tensor input;
  std::vector<Layer> layers;
};

// The result; `kept.features` is it unless only_last. Updates running statistics while training.
at::Tensor forward(const Field& field, const at::Tensor& input, bool keep, Kept& kept);
// `gradient` may be written to.
Gradients backward(const Field& field, const at::Tensor& input, const Kept& kept, const at::Tensor& gradient, bool input_wanted);

// The same through ATen, on any device, in any dtype; differentiable as often as one likes.
at::Tensor op_by_op(const at::Tensor& input, const std::vector<Layer>& layers, const Options& options);

}  // namespace dense
