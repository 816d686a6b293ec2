#pragma once
#include <ATen/ATen.h>

// From now on large CPU blocks that are freed wait in this process for the next request of their size (Linux; nothing elsewhere).
void keep_freed_memory();
