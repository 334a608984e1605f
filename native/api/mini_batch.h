// The update of mini-batches, and many small steps in one call.
#pragma once

#include "api/rows.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace centroids {

// Each center x becomes x + (s - m x) / n.
// sums: IN [num_centers][dimensions], s; counts: IN [num_centers], m; totals: IN [num_centers], n
// moved: OUT [num_centers][dimensions]
template <class T>
void move_centers(const T* centers, const double* sums, const double* counts, const double* totals,
                  std::size_t num_centers, std::size_t dimensions, T* moved);

// Assigns each batch and moves the centers by it, one batch after the other. Returns how many were
// done: it stops before the first that has a row without a finite distance, whose inertia is not
// finite, or whose update is not.
// batches: as wide as the centers, not normalised
// centers: IN OUT [num_centers][dimensions]; counts: IN OUT [num_centers]
// losses: OUT, the inertia of each batch before its update
template <class T>
std::size_t mini_batch_steps(std::span<const DenseRows> batches, T* centers, std::int64_t* counts,
                             std::size_t num_centers, double* losses);

} // namespace centroids
