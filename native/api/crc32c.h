#pragma once

#include <cstddef>
#include <cstdint>

namespace centroids {

// The CRC-32C of bytes, continued from that of the bytes before them (0 at the beginning).
std::uint32_t crc32c(std::uint32_t before, const unsigned char* data, std::size_t size);

} // namespace centroids
