// CRC-32C by eight tables: one for each place of a byte in a word of eight.
//
// Source: Kounavis and Berry, A systematic approach to building high performance software-based
// CRC generators, IEEE Symposium on Computers and Communications, 2005.
#include "api/crc32c.h"

#include <array>

namespace centroids {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    constexpr std::uint32_t polynomial = 0x82F63B78; // Castagnoli's, lowest bit first
    Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t check = byte;
        for (int bit = 0; bit < 8; ++bit) check = check >> 1 ^ (check & 1 ? polynomial : 0);
        tables[0][byte] = check;
    }
    for (std::size_t place = 1; place < 8; ++place) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[place - 1][byte];
            tables[place][byte] = before >> 8 ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}

constexpr Tables tables = make_tables();

} // namespace

std::uint32_t crc32c(std::uint32_t before, const unsigned char* data, std::size_t size) {
    std::uint32_t check = ~before;
    for (; size >= 8; data += 8, size -= 8) {
        std::uint32_t next = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            next ^= tables[7 - i][(check >> 8 * i & 0xFF) ^ data[i]] ^ tables[3 - i][data[4 + i]];
        }
        check = next;
    }
    for (; size > 0; ++data, --size) check = check >> 8 ^ tables[0][(check ^ *data) & 0xFF];
    return ~check;
}

} // namespace centroids
