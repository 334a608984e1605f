#include "sums/exact_sums.h"

#include "runtime/dispatch.h"
#include "sums/wide_sums.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>

namespace centroids {
namespace {

constexpr int most_unit = 971;                                       // of the largest float64
constexpr std::uint64_t most_odd_additions = std::uint64_t(1) << 29; // each has 32 bits of 63

// value * 2^shift, or false where 128 bits do not hold it.
bool shifted(Int128 value, int shift, Int128* result) {
    if (value == 0) {
        *result = 0;
        return true;
    }
    if (shift > 126) return false;
    *result = static_cast<Int128>(static_cast<UInt128>(value) << shift);
    return *result >> shift == value;
}

UInt128 magnitude_of(Int128 value) {
    return value < 0 ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
}

// Bytes in the order of this machine, which is little-endian wherever there is a wheel.
class Writer {
  public:
    template <class T>
    void put(T value) {
        put_all(&value, 1);
    }
    template <class T>
    void put_all(const T* values, std::size_t count) {
        if (count > 0) bytes.append(reinterpret_cast<const char*>(values), count * sizeof(T));
    }
    std::string bytes;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    template <class T>
    T get() {
        T value;
        get_all(&value, 1);
        return value;
    }
    template <class T>
    void get_all(T* values, std::size_t count) {
        if (count > rest_.size() / sizeof(T)) damaged();
        if (count > 0) std::memcpy(values, rest_.data(), count * sizeof(T));
        rest_.remove_prefix(count * sizeof(T));
    }
    bool at_end() const { return rest_.empty(); }
    std::size_t left() const { return rest_.size(); }
    [[noreturn]] static void damaged() {
        throw std::invalid_argument("these bytes are not exact sums of this version of centroids");
    }

  private:
    std::string_view rest_;
};

constexpr std::uint32_t magic = 0x316d7573; // "sum1"

// So many bytes hold each of these numbers.
std::size_t bytes_of(std::span<const std::int64_t> numbers) {
    std::int64_t most = 0;
    for (const std::int64_t number : numbers) most |= number < 0 ? ~number : number;
    for (const std::size_t bytes : {1, 2, 4})
        if (most >> (8 * bytes - 1) == 0) return bytes;
    return 8;
}

} // namespace

void OddDigits::put(Digit digit) {
    if (2 * used_ >= table_.size()) grow();
    const std::size_t mask = table_.size() - 1;
    std::size_t at = (digit.key * 0x9e3779b97f4a7c15u >> 20) & mask;
    while (table_[at].key != digit.key && table_[at].key != free) at = (at + 1) & mask;
    used_ += table_[at].key == free;
    table_[at].key = digit.key;
    table_[at].value += digit.value;
}

void OddDigits::grow() {
    std::vector<Digit> before(std::max<std::size_t>(64, 4 * used_), Digit{free, 0});
    before.swap(table_);
    used_ = 0;
    for (const Digit digit : before)
        if (digit.key != free && digit.value != 0) put(digit);
}

void OddDigits::add(Digit digit) {
    put(digit);
    if (++additions_ >= most_odd_additions) settle();
}

void OddDigits::add(std::size_t index, UInt128 magnitude, int exponent, bool subtract) {
    const auto place = static_cast<unsigned>(exponent - ExactTotal::last_bit);
    const std::int64_t sign = subtract ? -1 : 1;
    std::uint64_t key = static_cast<std::uint64_t>(index) << 7 | place / 32;
    for (unsigned shift = place % 32; magnitude != 0; shift = 0, ++key) {
        const unsigned taken = 32 - shift;
        const auto bits = static_cast<std::uint64_t>(magnitude & ((UInt128(1) << taken) - 1));
        if (bits != 0) add(Digit{key, static_cast<std::int64_t>(bits << shift) * sign});
        magnitude >>= taken;
    }
}

void OddDigits::add(const OddDigits& other, bool subtract, std::size_t first) {
    for (const Digit digit : other.sorted())
        add(Digit{digit.key + (static_cast<std::uint64_t>(first) << 7),
                  subtract ? -digit.value : digit.value});
}

void OddDigits::settle() {
    const std::vector<Digit> settled = sorted();
    *this = {};
    for (const Digit digit : settled) put(digit);
}

std::vector<OddDigits::Digit> OddDigits::sorted() const {
    std::vector<Digit> all;
    all.reserve(used_);
    for (const Digit digit : table_)
        if (digit.key != free && digit.value != 0) all.push_back(digit);
    std::sort(all.begin(), all.end(), [](Digit a, Digit b) { return a.key < b.key; });
    std::vector<Digit> settled;
    settled.reserve(all.size());
    std::uint64_t carry_key = 0;
    std::int64_t carry = 0;
    const auto put = [&](std::uint64_t key, std::int64_t value) {
        constexpr std::int64_t half = std::int64_t(1) << 31;
        carry = (value + half) >> 32;
        carry_key = key + 1;
        const std::int64_t rest = value - carry * (half * 2);
        if (rest != 0) settled.push_back({key, rest});
    };
    for (const Digit digit : all) {
        while (carry != 0 && carry_key < digit.key) put(carry_key, carry);
        put(digit.key, digit.value + (carry != 0 ? carry : 0));
    }
    while (carry != 0) put(carry_key, carry);
    return settled;
}

ExactSums::ExactSums(std::size_t num_clusters, std::size_t dimensions,
                     std::vector<std::int32_t> units, int limbs)
    : num_clusters_(num_clusters), dimensions_(dimensions), units_(std::move(units)),
      rows_(num_clusters, 0), wide_(num_clusters, 0), limbs_(limbs) {
    units_.resize(dimensions, 0);
}

void ExactSums::widen(std::size_t cluster) {
    if (wide(cluster)) return;
    wide_[cluster] = 1;
    for (std::size_t i = cluster * dimensions_; i < (cluster + 1) * dimensions_; ++i)
        high_[i] = low_[i] < 0 ? -1 : 0;
}

void ExactSums::collect(std::size_t cluster, std::int64_t rows, const std::int64_t* first,
                        const std::int64_t* second, std::mutex& in_use) {
    const bool alone = rows_[cluster] == 0;
    rows_[cluster] += rows;
    if (!second && !wide(cluster) && rows_[cluster] <= most_additions) {
        std::int64_t* const low = low_.data() + cluster * dimensions_;
        for (std::size_t j = 0; j < dimensions_; ++j) low[j] += first[j];
        return;
    }
    if (limbs_ == 1 && !wide(cluster)) {
        const std::lock_guard<std::mutex> lock(in_use);
        make_high();
    }
    std::int64_t* const low = low_.data() + cluster * dimensions_;
    std::int64_t* const high = high_.data() + cluster * dimensions_;
    if (alone && second) {
        wide_[cluster] = 1;
        current_kernels<double>().join_limbs(first, second, dimensions_, low, high);
        return;
    }
    widen(cluster);
    for (std::size_t j = 0; j < dimensions_; ++j) {
        const Int128 more = second ? (static_cast<Int128>(first[j]) << limb_distance) + second[j]
                                   : static_cast<Int128>(first[j]);
        Int128 sum = more;
        if (!alone && __builtin_add_overflow(joined(high[j], low[j]), more, &sum)) {
            // of more than 2^28 rows
            const std::lock_guard<std::mutex> lock(in_use);
            odd_.add(cluster * dimensions_ + j, magnitude_of(more), units_[j], more < 0);
        } else {
            low[j] = static_cast<std::int64_t>(sum);
            high[j] = static_cast<std::int64_t>(sum >> 64);
        }
    }
}

void ExactSums::add(const ExactSums& other, bool subtract) {
    if (num_clusters_ != other.num_clusters_ || dimensions_ != other.dimensions_)
        throw std::invalid_argument(
            "sums of the shape [" + std::to_string(num_clusters_) + ", " +
            std::to_string(dimensions_) + "] and [" + std::to_string(other.num_clusters_) + ", " +
            std::to_string(other.dimensions_) + "] do not add up: both must have the same");
    std::vector<std::int64_t> rows(num_clusters_);
    for (std::size_t c = 0; c < num_clusters_; ++c)
        if (__builtin_add_overflow(rows_[c], other.rows_[c], &rows[c]))
            throw std::invalid_argument("sums of more than 2^63 rows do not add up");
    make();
    odd_.add(other.odd_, subtract);
    if (!other.made()) return; // zeros
    const bool same_units = units_ == other.units_;
    for (std::size_t c = 0; c < num_clusters_; ++c) {
        if (same_units && other.rows_[c] == 0) continue;
        rows_[c] = rows[c];
        if (!same_units || wide(c) || other.wide(c) || rows_[c] > most_additions) {
            add_aligned(other, c, subtract);
            continue;
        }
        for (std::size_t i = c * dimensions_; i < (c + 1) * dimensions_; ++i)
            low_[i] += subtract ? -other.low_[i] : other.low_[i];
    }
    for (std::size_t j = 0; j < dimensions_; ++j) units_[j] = std::min(units_[j], other.units_[j]);
}

// In 128 bits, each column in the smaller of the two units.
void ExactSums::add_aligned(const ExactSums& other, std::size_t cluster, bool subtract) {
    make_high();
    widen(cluster);
    for (std::size_t j = 0; j < dimensions_; ++j) {
        const std::size_t index = cluster * dimensions_ + j;
        const int unit = std::min(units_[j], other.units_[j]);
        const Int128 own = dense(cluster, j), more = other.dense(cluster, j);
        Int128 left, right, sum;
        if (!shifted(own, units_[j] - unit, &left)) {
            odd_.add(index, magnitude_of(own), units_[j], own < 0);
            left = 0;
        }
        if (!shifted(more, other.units_[j] - unit, &right)) {
            odd_.add(index, magnitude_of(more), other.units_[j], (more < 0) != subtract);
            right = 0;
        }
        if (subtract ? __builtin_sub_overflow(left, right, &sum)
                     : __builtin_add_overflow(left, right, &sum)) {
            odd_.add(index, magnitude_of(right), unit, (right < 0) != subtract);
            sum = left;
        }
        set(cluster, j, sum);
    }
}

void ExactSums::round(double* sums) const {
    if (!made()) {
        std::fill_n(sums, size(), 0.0);
        return;
    }
    const BlockKernels<double>& kernels = current_kernels<double>();
    std::vector<double> powers(dimensions_);
    for (std::size_t j = 0; j < dimensions_; ++j) powers[j] = std::ldexp(1.0, units_[j]);
    // The integer is rounded once, to 53 bits; its product with the unit is exact: where it is
    // subnormal it has fewer bits.
    for (std::size_t c = 0; c < num_clusters_; ++c) {
        double* const own = sums + c * dimensions_;
        const std::int64_t* const low = low_.data() + c * dimensions_;
        const std::int64_t* const high = high_.data() + c * dimensions_;
        if (!wide(c))
            kernels.round_sums(low, powers.data(), dimensions_, own);
        else if (!kernels.round_wide_sums(low, high, powers.data(), dimensions_, own))
            for (std::size_t j = 0; j < dimensions_; ++j)
                own[j] = rounded(joined(high[j], low[j])) * powers[j];
    }
    const std::vector<OddDigits::Digit> odd = odd_.sorted();
    for (std::size_t at = 0; at < odd.size();) {
        const std::size_t index = odd[at].key >> 7;
        ExactTotal total;
        for (; at < odd.size() && odd[at].key >> 7 == index; ++at)
            total.add_digit(odd[at].key & 127, odd[at].value);
        total.add(dense(index / dimensions_, index % dimensions_), units_[index % dimensions_]);
        sums[index] = total.rounded();
    }
}

// Whether so many rows may have this sum: what is added relies on it.
bool ExactSums::may_be_sum(std::size_t cluster, std::size_t column) const {
    if (wide(cluster)) return rows_[cluster] > 0 || dense(cluster, column) == 0;
    const auto rows = static_cast<UInt128>(rows_[cluster]);
    return magnitude_of(dense(cluster, column)) <= rows << limb_bits;
}

std::string ExactSums::to_bytes() const {
    Writer out;
    const std::vector<OddDigits::Digit> odd = odd_.sorted();
    out.put(magic);
    out.put<std::uint64_t>(num_clusters_);
    out.put<std::uint64_t>(dimensions_);
    out.put<std::uint64_t>(odd.size());
    out.put_all(units_.data(), units_.size());
    out.put_all(rows_.data(), rows_.size());
    if (made())
        out.put_all(low_.data(), low_.size());
    else
        out.bytes.append(8 * size(), '\0');
    for (std::size_t c = 0; c < num_clusters_; ++c) {
        const std::span high(high_.data() + c * dimensions_, wide(c) ? dimensions_ : 0);
        const std::size_t bytes = high.empty() ? 0 : bytes_of(high);
        out.put(static_cast<std::uint8_t>(bytes));
        for (const std::int64_t number : high)
            out.put_all(reinterpret_cast<const char*>(&number), bytes);
    }
    for (const OddDigits::Digit digit : odd) {
        out.put(digit.key);
        out.put(static_cast<std::int32_t>(digit.value));
    }
    return out.bytes;
}

ExactSums ExactSums::from_bytes(std::string_view bytes) {
    Reader in(bytes);
    if (in.get<std::uint32_t>() != magic) Reader::damaged();
    const auto num_clusters = in.get<std::uint64_t>(), dimensions = in.get<std::uint64_t>();
    const auto num_odd = in.get<std::uint64_t>();
    std::uint64_t size;
    if (__builtin_mul_overflow(num_clusters, dimensions, &size) || size > in.left() / 8 ||
        num_clusters > in.left() || dimensions > in.left() || num_odd > in.left())
        Reader::damaged();
    std::vector<std::int32_t> units(dimensions);
    in.get_all(units.data(), dimensions);
    for (const std::int32_t unit : units)
        if (unit < Parts::least_exponent || unit > most_unit) Reader::damaged();
    ExactSums sums(num_clusters, dimensions, std::move(units));
    in.get_all(sums.rows_.data(), num_clusters);
    sums.make();
    in.get_all(sums.low_.data(), size);
    for (const std::int64_t rows : sums.rows_)
        if (rows < 0) Reader::damaged();
    for (std::size_t c = 0; c < num_clusters; ++c) {
        const std::size_t width = in.get<std::uint8_t>();
        if (width > 8) Reader::damaged();
        if (width == 0) continue;
        sums.make_high();
        sums.wide_[c] = 1;
        for (std::size_t i = c * dimensions; i < (c + 1) * dimensions; ++i) {
            std::array<unsigned char, 8> all;
            in.get_all(all.data(), width);
            std::fill(all.begin() + width, all.end(), all[width - 1] & 0x80 ? 0xff : 0);
            sums.high_[i] = std::bit_cast<std::int64_t>(all);
        }
    }
    for (std::size_t i = 0; i < size; ++i)
        if (!sums.may_be_sum(i / dimensions, i % dimensions)) Reader::damaged();
    for (std::uint64_t i = 0; i < num_odd; ++i) {
        const auto key = in.get<std::uint64_t>();
        // Of up to 2^63 rows the highest digit is the 67th.
        if (key >> 7 >= size || (key & 127) > 68 || sums.rows_[(key >> 7) / dimensions] == 0)
            Reader::damaged();
        sums.odd_.add(OddDigits::Digit{key, in.get<std::int32_t>()});
    }
    if (!in.at_end()) Reader::damaged();
    return sums;
}

} // namespace centroids
